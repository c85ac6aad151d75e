import math
import random
import threading
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from park_platform.storage.buckets import MINUTE_US, BucketFlag
from park_platform.storage.connect import Connection
from park_platform.storage.readings import copy_readings
from park_platform.storage.rollups import mark_dirty, roll, roll_all, streams_to_roll
from park_wire.quality import LATE, Quality
from support.buckets import PlainPoint, plain_bucket
from support.database import ParkDatabase
from support.series import DAY, MINUTE, NOON, SECOND, Row, add_points, add_stream, frame_of

BAD, UNCERTAIN = int(Quality.BAD), int(Quality.UNCERTAIN)
NOW = NOON + DAY
COLUMNS = (
    "count, good_count, min, max, mean, good_seconds, first, us_of(first_ts) AS first_ts, last, "
    "us_of(last_ts) AS last_ts, flags, consumption"
)
KINDS = (
    PlainPoint(max_age=3 * SECOND),
    PlainPoint(max_age=150 * SECOND),
    PlainPoint(max_age=90 * SECOND, counter=True),
)


@dataclass
class Park:
    """The two roles that work on rollups, and what a commit does to them."""

    admin: Connection
    ingest: Connection
    operate: Connection

    def add_stream(self) -> tuple[int, list[int]]:
        """A stream with a point of each of KINDS."""
        stream, _ = add_stream(self.admin, 0)
        points = [
            add_points(
                self.admin,
                stream,
                1,
                quantity="active-energy" if kind.counter else "pressure",
                # So often that a round's million readings are five minutes.
                period_ms=1,
                max_age_ms=kind.max_age // 1000,
                low=kind.low,
                high=kind.high,
            )[0]
            for kind in KINDS
        ]
        return stream, points

    def commit(self, stream: int, rows: list[Row], until: int | None) -> None:
        """What the intake does: readings, what is behind event_until, event_until."""
        with self.ingest.transaction():
            row = self.ingest.execute(
                "SELECT us_of(event_until) FROM stream WHERE id = %s FOR UPDATE", (stream,)
            ).fetchone()
            before = None if row is None else row[0]
            frame = frame_of(rows)
            copied = copy_readings(self.ingest, frame, now=NOW)
            if before is not None:
                mark_dirty(self.ingest, stream, frame.time[copied.stored], before)
            self.ingest.execute(
                "UPDATE stream SET event_until = greatest(event_until, at_us(%s)) WHERE id = %s", (until, stream)
            )

    def roll_all(self, stream: int) -> int:
        """Every round that there is to do; returns how many buckets were written."""
        written = 0
        for _ in range(10_000):
            rolled = roll(self.operate, stream, NOW)
            written += rolled.buckets
            if not rolled.more:
                assert stream not in streams_to_roll(self.operate)
                return written
        raise AssertionError("there is always more to do")

    def buckets(self, points: list[int]) -> dict[tuple[int, int], dict[str, object]]:
        """What `rollup_1m` holds of these points, by (point, bucket)."""
        cursor = self.operate.execute(
            f"SELECT point_id, us_of(bucket), {COLUMNS} FROM rollup_1m WHERE point_id = ANY(%s)", (points,)
        )
        assert cursor.description is not None
        names = [column.name for column in cursor.description][2:]
        return {(row[0], row[1]): dict(zip(names, row[2:], strict=True)) for row in cursor}

    def plain_buckets(self, points: list[int], until: int) -> dict[tuple[int, int], dict[str, object]]:
        """What it ought to hold, from what `reading` holds."""
        result: dict[tuple[int, int], dict[str, object]] = {}
        for point, kind in zip(points, KINDS, strict=True):
            readings = self.operate.execute(
                "SELECT us_of(ts), value, quality FROM reading WHERE point_id = %s ORDER BY ts", (point,)
            ).fetchall()
            if readings:
                first = readings[0][0] // MINUTE_US * MINUTE_US
                last = min(until, readings[-1][0] + kind.max_age + MINUTE_US)
                for bucket in range(first, last // MINUTE_US * MINUTE_US, MINUTE_US):
                    found = plain_bucket(kind, readings, bucket)
                    if found is not None:
                        result[point, bucket] = found
        return result


def same(found: dict[tuple[int, int], dict[str, object]], expected: dict[tuple[int, int], dict[str, object]]) -> None:
    assert sorted(found) == sorted(expected)
    for key, bucket in expected.items():
        for column, value in bucket.items():
            close = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            assert found[key][column] == close, (key, column)


@pytest.fixture
def rollups(park: ParkDatabase) -> Generator[Park]:
    with park.connection() as admin, park.connection("ingest") as ingest, park.connection("operate") as operate:
        yield Park(admin, ingest, operate)


_rows = st.lists(
    st.tuples(
        st.integers(0, len(KINDS) - 1),
        st.one_of(st.integers(0, 420).map(lambda s: s * SECOND), st.integers(0, 420 * SECOND)),
        st.sampled_from([0.0, 5.0, 50.0, 95.0, 100.0, math.nan, math.inf]),
        st.sampled_from([0, 0, 0, BAD, UNCERTAIN, LATE]),
    ),
    max_size=10,
)
_commits = st.lists(st.tuples(_rows, st.one_of(st.none(), st.integers(0, 500)), st.sampled_from([0, 1, 9])), max_size=6)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commits=_commits)
# A late counter reading moves a step from a bucket far behind its own.
@example(
    commits=[
        ([(2, 10 * SECOND, 5.0, 0), (2, 400 * SECOND, 50.0, 0)], 480, 9),
        ([(2, 20 * SECOND, 7.0, 0), (2, 30 * SECOND, math.nan, BAD)], None, 1),
    ]
)
# A late bad reading ends a value that held through a bucket without readings.
@example(
    commits=[([(1, 10 * SECOND, 5.0, 0)], 480, 9), ([(1, 50 * SECOND, math.nan, BAD)], None, 0)],
)
def test_any_arrival_order_against_reading_by_reading(
    rollups: Park, commits: list[tuple[list[tuple[int, int, float, int]], int | None, int]]
) -> None:
    stream, points = rollups.add_stream()
    until = NOON
    for rows, seconds, rounds in commits:
        rollups.commit(
            stream,
            [(points[p], NOON + t, v, q) for p, t, v, q in rows],
            None if seconds is None else NOON + seconds * SECOND,
        )
        until = max(until, NOON + (seconds or 0) * SECOND)
        for _ in range(rounds):
            roll(rollups.operate, stream, NOW)
    rollups.commit(stream, [], until)
    rollups.roll_all(stream)
    same(rollups.buckets(points), rollups.plain_buckets(points, until))
    assert rollups.roll_all(stream) == 0


