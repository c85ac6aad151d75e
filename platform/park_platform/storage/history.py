"""What points showed over a stretch of time: readings where they are few enough, else buckets with their extremes.

Reads only through the doors (v0001_doors.sql), so every role that may read series can call it. A chart that draws the
band from `low` to `high` misses no peak. Where nothing held, a row with NO_READING stands: a gap stays a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.buckets import MINUTE_US, BucketFlag, SegmentReadings, Segments, make_buckets
from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.engine import DAY_US
from park_platform.storage.engines.store import open_store
from park_sdk.frame import Bools, Floats, Int16s, Int32s, Int64s
from park_wire.errors import StoreError
from park_wire.quality import Quality
from park_wire.quantities import QUANTITIES, Kind

NO_READING: Final = -1
"""The quality of a row that is no reading: from its time on nothing is known. Its value is NaN."""

MOST_POINTS_OUT: Final = 200_000
"""How many rows an answer may have, over all its points."""
_MOST_ROWS_READ: Final = 2_000_000
# With this share of the asked rows, one-minute buckets with their extremes draw as well as readings.
_ENOUGH: Final = 0.25

Grain: TypeAlias = Literal["raw", "1m"]


class QueryTooLarge(StoreError):
    """A question would read or return too much; the text says how to ask for less."""


@dataclass(frozen=True, slots=True)
class Series:
    """One point's rows by time. time: i64[n], µs. value: f64[n]. quality: i16[n].

    Without low and high the rows are readings; the first may lie before the start, if it held there. With them each
    row is a bucket that begins at `time`; the first and the last speak only of their part within the question. value is
    then the mean weighted by time (for a counter the last reading), low and high what it ranged over, and quality good,
    uncertain (bad or uncertain readings among them) or bad.
    """

    point: int
    time: Int64s
    value: Floats
    quality: Int16s
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The answer: one series for each point that was asked for, in that order. `bucket_us` is None for readings."""

    grain: Grain
    bucket_us: int | None
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The points that exist, by id. period, max_age, done: i64, µs; rollups are complete before `done`."""

    point: Int32s
    period: Int64s
    max_age: Int64s
    counter: Bools
    done: Int64s


@dataclass(frozen=True, slots=True)
class _Rows:
    """Buckets of any width, by point and time; weight: f64, good seconds."""

    point: Int32s
    time: Int64s
    low: Floats
    high: Floats
    mean: Floats
    last: Floats
    weight: Floats
    flags: Int16s


def history(
    connection: Connection, points: Sequence[int], start: int, end: int, max_points: int = 1_000, *, now: int
) -> History:
    """What these points showed in [start, end), µs, in at most `max_points` rows each, gaps not counted.

    The caller has cut `points` down to what may be seen. `now`, µs, says how far back readings are kept. Raises
    QueryTooLarge.
    """
    if not start < end or max_points < 2:
        raise ValueError(f"history needs start < end and max_points >= 2, got {start}, {end}, {max_points}")
    if len(points) * max_points > MOST_POINTS_OUT:
        raise QueryTooLarge(
            f"{len(points)} points of up to {max_points} rows are more than {MOST_POINTS_OUT} rows: "
            f"ask for at most {max(2, MOST_POINTS_OUT // len(points))} rows a point, or for fewer points"
        )
    with database_errors(), connection.transaction():
        asked = _ask(connection, points)
        kept = start >= open_store(connection).oldest_kept(now)
        raw_rows = int(((end - start) // asked.period + 1).sum())
        fine = (end - start) // MINUTE_US < max_points * _ENOUGH
        if kept and fine and raw_rows <= _MOST_ROWS_READ:
            return _from_readings(connection, points, asked, start, end, max_points)
        return _from_rollups(connection, points, asked, start, end, max_points)


def _ask(connection: Connection, points: Sequence[int]) -> _Asked:
    rows = connection.execute(
        """
        SELECT p.id, p.period_ms, p.max_age_ms, p.quantity, us_of(NULLIF(g.done, '-infinity'))
        FROM point p LEFT JOIN rollup_progress g ON g.stream_id = p.stream_id WHERE p.id = ANY(%s) ORDER BY p.id
        """,
        (list(points),),
    ).fetchall()
    return _Asked(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64) * 1_000,
        np.array([row[2] for row in rows], np.int64) * 1_000,
        np.array([(entry := QUANTITIES.get(row[3])) is not None and entry.kind is Kind.COUNTER for row in rows], bool),
        np.array([row[4] or 0 for row in rows], np.int64),
    )


def _from_readings(
    connection: Connection, points: Sequence[int], asked: _Asked, start: int, end: int, max_points: int
) -> History:
    columns = _readings(connection, asked.point, start, end)
    first = np.searchsorted(columns["point_id"], asked.point)
    count = np.searchsorted(columns["point_id"], asked.point, side="right") - first
    # The reading that holds at `start` comes in addition.
    if not len(count) or count.max() <= max_points + 1:
        series: dict[int, Series] = {}
        for i, point in enumerate(asked.point.tolist()):
            rows = slice(first[i], first[i] + count[i])
            series[point] = _with_gaps(
                Series(point, columns["ts"][rows], columns["value"][rows], columns["quality"][rows]),
                np.full(int(count[i]), asked.max_age[i]),
                end,
            )
        return History("raw", None, tuple(series.get(point) or _empty(point) for point in points))
    width = -(-(end - start) // (max_points - 1))
    buckets = _buckets(asked, np.arange(len(asked.point)), columns, start, end, width)
    return _as_series("raw", width, points, asked, buckets, end)


def _from_rollups(
    connection: Connection, points: Sequence[int], asked: _Asked, start: int, end: int, max_points: int
) -> History:
    start_minute, end_minute = start // MINUTE_US * MINUTE_US, -(-end // MINUTE_US) * MINUTE_US
    tail = np.clip(asked.done, start_minute, end_minute)
    rows = int(((tail - start_minute) // MINUTE_US + (end_minute - tail) // asked.period).sum())
    if rows > _MOST_ROWS_READ:
        share = _MOST_ROWS_READ / rows
        behind = int((end_minute - tail).sum()) > int((tail - start_minute).sum())
        why = ", and most of it is not rolled up yet" if behind else ""
        raise QueryTooLarge(
            f"{len(points)} points over {(end - start) / DAY_US:.1f} days would read {rows} rows{why}; at most "
            f"{_MOST_ROWS_READ} are read at once: ask for at most {int(len(points) * share)} points, "
            f"or for {(end - start) / DAY_US * share:.2f} days"
        )
    columns = read_columns(
        connection,
        """
        SELECT point_id, bucket, COALESCE(min, 'NaN') AS min, COALESCE(max, 'NaN') AS max, flags,
               COALESCE(mean, 'NaN') AS mean, COALESCE(last, 'NaN') AS last, good_seconds
        FROM rollups_of(%(points)s::int[], at_us(%(start)s), at_us(%(end)s))
        """,
        {"points": asked.point.tolist(), "start": start_minute, "end": end_minute},
        {
            "point_id": "i4",
            "bucket": "time",
            "min": "f8",
            "max": "f8",
            "mean": "f8",
            "last": "f8",
            "good_seconds": "f8",
            "flags": "i2",
        },
    )
    names = ("point_id", "bucket", "min", "max", "mean", "last", "good_seconds", "flags")
    parts = [_Rows(*(columns[name] for name in names))]
    for begin in np.unique(tail[tail < end_minute]).tolist():
        slots = np.flatnonzero(tail == begin)
        readings = _readings(connection, asked.point[slots], begin, end)
        parts.append(_buckets(asked, slots, readings, begin, end, MINUTE_US))
    width = -(-(end - start) // ((max_points - 1) * MINUTE_US)) * MINUTE_US
    return _as_series("1m", width, points, asked, _coarser(parts, width), end)


def _readings(connection: Connection, points: Int32s, start: int, end: int) -> dict[str, NDArray[Any]]:
    """The readings of [start, end) and those that hold at its start, by point and time."""
    columns = read_columns(
        connection,
        """
        SELECT * FROM readings_of(%(points)s::int[], at_us(%(start)s), at_us(%(end)s))
        UNION ALL SELECT * FROM held_at(%(points)s::int[], at_us(%(start)s))
        """,
        {"points": points.tolist(), "start": start, "end": end},
        {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"},
    )
    order = np.lexsort((columns["ts"], columns["point_id"]))
    return {name: column[order] for name, column in columns.items()}


def _buckets(
    asked: _Asked, slots: NDArray[np.intp], readings: dict[str, NDArray[Any]], start: int, end: int, width: int
) -> _Rows:
    """Buckets from readings of these points; `readings` as `_readings` gives them."""
    n = len(slots)
    unknown = np.full(n, np.nan)
    segments = Segments(
        asked.point[slots],
        np.full(n, start // width * width),
        np.full(n, -(-end // width) * width),
        asked.max_age[slots],
        np.zeros(n, np.bool_),
        unknown,
        unknown,
    )
    segment = np.searchsorted(segments.point, readings["point_id"])
    made = make_buckets(
        segments, SegmentReadings(segment, readings["ts"], readings["value"], readings["quality"], unknown), width
    )
    return _Rows(
        made.point, made.bucket, made.min, made.max, made.mean, made.last, made.good_seconds, made.flags
    )  # fmt: skip


def _coarser(parts: list[_Rows], width: int) -> _Rows:
    """The rows of all parts in buckets of `width`, a multiple of theirs."""
    point, time, low, high, mean, last, weight, flags = (
        np.concatenate([getattr(part, name) for part in parts]) for name in _Rows.__slots__
    )
    if not len(point):
        return parts[0]
    order = np.lexsort((time, point))
    point, time, low, high, mean, last, weight, flags = (
        column[order] for column in (point, time, low, high, mean, last, weight, flags)
    )
    time = time // width * width
    edge = np.flatnonzero(np.append(True, (point[1:] != point[:-1]) | (time[1:] != time[:-1])))
    total = np.add.reduceat(weight, edge)
    group = np.repeat(np.arange(len(edge)), np.diff(np.append(edge, len(point))))
    share = np.divide(weight, total[group], out=np.zeros(len(weight)), where=weight > 0)
    newest = np.maximum.reduceat(np.where(np.isnan(last), -1, np.arange(len(last))), edge)
    low, high = np.fmin.reduceat(low, edge), np.fmax.reduceat(high, edge)
    mean = np.add.reduceat(np.where(weight > 0, mean, 0.0) * share, edge)
    return _Rows(
        point[edge],
        time[edge],
        low,
        high,
        np.where(total > 0, np.clip(mean, low, high), np.nan),
        np.where(newest >= 0, last[newest], np.nan),
        total,
        np.bitwise_or.reduceat(flags, edge),
    )


def _as_series(grain: Grain, width: int, points: Sequence[int], asked: _Asked, rows: _Rows, end: int) -> History:
    first = np.searchsorted(rows.point, asked.point)
    after = np.searchsorted(rows.point, asked.point, side="right")
    blemished = (rows.flags & (BucketFlag.BAD | BucketFlag.UNCERTAIN)) != 0
    quality = np.where(rows.weight > 0, np.where(blemished, Quality.UNCERTAIN, Quality.GOOD), Quality.BAD)
    quality = quality.astype(np.int16)
    series: dict[int, Series] = {}
    for i, point in enumerate(asked.point.tolist()):
        own = slice(first[i], after[i])
        value = rows.mean[own]
        if asked.counter[i]:
            value = np.where(np.isnan(rows.last[own]), value, rows.last[own])
        known = Series(point, rows.time[own], value, quality[own], rows.low[own], rows.high[own])
        series[point] = _with_gaps(known, np.full(len(value), width), end)
    return History(grain, width, tuple(series.get(point) or _empty(point, bucketed=True) for point in points))


def _with_gaps(series: Series, holds: Int64s, end: int) -> Series:
    """Put a NO_READING row where a row ends before the next begins; `holds`: i64[n], µs, how long each row says."""
    until = series.time + holds
    last = np.append(series.time[1:], end)
    gap = np.flatnonzero(until < last)
    if not len(gap):
        return series

    def put(column: NDArray[Any] | None, value: NDArray[Any] | float) -> NDArray[Any] | None:
        return None if column is None else np.insert(column, gap + 1, value)

    time = np.insert(series.time, gap + 1, until[gap])
    value = np.insert(series.value, gap + 1, np.nan)
    quality = np.insert(series.quality, gap + 1, NO_READING)
    return Series(series.point, time, value, quality, put(series.low, np.nan), put(series.high, np.nan))


def _empty(point: int, *, bucketed: bool = False) -> Series:
    nothing = np.empty(0, np.float64)
    extremes = nothing if bucketed else None
    return Series(point, np.empty(0, np.int64), nothing, np.empty(0, np.int16), extremes, extremes)
