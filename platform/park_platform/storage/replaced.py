"""Derived readings written anew: what follows from late data takes the place of what was there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection
from park_platform.storage.readings import copy_readings
from park_platform.storage.rollups import mark_replaced
from park_sdk.frame import Bools, Frame, Int32s
from park_wire.quality import LATE


def replace_readings(connection: Connection, stream: int, points: Int32s, span: tuple[int, int], frame: Frame) -> None:
    """Let derived readings be all that the points have in span, (after, until] in µs.

    What is there already is not touched. Runs in a transaction that holds the stream's row.
    """
    there = _derived_readings(connection, points, *span)
    new, gone = _differing(frame, there), _differing(there, frame)
    if len(gone):
        connection.execute(
            """
            SELECT take_back_derived(array_agg(p), array_agg(at_us(t)))
            FROM unnest(%s::int[], %s::bigint[]) AS x(p, t)
            """,
            (gone.point.tolist(), gone.time.tolist()),
        )
    copy_readings(connection, new, now=span[1])
    left = gone.take(~_among(gone, new))
    mark_replaced(connection, stream, np.concatenate([new.time, gone.time]), (left.point, left.time))


def _derived_readings(connection: Connection, points: Int32s, after: int, until: int) -> Frame:
    columns = read_columns(
        connection,
        """
        SELECT point_id, ts, value, quality FROM reading
        WHERE point_id = ANY(%(points)s) AND ts > at_us(%(after)s) AND ts <= at_us(%(until)s)
        """,
        {"points": points.tolist(), "after": after, "until": until},
        {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"},
    )
    return Frame(columns["point_id"], columns["ts"], columns["value"], columns["quality"])


def _differing(frame: Frame, other: Frame) -> Frame:
    """The rows that the other frame does not hold in the same way. The late bit is no difference."""
    return frame.take(~_among(frame, other, "value", "quality"))


def _among(frame: Frame, other: Frame, *besides: str) -> Bools:
    """Which rows of a frame the other has too, by point and time and what is asked besides. Each once in both."""
    fields = ("point", "time", *besides)
    kinds = {"point": "i4", "time": "i8", "value": "u8", "quality": "i2"}
    keys: list[NDArray[Any]] = []
    for each in (frame, other):
        # All NaN are one.
        value = np.where(np.isnan(each.value), np.nan, each.value).view(np.uint64)
        columns = {"point": each.point, "time": each.time, "value": value, "quality": each.quality & ~LATE}
        key = np.zeros(len(each), [(name, kinds[name]) for name in fields])
        for name in fields:
            key[name] = columns[name]
        keys.append(key)
    return np.isin(keys[0], keys[1])