def test_bounded_steps_over_an_empty_time(rollups: Park) -> None:
    stream, points = rollups.add_stream()
    rows = [(points[0], NOON + i * MINUTE, float(i), 0) for i in range(14)]
    rows += [(points[2], NOON + DAY // 2 + i * MINUTE, float(i), 0) for i in range(3)]
    until = NOON + DAY // 2 + 3 * MINUTE
    rollups.commit(stream, rows, until)
    assert roll(rollups.operate, stream, NOW).buckets == 5
    assert roll(rollups.operate, stream, NOW).more
    rounds = 3
    while roll(rollups.operate, stream, NOW).more:
        rounds += 1
    assert rounds < 8, "an empty half day is skipped, not walked through"
    same(rollups.buckets(points), rollups.plain_buckets(points, until))

    # Late: the same time again, in steps; a second hole in the same minutes costs nothing more.
    rollups.commit(stream, [(points[0], NOON + i * MINUTE + SECOND, 1.0, LATE) for i in range(14)], None)
    rollups.commit(stream, [(points[0], NOON + i * MINUTE + 2 * SECOND, 2.0, LATE) for i in range(14)], None)
    rounds = 1
    while roll_all(rollups.operate, NOW):
        rounds += 1
    assert rounds == 3
    same(rollups.buckets(points), rollups.plain_buckets(points, until))


def test_late_data_before_everything_and_in_another_month(rollups: Park) -> None:
    stream, points = rollups.add_stream()
    rollups.commit(stream, [(points[1], NOON, 1.0, 0)], NOON + 10 * MINUTE)
    rollups.roll_all(stream)
    rollups.commit(stream, [(points[1], NOON - 40 * DAY + 59 * SECOND, 2.0, LATE)], None)
    assert stream in streams_to_roll(rollups.operate)
    rollups.roll_all(stream)
    same(rollups.buckets(points), rollups.plain_buckets(points, NOON + 10 * MINUTE))


def test_what_is_being_dropped_is_not_touched(rollups: Park) -> None:
    stream, points = rollups.add_stream()
    rollups.commit(stream, [(points[0], NOON - 80 * DAY, 1.0, 0), (points[0], NOON, 1.0, 0)], NOON + MINUTE)
    rollups.roll_all(stream)
    before = rollups.buckets(points)
    rollups.commit(stream, [(points[0], NOON - 80 * DAY + SECOND, 1.0, LATE)], None)
    roll(rollups.operate, stream, NOON + 30 * DAY)
    assert rollups.buckets(points) == before
    assert stream not in streams_to_roll(rollups.operate)


def test_a_commit_during_a_round_leaves_its_own_mark(park: ParkDatabase, rollups: Park) -> None:
    stream, points = rollups.add_stream()
    rollups.commit(stream, [(points[0], NOON, 1.0, 0)], NOON + 2 * MINUTE)
    rollups.roll_all(stream)
    rollups.commit(stream, [(points[0], NOON + SECOND, 2.0, LATE)], None)
    # A commit that is open while the round runs, and one that ends between its snapshot and its end: here the same.
    with park.connection("ingest") as other, other.transaction():
        other.execute("SELECT id FROM stream WHERE id = %s FOR UPDATE", (stream,))
        frame = frame_of([(points[0], NOON + 10 * SECOND, 3.0, LATE)])
        copy_readings(other, frame, now=NOW)
        mark_dirty(other, stream, frame.time, NOON + 2 * MINUTE)
        # It does not wait for the commit, nor the commit for it.
        assert roll(rollups.operate, stream, NOW).buckets == 1
    assert rollups.buckets(points)[points[0], NOON]["count"] == 2
    assert stream in streams_to_roll(rollups.operate)
    rollups.roll_all(stream)
    same(rollups.buckets(points), rollups.plain_buckets(points, NOON + 2 * MINUTE))


def test_commits_and_rounds_at_the_same_time(rollups: Park) -> None:
    stream, points = rollups.add_stream()
    chance = random.Random(7)
    until = NOON

    def commit_all() -> None:
        nonlocal until
        for _ in range(150):
            until += 20 * SECOND
            rows: list[Row] = [
                (chance.choice(points), until - chance.randrange(200 * SECOND), float(chance.randrange(100)), 0)
                for _ in range(5)
            ]
            rollups.commit(stream, rows, until)

    committing = threading.Thread(target=commit_all)
    committing.start()
    while committing.is_alive():
        roll(rollups.operate, stream, NOW)
    committing.join()
    rollups.roll_all(stream)
    same(rollups.buckets(points), rollups.plain_buckets(points, until))


def test_two_rollers_do_not_meet(park: ParkDatabase, rollups: Park) -> None:
    stream, points = rollups.add_stream()
    rollups.commit(stream, [(points[0], NOON, 1.0, 0)], NOON + 2 * MINUTE)
    with park.connection("operate") as other:
        other.execute("SELECT pg_advisory_lock(1919904876, %s)", (stream,))
        assert roll(rollups.operate, stream, NOW).buckets == 0
        other.execute("SELECT pg_advisory_unlock_all()")
    assert roll(rollups.operate, stream, NOW).buckets == 1


def test_dirty_rows_name_holes_apart(rollups: Park) -> None:
    stream, _ = rollups.add_stream()
    times = np.array([NOON + m * MINUTE for m in (300, 5, 0, 4, 90, 95)], np.int64)
    mark_dirty(rollups.ingest, stream, times, NOON + 95 * MINUTE)
    mark_dirty(rollups.ingest, stream, times[:0], NOON)
    rows = rollups.operate.execute(
        "SELECT us_of(from_ts), us_of(to_ts) FROM dirty WHERE stream_id = %s ORDER BY 1", (stream,)
    ).fetchall()
    assert rows == [(NOON, NOON + 5 * MINUTE), (NOON + 90 * MINUTE, NOON + 90 * MINUTE)]


def test_rollover_and_reset_are_told_apart(rollups: Park) -> None:
    stream, points = rollups.add_stream()
    values = [96.0, 99.5, 1.5, 3.0, 2.0, 2.5]
    rollups.commit(stream, [(points[2], NOON + i * MINUTE, v, 0) for i, v in enumerate(values)], NOON + 6 * MINUTE)
    rollups.roll_all(stream)
    found = [(bucket["consumption"], bucket["flags"]) for _, bucket in sorted(rollups.buckets(points).items())]
    assert found == [
        (0.0, 0),
        (3.5, 0),
        (2.0, BucketFlag.ROLLOVER),
        (1.5, 0),
        (0.0, BucketFlag.RESET),
        (0.5, 0),
    ]


def test_an_unknown_quantity_is_no_counter(rollups: Park) -> None:
    stream, [point] = add_stream(rollups.admin, 1, quantity="what-was-renamed")
    rollups.commit(stream, [(point, NOON, 1.0, 0)], NOON + MINUTE)
    rollups.roll_all(stream)
    assert rollups.buckets([point])[point, NOON]["consumption"] is None
