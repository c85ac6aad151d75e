"""Rows from numpy columns into PostgreSQL's binary COPY format, without a Python object per row.

Column types follow from the arrays: int16 int2, int32 int4, int64 int8, float64 float8; times are int8 in the server's
count (`to_server_time`). One table's rows may differ in which columns are NULL: encode each kind by itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString, TypeAlias

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from park_platform.storage.connect import Connection
from park_sdk.frame import Frame, Int64s

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
# µs from 1970 to 2000, where PostgreSQL counts from.
_SERVER_EPOCH: Final = 946_684_800_000_000
# malloc takes blocks of 128 kB and more from the system, whose page faults cost ten times the encoding.
_BLOCK_BYTES: Final = 100_000

Column: TypeAlias = NDArray[Any]


def to_server_time(time_us: Int64s) -> Int64s:
    """µs since 1970 UTC as a timestamptz column."""
    return time_us - _SERVER_EPOCH


def from_server_time(time: Int64s) -> Int64s:
    """A timestamptz column as µs since 1970 UTC."""
    return time + _SERVER_EPOCH


def encode_copy(parts: Sequence[Sequence[Column | None]]) -> Iterator[bytes | bytearray]:
    """A COPY stream in pieces. Each part is rows whose columns are arrays of one length, or None for all NULL."""
    yield _HEADER
    for columns in parts:
        yield from _encode_rows(columns)
    yield _TRAILER


def encode_readings(frame: Frame) -> Iterator[bytes | bytearray]:
    """A COPY stream for `reading (ts, value, point_id, quality)`, in pieces."""
    return encode_copy([(to_server_time(frame.time), frame.value, frame.point, frame.quality)])


def _encode_rows(columns: Sequence[Column | None]) -> Iterator[bytearray]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for i, column in enumerate(columns):
        fields.append((f"size{i}", ">i4"))
        if column is not None:
            fields.append((f"value{i}", column.dtype.newbyteorder(">").str))
    layout = np.dtype(fields)
    template = np.zeros((), layout)
    template["fields"] = len(columns)
    for i, column in enumerate(columns):
        template[f"size{i}"] = -1 if column is None else column.dtype.itemsize
    block_rows = max(1, _BLOCK_BYTES // layout.itemsize)
    # Repeating bytes is five times as fast as assigning a structured scalar to every row.
    block = template.tobytes() * block_rows
    n = next((len(column) for column in columns if column is not None), 0)
    for start in range(0, n, block_rows):
        encoded = bytearray(block[: (n - start) * layout.itemsize])
        rows = np.frombuffer(encoded, layout)
        for i, column in enumerate(columns):
            if column is not None:
                rows[f"value{i}"] = column[start : start + block_rows]
        yield encoded


def copy_in(connection: Connection, table: LiteralString, pieces: Iterable[bytes | bytearray]) -> None:
    """COPY `table`, with its columns in brackets, from a stream of `encode_copy`. Raises the driver's errors."""
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.SQL(table))) as copy,
    ):
        for piece in pieces:
            copy.write(piece)
