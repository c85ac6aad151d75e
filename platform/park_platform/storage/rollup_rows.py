"""What a rollup round reads and writes: the stream's points, the readings behind stretches of time, the buckets.

Every query goes point by point through the primary key; rollups.roll keeps the planner to that.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from psycopg import errors

from park_platform.storage.buckets import COPY_COLUMNS, MINUTE_US, Buckets, SegmentReadings, Segments, make_buckets
from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection
from park_platform.storage.copy_binary import copy_in, encode_copy
from park_platform.storage.engines.store import Store
from park_sdk.frame import Bools, Floats, Int32s, Int64s, Rows
from park_wire.quantities import QUANTITIES, Kind

# About 200 MB while they are computed.
_MOST_READINGS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class StreamPoints:
    """The points of a stream, by id. period, max_age: i64, µs."""

    point: Int32s
    period: Int64s
    max_age: Int64s
    counter: Bools
    low: Floats
    high: Floats


def stream_points(connection: Connection, stream: int) -> StreamPoints:
    """The points of a stream."""
    rows = connection.execute(
        "SELECT id, period_ms, max_age_ms, quantity, low, high FROM point WHERE stream_id = %s ORDER BY id", (stream,)
    ).fetchall()
    kinds = {id_: entry.kind for id_, entry in QUANTITIES.items()}
    return StreamPoints(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64) * 1_000,
        np.array([row[2] for row in rows], np.int64) * 1_000,
        np.array([kinds.get(row[3]) is Kind.COUNTER for row in rows], np.bool_),
        np.array([row[4] for row in rows], np.float64),
        np.array([row[5] for row in rows], np.float64),
    )


def next_bucket(connection: Connection, points: StreamPoints, start: int | None) -> int | None:
    """The bucket of the first reading at or after `start`, or of the first of all."""
    row = connection.execute(
        """
        SELECT us_of(min(f.ts)) FROM unnest(%(points)s::int[]) AS p(id) CROSS JOIN LATERAL (
          SELECT r.ts FROM reading r
          WHERE r.point_id = p.id AND (%(start)s::bigint IS NULL OR r.ts >= at_us(%(start)s)) ORDER BY r.ts LIMIT 1
        ) AS f
        """,
        {"points": points.point.tolist(), "start": start},
    ).fetchone()
    return None if row is None or row[0] is None else row[0] // MINUTE_US * MINUTE_US


def find_touched(
    connection: Connection, points: StreamPoints, start: Int64s, end: Int64s, done: int
) -> tuple[Rows, Int64s, Int64s]:
    """Which points (as slots) have readings in the stretches, and the stretches that these readings have a say in.

    The last reading of a stretch holds on behind it. A counter's next usable reading counts its step from it.
    """
    n = len(points.point)
    slot = np.tile(np.arange(n), len(start))
    begin, stop = np.repeat(start, n), np.repeat(end, n)
    found = read_columns(
        connection,
        """
        SELECT s.n, mine.ts AS held, COALESCE(next.ts, at_us(%(done)s)) AS next,
               COALESCE(counted.ts, at_us(%(done)s)) AS counted
        FROM unnest(%(points)s::int[], %(begin)s::bigint[], %(stop)s::bigint[], %(max_age)s::bigint[],
                    %(counter)s::bool[]) WITH ORDINALITY AS s(point_id, begin, stop, max_age, counter, n)
        CROSS JOIN LATERAL (
          SELECT r.ts FROM reading r WHERE r.point_id = s.point_id AND r.ts >= at_us(s.begin) AND r.ts < at_us(s.stop)
          ORDER BY r.ts DESC LIMIT 1
        ) AS mine
        LEFT JOIN LATERAL (
          SELECT r.ts FROM reading r WHERE r.point_id = s.point_id AND r.ts >= at_us(s.stop)
            AND r.ts < at_us(s.stop + s.max_age) ORDER BY r.ts LIMIT 1
        ) AS next ON true
        LEFT JOIN LATERAL (
          SELECT r.ts FROM reading r WHERE s.counter AND r.point_id = s.point_id AND r.ts >= at_us(s.stop)
            AND r.ts < at_us(%(done)s)
            AND (r.quality & 128) = 0 AND r.value < 'Infinity' AND r.value > '-Infinity' ORDER BY r.ts LIMIT 1
        ) AS counted ON true
        """,
        {
            "points": points.point[slot].tolist(),
            "begin": begin.tolist(),
            "stop": stop.tolist(),
            "max_age": points.max_age[slot].tolist(),
            "counter": points.counter[slot].tolist(),
            "done": done,
        },
        {"n": "i8", "held": "time", "next": "time", "counted": "time"},
    )
    mine = found["n"] - 1
    slot, begin, stop = slot[mine], begin[mine], stop[mine]
    held_until = np.minimum(found["held"] + points.max_age[slot], found["next"])
    reach = np.maximum(stop, (held_until + MINUTE_US - 1) // MINUTE_US * MINUTE_US)
    counted = found["counted"] // MINUTE_US * MINUTE_US
    also = np.flatnonzero(points.counter[slot] & (counted >= stop) & (counted < done))
    owner = np.concatenate([slot, slot[also]])
    starts = np.concatenate([begin, counted[also]])
    ends = np.concatenate([np.minimum(reach, done), counted[also] + MINUTE_US])
    if not len(owner):
        return slot, begin, stop
    return join_stretches(owner, starts, ends)


def join_stretches(owner: Int64s, start: Int64s, end: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Stretches of whole minutes without overlap that cover the given ones, for each owner, by owner and start."""
    order = np.lexsort((start, owner))
    owner, start, end = owner[order], start[order], end[order]
    # Every owner gets a range of minutes of its own, so that a running maximum does not reach across owners.
    zero = int(start.min(initial=0))
    width = int(end.max(initial=0)) - zero + MINUTE_US
    shift = owner * (width // MINUTE_US)
    begin, reach = (start - zero) // MINUTE_US + shift, np.maximum.accumulate((end - zero) // MINUTE_US + shift)
    new = np.flatnonzero(np.append(True, begin[1:] > reach[:-1])[: len(begin)])
    last = np.append(new[1:] - 1, len(begin) - 1)[: len(new)]
    return owner[new], start[new], (reach[last] - shift[last]) * MINUTE_US + zero


def write_buckets(
    connection: Connection, store: Store, points: StreamPoints, slot: Rows, start: Int64s, end: Int64s, *, replace: bool
) -> int:
    """Compute and write the buckets of these stretches; `replace`: there may be some already."""
    readings = (end - start) // points.period[slot] + 2
    part = np.cumsum(readings) // _MOST_READINGS
    written = 0
    for rows in np.split(np.arange(len(slot)), np.flatnonzero(np.diff(part)) + 1):
        segments = _segments(points, slot[rows], start[rows], end[rows])
        if not len(segments):
            continue
        buckets = make_buckets(segments, _read(connection, segments))
        if replace:
            connection.execute(
                """
                DELETE FROM rollup_1m b
                USING unnest(%s::int[], %s::bigint[], %s::bigint[]) AS s(point_id, start, stop)
                WHERE b.point_id = s.point_id AND b.bucket >= at_us(s.start) AND b.bucket < at_us(s.stop)
                  AND b.bucket >= at_us(%s) AND b.bucket < at_us(%s)
                """,
                (
                    segments.point.tolist(),
                    segments.start.tolist(),
                    segments.end.tolist(),
                    int(segments.start.min()),
                    int(segments.end.max()),
                ),
            )
        if len(buckets):
            _copy(connection, store, buckets)
        written += len(buckets)
    return written


def _segments(points: StreamPoints, slot: Rows, start: Int64s, end: Int64s) -> Segments:
    return Segments(
        points.point[slot],
        start,
        end,
        points.max_age[slot],
        points.counter[slot],
        points.low[slot],
        points.high[slot],
    )


def _copy(connection: Connection, store: Store, buckets: Buckets) -> None:
    for last in (False, True):
        try:
            with connection.transaction():
                copy_in(connection, f"rollup_1m ({COPY_COLUMNS})", encode_copy(buckets.copy_parts()))
        except errors.CheckViolation:
            if last:
                raise
            store.engine.partitions_for(connection, "rollup_1m", buckets.bucket.tolist())
        else:
            return


def _read(connection: Connection, segments: Segments) -> SegmentReadings:
    """The readings in the segments, those that hold into them, and what counters showed last."""
    parameters = {
        "points": segments.point.tolist(),
        "start": segments.start.tolist(),
        "end": segments.end.tolist(),
        "max_age": segments.max_age.tolist(),
        "counter": segments.counter.tolist(),
        "first": int(segments.start.min()),
        "last": int(segments.end.max()),
        "held": int((segments.start - segments.max_age).min()),
    }
    columns = read_columns(
        connection,
        """
        SELECT s.n, r.ts, r.value, r.quality
        FROM unnest(%(points)s::int[], %(start)s::bigint[], %(end)s::bigint[])
          WITH ORDINALITY AS s(point_id, start, stop, n)
        JOIN reading r ON r.point_id = s.point_id AND r.ts >= at_us(s.start) AND r.ts < at_us(s.stop)
          AND r.ts >= at_us(%(first)s) AND r.ts < at_us(%(last)s)
        UNION ALL
        SELECT s.n, h.ts, h.value, h.quality
        FROM unnest(%(points)s::int[], %(start)s::bigint[], %(max_age)s::bigint[])
          WITH ORDINALITY AS s(point_id, start, max_age, n)
        CROSS JOIN LATERAL (
          SELECT r.ts, r.value, r.quality FROM reading r
          WHERE r.point_id = s.point_id AND r.ts < at_us(s.start) AND r.ts > at_us(s.start - s.max_age)
            AND r.ts > at_us(%(held)s) AND r.ts < at_us(%(last)s) ORDER BY r.ts DESC LIMIT 1
        ) AS h
        """,
        parameters,
        {"n": "i8", "ts": "time", "value": "f8", "quality": "i2"},
    )
    order = np.lexsort((columns["ts"], columns["n"]))
    previous = np.full(len(segments), np.nan)
    if segments.counter.any():
        former = read_columns(
            connection,
            """
            SELECT s.n, f.value
            FROM unnest(%(points)s::int[], %(start)s::bigint[], %(counter)s::bool[])
              WITH ORDINALITY AS s(point_id, start, counter, n)
            CROSS JOIN LATERAL (
              SELECT r.value FROM reading r
              WHERE s.counter AND r.point_id = s.point_id AND r.ts < at_us(s.start)
                AND (r.quality & 128) = 0 AND r.value < 'Infinity' AND r.value > '-Infinity'
              ORDER BY r.ts DESC LIMIT 1
            ) AS f
            """,
            parameters,
            {"n": "i8", "value": "f8"},
        )
        previous[former["n"] - 1] = former["value"]
    return SegmentReadings(
        columns["n"][order] - 1, columns["ts"][order], columns["value"][order], columns["quality"][order], previous
    )
