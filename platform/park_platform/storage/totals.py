"""What counters counted over a stretch of time, step by step, from the one-minute rollup and, behind it, from readings.

Reads only through the doors (v0002_systems.sql), so every role that may read series can call it. A counter's step is
booked in the minute of the reading that ends it, as in buckets.py; both halves give the same, wherever they meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_platform.storage.buckets import MINUTE_US, BucketFlag, Buckets, SegmentReadings, Segments, make_buckets
from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.store import open_store
from park_platform.storage.history import QueryTooLarge
from park_platform.storage.scope import Scope
from park_sdk.derivation import AssetView
from park_sdk.frame import Floats, Int32s, Int64s, Rows
from park_sdk.report import PointView
from park_wire.quantities import QUANTITIES, Kind, Text

MOST_CELLS: Final = 1_000_000
"""How many points times steps an answer may have."""
_MOST_TAIL_READINGS: Final = 20_000_000
# What is read at once, by the points' periods, and computed at once, in minutes of points: about 100 MB.
_READINGS_AT_ONCE: Final = 1_000_000
_MINUTES_AT_ONCE: Final = 500_000
_ASSUMED: Final = BucketFlag.ESTIMATED | BucketFlag.RESET


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of p points in s steps, the last of which may be shorter.

    start: i64[s], µs. value: f64[p, s], in the point's unit. covered: f64[p, s], 0 to 1, the share of the step in which
    a good value held. estimated: f64[p, s], 0 to 1: the share of the value that was counted in minutes with a reset, an
    exchange or an estimated reading, and at least the share of the step that these minutes are.
    """

    start: Int64s
    value: Floats
    covered: Floats
    estimated: Floats


@dataclass(frozen=True, slots=True)
class _Counters:
    """The points that are summed, by id. period, max_age, done: i64, µs; rollups are complete before `done`."""

    point: Int32s
    period: Int64s
    max_age: Int64s
    low: Floats
    high: Floats
    done: Int64s


@dataclass(frozen=True, slots=True)
class _Cells:
    """The sums so far, f64[p, s] each; `begin` and `width` in µs say where the steps lie."""

    begin: int
    width: int
    counted: Floats
    good_seconds: Floats
    assumed: Floats
    assumed_minutes: Floats

    def add(self, slot: Rows, time: Int64s, columns: Sequence[Floats]) -> None:
        """Add rows of these points (as slots) and times to the cells."""
        step = (time - self.begin) // self.width
        for cell, column in zip(
            (self.counted, self.good_seconds, self.assumed, self.assumed_minutes), columns, strict=True
        ):
            np.add.at(cell, (slot, step), column)


