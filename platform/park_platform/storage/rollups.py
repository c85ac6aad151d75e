"""The one-minute rollup: `park operate` brings every stream's buckets up to what is committed (buckets.py computes).

Live data marks nothing: the stream's `event_until`, before which nothing older follows live, drives a watermark. What
is stored behind it leaves a `dirty` row (`mark_dirty`, in the commit), which is widened to the buckets that change.

A round reads one snapshot (REPEATABLE READ): watermark, dirty rows and readings agree in it because a commit writes
them together. So it needs no lock that a commit would wait for: a commit that it does not see leaves its own dirty
row, and only those that were seen are cleared.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_platform.storage.buckets import MINUTE_US
from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.store import Store, open_store
from park_platform.storage.rollup_rows import (
    StreamPoints,
    find_touched,
    join_stretches,
    next_bucket,
    stream_points,
    write_buckets,
)
from park_sdk.frame import FOREVER, Int32s, Int64s

# A round's readings: about a second of work, so that whoever rolls has time for other things.
_STEP_READINGS: Final = 1_000_000
_LONGEST_STEP_US: Final = 24 * 60 * MINUTE_US
# Late readings further apart than this are separate holes.
_HOLE_US: Final = 10 * MINUTE_US
_LOCK: Final = 0x726F6C6C


@dataclass(frozen=True, slots=True)
class Rolled:
    """What one round did: buckets written, and whether there is more to do at once."""

    buckets: int
    more: bool


def mark_dirty(connection: Connection, stream: int, time: Int64s, until: int) -> None:
    """Within a commit: note which of the stored times (µs, any order) lie behind `until`.

    `until` is the stream's event_until as it was before this commit.
    """
    behind = np.unique(time[time < until])
    if not len(behind):
        return
    holes = np.flatnonzero(np.diff(behind) > _HOLE_US)
    first, last = behind[np.append(0, holes + 1)], behind[np.append(holes, len(behind) - 1)]
    connection.execute(
        """
        INSERT INTO dirty (stream_id, from_ts, to_ts)
        SELECT %s, at_us(f), at_us(t) FROM unnest(%s::bigint[], %s::bigint[]) AS x(f, t)
        """,
        (stream, first.tolist(), last.tolist()),
    )


def streams_to_roll(connection: Connection) -> list[int]:
    """The streams with a minute that is complete and not rolled up, or with something dirty."""
    with database_errors():
        rows = connection.execute(
            """
            SELECT s.id FROM stream s LEFT JOIN rollup_progress p ON p.stream_id = s.id
            WHERE date_trunc('minute', s.event_until) > COALESCE(p.done, '-infinity')
               OR EXISTS (SELECT FROM dirty d WHERE d.stream_id = s.id)
            ORDER BY s.id
            """
        ).fetchall()
    return [stream for (stream,) in rows]


def roll_all(connection: Connection, now: int) -> bool:
    """One round for every stream that needs it; returns whether there is more to do at once."""
    return any([roll(connection, stream, now).more for stream in streams_to_roll(connection)])


def roll(connection: Connection, stream: int, now: int) -> Rolled:
    """One bounded round for one stream, in a transaction of its own; `now` in µs says which readings are kept.

    About a million live readings and a million behind the watermark. Does nothing while another process rolls the
    stream.
    """
    with database_errors(), _alone(connection, stream) as first:
        if not first:
            return Rolled(0, more=False)
        # Before the snapshot: this row's reference to the stream can't be checked in one that a commit has left behind.
        connection.execute(
            "INSERT INTO rollup_progress (stream_id, done) VALUES (%s, '-infinity') ON CONFLICT DO NOTHING", (stream,)
        )
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Thousands of short index scans: a hash join would read whole months of buckets for them.
            connection.execute("SET LOCAL enable_hashjoin = off")
            connection.execute("SET LOCAL enable_mergejoin = off")
            store = open_store(connection)
            points = stream_points(connection, stream)
            done, live, live_more = _roll_live(connection, store, stream, points)
            late, late_more = (0, False) if done is None else _roll_dirty(connection, store, stream, points, done, now)
            return Rolled(live + late, live_more or late_more)


@contextmanager
def _alone(connection: Connection, stream: int) -> Generator[bool]:
    """Whether nobody else rolls this stream. Before the snapshot: a former round's must be complete in it."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCK, stream)).fetchone()
    first = bool(row and row[0])
    try:
        yield first
    finally:
        if first:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_LOCK, stream))


def _step_us(points: StreamPoints) -> int:
    """How much time a round takes on, in whole minutes."""
    readings_per_us = float((1 / points.period).sum()) or 1e-9
    return int(min(max(_STEP_READINGS / readings_per_us, MINUTE_US), _LONGEST_STEP_US)) // MINUTE_US * MINUTE_US


