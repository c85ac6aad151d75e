"""Query results as numpy columns, without a Python object per row.

Each column is joined into one byte string by the server: 2.7 million rows a second, where COPY TO, which the driver
hands out row by row, gives 1.0 and fetchall 0.4.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString, TypeAlias

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.connect import Connection
from park_platform.storage.copy_binary import from_server_time

ColumnKind: TypeAlias = Literal["time", "i8", "i4", "i2", "f8"]

_SENDERS: Final[dict[ColumnKind, LiteralString]] = {
    "time": "timestamptz_send",
    "i8": "int8send",
    "i4": "int4send",
    "i2": "int2send",
    "f8": "float8send",
}


def read_columns(
    connection: Connection,
    query: LiteralString,
    parameters: Mapping[str, Any],
    columns: Mapping[LiteralString, ColumnKind],
) -> dict[str, NDArray[Any]]:
    """The columns of a query by name; a `time` comes as i64 µs since 1970 UTC. No value may be NULL.

    Raises ValueError for a NULL; that is a mistake in the query.
    """
    joined = ", ".join(f"string_agg({_SENDERS[kind]}({name}), '')" for name, kind in columns.items())
    with connection.cursor(binary=True) as cursor:
        row = cursor.execute(f"SELECT count(*), {joined} FROM ({query}) AS q", parameters).fetchone()  # noqa: S608
    assert row is not None  # noqa: S101 - an aggregate always gives a row
    result: dict[str, NDArray[Any]] = {}
    for (name, kind), data in zip(columns.items(), row[1:], strict=True):
        width = "i8" if kind == "time" else kind
        column = np.frombuffer(data or b"", f">{width}").astype(width)
        if len(column) != row[0]:
            raise ValueError(f"column {name} holds {row[0] - len(column)} NULL of {row[0]} rows")
        result[name] = from_server_time(column) if kind == "time" else column
    return result