def totals(connection: Connection, points: Sequence[int], start: int, end: int, step_us: int = 0, *, now: int) -> Sums:
    """What these counters counted in [start, end), in steps of `step_us`, 0 for the whole stretch as one; all in µs.

    The rows of the answer stand in the order of `points`. The caller has cut them down to what may be seen. `now` says
    how far back and how far ahead there can be readings. Raises ValueError for a stretch or a step that is not of whole
    minutes, and QueryTooLarge.
    """
    width = step_us or end - start
    if start >= end or width <= 0 or start % MINUTE_US or end % MINUTE_US or width % MINUTE_US:
        raise ValueError(f"totals need whole minutes with start < end, got start {start}, end {end}, step {step_us} µs")
    steps = -(-(end - start) // width)
    if len(points) * steps > MOST_CELLS:
        raise QueryTooLarge(
            f"{len(points)} points in {steps} steps are more than {MOST_CELLS} sums: "
            "ask for fewer points, longer steps or a shorter time"
        )
    with database_errors(), connection.transaction():
        counters = _counters(connection, points)
        cells = _Cells(start, width, *np.zeros((4, len(counters.point), steps)))
        # Minutes whose readings are dropped by now, and which no rollup has, can't be told any more.
        store = open_store(connection)
        first, last = store.oldest_kept(now), -(-store.newest_kept(now) // MINUTE_US) * MINUTE_US
        for done in np.unique(counters.done).tolist():
            slots = np.flatnonzero(counters.done == done)
            middle = min(max(done, start), end)
            if start < middle:
                _add_rollups(connection, counters, slots, cells, middle)
            _add_readings(connection, counters, slots, cells, max(middle, first), min(end, last))
    begins = start + width * np.arange(steps)
    lasts = np.minimum(begins + width, end) - begins
    share = np.divide(cells.assumed, cells.counted, out=np.zeros_like(cells.counted), where=cells.counted > 0)
    order = np.searchsorted(counters.point, np.array(points, np.int32))
    return Sums(
        begins,
        cells.counted[order],
        np.minimum(cells.good_seconds / (lasts / 1e6), 1.0)[order],
        np.clip(np.maximum(share, cells.assumed_minutes * MINUTE_US / lasts), 0.0, 1.0)[order],
    )


def _counters(connection: Connection, points: Sequence[int]) -> _Counters:
    rows = connection.execute(
        """
        SELECT p.id, p.period_ms, p.max_age_ms, p.low, p.high, us_of(NULLIF(g.done, '-infinity'))
        FROM point p LEFT JOIN rollup_progress g ON g.stream_id = p.stream_id WHERE p.id = ANY(%s) ORDER BY p.id
        """,
        (list(points),),
    ).fetchall()
    missing = set(points) - {row[0] for row in rows}
    if missing:
        raise ValueError(f"there are no points {sorted(missing)}")
    return _Counters(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64) * 1_000,
        np.array([row[2] for row in rows], np.int64) * 1_000,
        np.array([row[3] for row in rows], np.float64),
        np.array([row[4] for row in rows], np.float64),
        np.array([row[5] or 0 for row in rows], np.int64),
    )


def _add_rollups(connection: Connection, counters: _Counters, slots: Rows, cells: _Cells, end: int) -> None:
    columns = read_columns(
        connection,
        """
        SELECT * FROM totals_of(%(points)s::int[], at_us(%(start)s), at_us(%(end)s),
                                %(width)s * interval '1 microsecond')
        """,
        {"points": counters.point[slots].tolist(), "start": cells.begin, "end": end, "width": cells.width},
        {
            "point_id": "i4",
            "begin_ts": "time",
            "counted": "f8",
            "good_seconds": "f8",
            "assumed": "f8",
            "assumed_minutes": "i8",
        },
    )
    sums = [columns[name] for name in ("counted", "good_seconds", "assumed", "assumed_minutes")]
    cells.add(np.searchsorted(counters.point, columns["point_id"]), columns["begin_ts"], sums)


def _add_readings(
    connection: Connection, counters: _Counters, slots: Rows, cells: _Cells, start: int, end: int
) -> None:
    """Add what is not rolled up yet, in parts that fit into memory."""
    if start >= end:
        return
    minute_readings = float((MINUTE_US / counters.period[slots] + 1).sum())
    minutes = max(1, int(min(_READINGS_AT_ONCE / minute_readings, _MINUTES_AT_ONCE / len(slots))))
    read = 0
    for begin in range(start, end, minutes * MINUTE_US):
        segments, readings = _read(connection, counters, slots, begin, min(begin + minutes * MINUTE_US, end))
        read += len(readings.time)
        if read > _MOST_TAIL_READINGS:
            raise QueryTooLarge(
                f"more than {_MOST_TAIL_READINGS} readings are not rolled up yet: wait until they are, "
                "or ask for fewer points or a shorter time"
            )
        made = make_buckets(segments, readings)
        cells.add(np.searchsorted(counters.point, made.point), made.bucket, _columns(made))


def _columns(made: Buckets) -> list[Floats]:
    is_assumed = ((made.flags & _ASSUMED) != 0).astype(np.float64)
    return [made.consumption, made.good_seconds, made.consumption * is_assumed, is_assumed]


def _read(
    connection: Connection, counters: _Counters, slots: Rows, start: int, end: int
) -> tuple[Segments, SegmentReadings]:
    """The readings of [start, end), those that hold into it, and what the counters showed last before it."""
    points = counters.point[slots]
    parameters = {"points": points.tolist(), "start": start, "end": end}
    columns = read_columns(
        connection,
        """
        SELECT * FROM readings_of(%(points)s::int[], at_us(%(start)s), at_us(%(end)s))
        UNION ALL SELECT * FROM held_at(%(points)s::int[], at_us(%(start)s))
        """,
        parameters,
        {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"},
    )
    former = read_columns(
        connection,
        "SELECT * FROM counted_before(%(points)s::int[], at_us(%(start)s))",
        parameters,
        {"point_id": "i4", "value": "f8"},
    )
    n = len(points)
    previous = np.full(n, np.nan)
    previous[np.searchsorted(points, former["point_id"])] = former["value"]
    order = np.lexsort((columns["ts"], columns["point_id"]))
    segment = np.searchsorted(points, columns["point_id"][order])
    segments = Segments(
        points,
        np.full(n, start),
        np.full(n, end),
        counters.max_age[slots],
        np.ones(n, np.bool_),
        counters.low[slots],
        counters.high[slots],
    )
    readings = SegmentReadings(
        segment, columns["ts"][order], columns["value"][order], columns["quality"][order], previous
    )
    return segments, readings


def counter_points(
    connection: Connection, scope: Scope, *, quantities: Sequence[str], kinds: Sequence[str], enterprise: str | None
) -> tuple[PointView, ...]:
    """The visible counters of these quantities on assets of these kinds (none: any), by owner, asset and key.

    Runs inside `scoped`. Points that no asset owns are left out. Raises ValueError for a quantity that is no counter.
    """
    wrong = [name for name in quantities if (entry := QUANTITIES.get(name)) is None or entry.kind is not Kind.COUNTER]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} can't be summed: only counters of the catalogue can")
    rows = connection.execute(
        """
        SELECT p.id, COALESCE(g.key, s.name) || '/' || p.device || '/' || p.name, p.quantity,
               a.key, a.kind, e.key, z.key, up.key, a.design, a.name_zh, a.name_en
        FROM point p JOIN stream s ON s.id = p.stream_id LEFT JOIN gateway g ON g.stream_id = s.id
        JOIN asset a ON a.id = p.asset_id LEFT JOIN enterprise e ON e.id = a.enterprise_id
        LEFT JOIN zone z ON z.id = a.zone_id LEFT JOIN asset up
          ON up.id = a.fed_from_id AND (%(park)s OR up.enterprise_id = ANY(%(tenants)s))
        WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s))
          AND p.quantity = ANY(%(quantities)s) AND (%(kinds)s::text[] = '{}' OR a.kind = ANY(%(kinds)s))
          AND (%(enterprise)s::text IS NULL OR e.key = %(enterprise)s)
        ORDER BY e.key NULLS FIRST, a.key, p.device, p.name, p.id
        """,
        {
            **scope.parameters(),
            "quantities": list(quantities),
            "kinds": list(kinds),
            "enterprise": enterprise,
        },
    ).fetchall()
    return tuple(
        PointView(
            number,
            key,
            quantity,
            QUANTITIES[quantity].unit,
            AssetView(asset, kind, owner, zone, fed_from, design),
            Text(zh, en),
        )
        for number, key, quantity, asset, kind, owner, zone, fed_from, design, zh, en in rows
    )
