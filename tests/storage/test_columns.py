"""Columns into the database and out of it."""

import math

import numpy as np
import pytest

from park_platform.storage.columns import read_columns
from park_platform.storage.copy_binary import copy_in, encode_copy, encode_readings, to_server_time
from support.database import ParkDatabase
from support.series import NOON, as_bytes, frame_of, rows_of


@pytest.mark.parametrize("rows", [0, 1, 2_499, 2_500, 2_501, 5_000, 12_345])
def test_every_row_is_encoded_once_in_blocks(park_database: ParkDatabase, rows: int) -> None:
    frame = frame_of([(i % 7, NOON + i * 997, i * 0.1, i % 30_000 - 10) for i in range(rows)])
    pieces = list(encode_readings(frame))
    assert all(len(piece) < 128 << 10 for piece in pieces)
    with park_database.connection() as connection:
        connection.execute("CREATE TEMP TABLE r (ts timestamptz, value float8, point_id int, quality int2)")
        copy_in(connection, "r (ts, value, point_id, quality)", pieces)
        columns = read_columns(
            connection, "SELECT * FROM r", {}, {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"}
        )
        listed = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        assert sorted(listed) == sorted(rows_of(frame))


def test_parts_with_other_columns_missing(park_database: ParkDatabase) -> None:
    number = np.array([1, -2], np.int64)
    with park_database.connection() as connection:
        connection.execute("CREATE TEMP TABLE t (a int8, b timestamptz, c float8)")
        parts = [
            [number, None, np.array([math.nan, -0.0])],
            [None, to_server_time(np.array([0], np.int64)), None],
            [number[:0], None, None],
        ]
        copy_in(connection, "t (a, b, c)", encode_copy(parts))
        found = connection.execute("SELECT a, us_of(b), c FROM t").fetchall()
    assert [(a, b, c if c is None else as_bytes(c)) for a, b, c in found] == [
        (1, None, as_bytes(math.nan)),
        (-2, None, as_bytes(-0.0)),
        (None, 0, None),
    ]


def test_a_null_is_an_error(park_database: ParkDatabase) -> None:
    with park_database.connection() as connection, pytest.raises(ValueError, match="column a holds 1 NULL of 2 rows"):
        read_columns(connection, "SELECT * FROM (VALUES (1), (NULL)) AS v(a)", {}, {"a": "i4"})
