"""Buckets of equal width from readings, in numpy: pure, no database (storage/rollups.py reads and writes).

A value holds until the next reading of its point, at most the point's max_age; time that nothing covers counts for
nothing. A bad reading counts as a reading and ends the value before it, but has no part in any value statistic.
Uncertain values take part, and the bucket says so.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.copy_binary import Column, to_server_time
from park_sdk.frame import FOREVER, Bools, Floats, Int16s, Int32s, Int64s, Rows
from park_wire.quality import BAD_SEVERITY, ESTIMATED, LATE, UNCERTAIN_SEVERITY

MINUTE_US: Final = 60_000_000
# A counter that falls from the last tenth of its range into the first has rolled over; any other fall is a reset.
_NEAR_END: Final = 0.9
_NEAR_START: Final = 0.1


class BucketFlag(IntFlag):
    """What a bucket is made of. ROLLOVER: the counter passed its end, which is counted. RESET: it fell otherwise."""

    UNCERTAIN = 1
    BAD = 2
    LATE = 4
    ESTIMATED = 8
    ROLLOVER = 16
    RESET = 32


@dataclass(frozen=True, slots=True)
class Segments:
    """s stretches of time of points that are to be computed; those of one point don't overlap.

    start, end: i64[s], µs, [start, end), whole buckets. max_age: i64[s], µs. low, high: f64[s], a counter's range.
    """

    point: Int32s
    start: Int64s
    end: Int64s
    max_age: Int64s
    counter: Bools
    low: Floats
    high: Floats

    def __len__(self) -> int:
        """How many stretches."""
        return len(self.point)

    def take(self, rows: Rows) -> "Segments":
        """The stretches that an index array names."""
        return Segments(
            self.point[rows],
            self.start[rows],
            self.end[rows],
            self.max_age[rows],
            self.counter[rows],
            self.low[rows],
            self.high[rows],
        )


@dataclass(frozen=True, slots=True)
class SegmentReadings:
    """The readings behind s segments, sorted by (segment, time).

    segment: intp[n]. They lie in their segment, except that the first of a segment may be the one before it, if that
    still holds. previous: f64[s], a counter's last usable value before the segment, NaN where there is none.
    """

    segment: Rows
    time: Int64s
    value: Floats
    quality: Int16s
    previous: Floats


@dataclass(frozen=True, slots=True)
class Buckets:
    """b buckets as the columns of `rollup_1m`.

    good_count: readings that are usable: not bad, with a finite value. min, max, mean: of the values that held in the
    bucket, mean weighted by time, NaN when none did. first, last: usable readings taken in the bucket, NaN and time 0
    when there is none. consumption: what a counter counted up to its readings in the bucket, NaN for other points.
    """

    point: Int32s
    bucket: Int64s
    count: Int32s
    good_count: Int32s
    min: Floats
    max: Floats
    mean: Floats
    good_seconds: Floats
    first: Floats
    first_time: Int64s
    last: Floats
    last_time: Int64s
    flags: Int16s
    consumption: Floats

    def __len__(self) -> int:
        """How many buckets."""
        return len(self.point)

    def copy_parts(self) -> list[list[Column | None]]:
        """The rows for `copy_binary.encode_copy` in COPY_COLUMNS' order, by which of their columns are NULL."""
        held, read, counter = self.good_seconds > 0, self.good_count > 0, ~np.isnan(self.consumption)
        parts: list[list[Column | None]] = []
        kind = held * 4 + read * 2 + counter
        for code in np.unique(kind).tolist():
            rows = np.flatnonzero(kind == code)
            has_value, has_reading, is_counter = code & 4, code & 2, code & 1
            parts.append(
                [
                    to_server_time(self.bucket[rows]),
                    to_server_time(self.first_time[rows]) if has_reading else None,
                    to_server_time(self.last_time[rows]) if has_reading else None,
                    self.min[rows] if has_value else None,
                    self.max[rows] if has_value else None,
                    self.mean[rows] if has_value else None,
                    self.good_seconds[rows],
                    self.first[rows] if has_reading else None,
                    self.last[rows] if has_reading else None,
                    self.consumption[rows] if is_counter else None,
                    self.point[rows],
                    self.count[rows],
                    self.good_count[rows],
                    self.flags[rows],
                ]
            )
        return parts


COPY_COLUMNS: Final = (
    "bucket, first_ts, last_ts, min, max, mean, good_seconds, first, last, consumption, "
    "point_id, count, good_count, flags"
)