def _roll_live(connection: Connection, store: Store, stream: int, points: StreamPoints) -> tuple[int | None, int, bool]:
    """Write the buckets from the watermark to event_until; returns where it began, how many, and whether more."""
    row = connection.execute(
        """
        SELECT us_of(s.event_until), us_of(NULLIF(p.done, '-infinity'))
        FROM stream s JOIN rollup_progress p ON p.stream_id = s.id WHERE s.id = %s
        """,
        (stream,),
    ).fetchone()
    until, done = row or (None, None)
    if until is None:
        return done, 0, False
    target = until // MINUTE_US * MINUTE_US
    start = done
    if start is None:
        first = next_bucket(connection, points, None)
        start = target if first is None else min(target, first)
    elif start >= target:
        return done, 0, False
    end = min(target, start + _step_us(points))
    everyone = np.arange(len(points.point))
    ones = np.ones(len(everyone), np.int64)
    written = write_buckets(connection, store, points, everyone, ones * start, ones * end, replace=False)
    if written:
        _derive_again_used(connection, stream, ones[:1] * start, ones[:1] * end)
    if not written and end < target:
        # Nothing was taken and nothing held: go on where readings are.
        following = next_bucket(connection, points, end)
        end = target if following is None else min(target, following)
    connection.execute("UPDATE rollup_progress SET done = at_us(%s) WHERE stream_id = %s", (end, stream))
    return start, written, end < target


def _roll_dirty(
    connection: Connection, store: Store, stream: int, points: StreamPoints, done: int, now: int
) -> tuple[int, bool]:
    """Write again what late readings changed, a step from the oldest on; returns how many and whether more."""
    # Buckets whose readings are being dropped stay as they are; those from `done` on were or will be written anew.
    oldest = store.oldest_kept(now)
    connection.execute(
        "DELETE FROM dirty WHERE stream_id = %s AND (to_ts < at_us(%s) OR from_ts >= at_us(%s))", (stream, oldest, done)
    )
    marks = read_columns(
        connection,
        "SELECT id, from_ts, to_ts FROM dirty WHERE stream_id = %(stream)s",
        {"stream": stream},
        {"id": "i8", "from_ts": "time", "to_ts": "time"},
    )
    if not len(marks["id"]):
        return 0, False
    start = np.maximum(marks["from_ts"], oldest) // MINUTE_US * MINUTE_US
    end = (marks["to_ts"] // MINUTE_US + 1) * MINUTE_US
    limit = int(start.min()) + _step_us(points)
    now_due = np.flatnonzero(start < limit)
    _, start_due, end_due = join_stretches(
        np.zeros(len(now_due), np.int64), start[now_due], np.minimum(end[now_due], limit)
    )
    end_due = np.minimum(end_due, done)
    slot, starts, ends = find_touched(connection, points, start_due, end_due, done)
    written = write_buckets(connection, store, points, slot, starts, ends, replace=True)
    if len(starts):
        _derive_again_used(connection, stream, starts, ends)
    connection.execute("DELETE FROM dirty WHERE id = ANY(%s)", (marks["id"][end <= limit].tolist(),))
    connection.execute(
        "UPDATE dirty SET from_ts = at_us(%s) WHERE id = ANY(%s)",
        (limit, marks["id"][now_due[end[now_due] > limit]].tolist()),
    )
    return written, bool((end > limit).any())


def mark_replaced(connection: Connection, stream: int, changed: Int64s, gone: tuple[Int32s, Int64s]) -> None:
    """Within a transaction: readings of derived points were written anew; `changed`: their times (µs).

    gone: points and times of those that are no more. What they held is taken back, and what is left is written anew.
    """
    mark_dirty(connection, stream, changed, FOREVER)
    point, time = gone
    if not len(point):
        return
    connection.execute(
        """
        WITH held AS (
          SELECT g.point_id, at_us(g.us) AS ts, p.max_age_ms * interval '1 millisecond' AS max_age
          FROM unnest(%(point)s::int[], %(time)s::bigint[]) AS g(point_id, us) JOIN point p ON p.id = g.point_id
        ), taken AS (
          DELETE FROM rollup_1m b USING held h WHERE b.point_id = h.point_id
            AND b.bucket >= date_trunc('minute', h.ts) AND b.bucket < h.ts + h.max_age
            AND b.bucket >= date_trunc('minute', at_us(%(first)s))
        )
        INSERT INTO dirty (stream_id, from_ts, to_ts)
        SELECT %(stream)s, min(ts - max_age), max(ts + max_age) FROM held
        """,
        {"stream": stream, "point": point.tolist(), "time": time.tolist(), "first": int(time.min())},
    )


def derive_again(connection: Connection, start: Int64s, end: Int64s) -> None:
    """Note stretches (µs, whole minutes) in which something came that derivations of the park stream may have used."""
    _, starts, ends = join_stretches(np.zeros(len(start), np.int64), start, end)
    connection.execute(
        """
        INSERT INTO derive_again (from_ts, to_ts)
        SELECT at_us(f), at_us(t) FROM unnest(%s::bigint[], %s::bigint[]) AS x(f, t)
        """,
        (starts.tolist(), ends.tolist()),
    )


def _derive_again_used(connection: Connection, stream: int, start: Int64s, end: Int64s) -> None:
    """Note which of the stretches that were written just now derivations have used before.

    Whoever rolls also derives, so that none can use them meanwhile. Nothing is derived from the park stream's minutes.
    """
    row = connection.execute(
        "SELECT us_of(max(d.done)) FROM derived_until d WHERE (SELECT kind FROM stream WHERE id = %s) <> 'park'",
        (stream,),
    ).fetchone()
    if row is None or row[0] is None:
        return
    used = start < row[0]
    if used.any():
        derive_again(connection, start[used], np.minimum(end[used], row[0]))
