"""Readings for storage tests: streams with points, frames from tuples, and what is stored as tuples."""

import math
import struct
from collections.abc import Iterable, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

from park_platform.storage.connect import Connection
from park_sdk.frame import Frame

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
# Monday 2026-11-23 12:00 UTC.
NOON = 1_795_435_200 * SECOND

Row = tuple[int, int, float, int]
"""Point, time in µs, value, quality."""

_numbers = count(1)


def add_stream(
    connection: Connection, points: int, *, quantity: str = "pressure", period_ms: int = 1_000, max_age_ms: int = 3_000
) -> tuple[int, list[int]]:
    """A stream with some points of a quantity; returns their ids. Needs a superuser's connection."""
    row = connection.execute(
        "INSERT INTO stream (name, kind) VALUES (%s, 'gateway') RETURNING id", (f"gw-test-{next(_numbers)}",)
    ).fetchone()
    assert row is not None
    return row[0], add_points(connection, row[0], points, quantity=quantity, period_ms=period_ms, max_age_ms=max_age_ms)


def add_points(
    connection: Connection,
    stream: int,
    points: int,
    *,
    quantity: str = "pressure",
    period_ms: int = 1_000,
    max_age_ms: int = 3_000,
    low: float = 0.0,
    high: float = 1e6,
) -> list[int]:
    """More points for a stream."""
    return [
        row[0]
        for row in connection.execute(
            """
            INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms)
            SELECT %s, 'device', %s || '-' || n, %s, 'x', %s, %s, %s, %s FROM generate_series(1, %s) n RETURNING id
            """,
            (stream, f"p{next(_numbers)}", quantity, low, high, period_ms, max_age_ms, points),
        )
    ]


def frame_of(rows: Sequence[Row]) -> Frame:
    """A frame with these rows in this order."""
    columns: list[tuple[float, ...]] = list(zip(*rows, strict=True)) or [(), (), (), ()]
    point, time, value, quality = columns
    return Frame(
        np.array(point, np.int32), np.array(time, np.int64), np.array(value, np.float64), np.array(quality, np.int16)
    )


def rows_of(frame: Frame) -> list[Row]:
    """A frame's rows."""
    return list(
        zip(frame.point.tolist(), frame.time.tolist(), frame.value.tolist(), frame.quality.tolist(), strict=True)
    )


def stored(connection: Connection, points: Iterable[int]) -> set[tuple[int, int, bytes, int]]:
    """What `reading` holds of these points; values as bytes, so that NaN equals NaN and -0 is not 0."""
    return {
        (point, time, as_bytes(value), quality)
        for point, time, value, quality in connection.execute(
            "SELECT point_id, us_of(ts), value, quality FROM reading WHERE point_id = ANY(%s)", (list(points),)
        )
    }


def as_bytes(value: float) -> bytes:
    """A float's bits, all NaN being one."""
    return struct.pack("d", math.nan if math.isnan(value) else value)


def ids(points: Iterable[int]) -> npt.NDArray[np.int32]:
    """Point ids as an array."""
    return np.array(list(points), np.int32)