def make_buckets(segments: Segments, readings: SegmentReadings, width: int = MINUTE_US) -> Buckets:
    """The buckets of the segments, `width` µs each, in which a reading was taken or a value held."""
    widths = (segments.end - segments.start) // width
    cells = int(widths.sum())
    # The cell of an instant t of segment s is origin[s] + t // width.
    origin = np.cumsum(widths) - widths - segments.start // width
    flags = np.zeros(cells, np.int16)
    usable = ((readings.quality & BAD_SEVERITY) == 0) & np.isfinite(readings.value)
    good_us, low, high, mean = _hold(segments, readings, usable, origin, flags, width)

    inside = np.flatnonzero(readings.time >= segments.start[readings.segment])
    cell = origin[readings.segment[inside]] + readings.time[inside] // width
    count = np.bincount(cell, minlength=cells)
    flags[cell[~usable[inside]]] |= BucketFlag.BAD
    flags[cell[(readings.quality[inside] & LATE) != 0]] |= BucketFlag.LATE

    good = inside[usable[inside]]
    cell = origin[readings.segment[good]] + readings.time[good] // width
    edge = np.append(True, cell[1:] != cell[:-1])
    firsts, lasts = good[edge[: len(good)]], good[np.append(edge[1:], True)[: len(good)]]
    filled = cell[edge[: len(good)]]
    first, last = np.full(cells, np.nan), np.full(cells, np.nan)
    first_time, last_time = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    first[filled], first_time[filled] = readings.value[firsts], readings.time[firsts]
    last[filled], last_time[filled] = readings.value[lasts], readings.time[lasts]
    consumption = _consume(segments, readings, good, cell, flags)

    keep = np.flatnonzero((count > 0) | (good_us > 0))
    segment = np.repeat(np.arange(len(segments)), widths)[keep]
    return Buckets(
        point=segments.point[segment],
        bucket=(keep - origin[segment]) * width,
        count=count[keep].astype(np.int32),
        good_count=np.bincount(cell, minlength=cells)[keep].astype(np.int32),
        min=low[keep],
        max=high[keep],
        mean=mean[keep],
        good_seconds=good_us[keep] / 1e6,
        first=first[keep],
        first_time=first_time[keep],
        last=last[keep],
        last_time=last_time[keep],
        flags=flags[keep],
        consumption=np.where(segments.counter[segment], consumption[keep], np.nan),
    )


def _hold(
    segments: Segments, readings: SegmentReadings, usable: Bools, origin: Int64s, flags: NDArray[np.int16], width: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Per cell: for how many µs a value held, the lowest, the highest and the mean of them. Sets flags of values."""
    cells = len(flags)
    segment = readings.segment
    following = np.full(len(segment), FOREVER)
    same = segment[1:] == segment[:-1]
    following[:-1][same] = readings.time[1:][same]
    start = np.maximum(readings.time, segments.start[segment])
    end = np.minimum(np.minimum(following, readings.time + segments.max_age[segment]), segments.end[segment])
    row = np.flatnonzero(usable & (end > start))
    # One piece for every bucket that a value reaches into.
    bucket = start[row] // width
    pieces = (end[row] - 1) // width - bucket + 1
    row = np.repeat(row, pieces)
    bucket = np.arange(len(row)) + np.repeat(bucket - (np.cumsum(pieces) - pieces), pieces)
    cell = origin[segment[row]] + bucket
    held_us = np.minimum(end[row], (bucket + 1) * width) - np.maximum(start[row], bucket * width)
    value, quality = readings.value[row], readings.quality[row]
    flags[cell[(quality & UNCERTAIN_SEVERITY) != 0]] |= BucketFlag.UNCERTAIN
    flags[cell[(quality & ESTIMATED) != 0]] |= BucketFlag.ESTIMATED
    good_us = np.bincount(cell, held_us, cells).astype(np.float64)
    low, high, mean = np.full(cells, np.nan), np.full(cells, np.nan), np.full(cells, np.nan)
    if len(cell):
        edge = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        filled = cell[edge]
        low[filled] = np.minimum.reduceat(value, edge)
        high[filled] = np.maximum.reduceat(value, edge)
        # Shares that sum to 1 don't overflow; rounding must not carry the mean past its own values.
        share = np.add.reduceat(value * (held_us / good_us[cell]), edge)
        mean[filled] = np.clip(share, low[filled], high[filled])
    return good_us, low, high, mean


def _consume(segments: Segments, readings: SegmentReadings, good: Rows, cell: Rows, flags: NDArray[np.int16]) -> Floats:
    """What counters counted per cell: the step to each usable reading, booked where that reading was taken.

    A rollover counts on from the start of the range, short of the register's last step. A reset counts nothing: after
    an exchange the new meter's count says nothing about what flowed.
    """
    counted = segments.counter[readings.segment[good]]
    good, cell = good[counted], cell[counted]
    segment, value = readings.segment[good], readings.value[good]
    before = _values_before(segment, value, readings.previous)
    low, high = segments.low[segment], segments.high[segment]
    span = high - low
    step = value - before
    fell = step < 0
    rolled = fell & (before >= low + _NEAR_END * span) & (value <= low + _NEAR_START * span) & (before <= high)
    step = np.where(rolled, high - before + value - low, step)
    step[(fell & ~rolled) | np.isnan(before)] = 0.0
    flags[cell[rolled]] |= BucketFlag.ROLLOVER
    flags[cell[fell & ~rolled]] |= BucketFlag.RESET
    return np.bincount(cell, step, len(flags)).astype(np.float64)


def _values_before(segment: Rows, value: Floats, previous: Floats) -> Floats:
    """For each value the one before it in its segment; for a segment's first, `previous` of the segment."""
    before = np.empty(len(value))
    before[1:] = value[:-1]
    first = np.append(True, segment[1:] != segment[:-1])[: len(segment)]
    before[first] = previous[segment[first]]
    return before
