"""What every engine must do alike: store readings once, keep partitions, and let nobody wait for it."""

import math
import threading
import time

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from park_platform.storage.connect import Connection
from park_platform.storage.engines.store import open_store
from park_platform.storage.partitions import AHEAD_DAYS, keep_partitions
from park_platform.storage.readings import Fate, copy_readings
from park_platform.storage.roles import as_owner
from park_wire.quality import LATE, Quality
from support.database import ParkDatabase
from support.series import DAY, MINUTE, NOON, SECOND, Row, add_stream, as_bytes, frame_of, rows_of, stored

NAN = math.nan
BAD = int(Quality.BAD)


def copy(connection: Connection, rows: list[Row], now: int = NOON) -> list[Fate]:
    with connection.transaction():
        copied = copy_readings(connection, frame_of(rows), now=now)
    assert copied.stored.tolist() == [fate == Fate.STORED for fate in copied.fate.tolist()]
    return [Fate(fate) for fate in copied.fate.tolist()]


def conflicts(connection: Connection, point: int) -> list[tuple[int, float, float, int]]:
    return connection.execute(
        "SELECT us_of(ts), kept, value, quality FROM reading_conflict WHERE point_id = %s ORDER BY ts, value", (point,)
    ).fetchall()


def test_values_and_times_are_kept_to_the_bit(admin: Connection, ingest: Connection) -> None:
    _, [a, b] = add_stream(admin, 2)
    values = [0.0, -0.0, 1e-310, 1.7976931348623157e308, -math.inf, math.inf, NAN, 0.1]
    rows = [(b if i % 2 else a, NOON - i, value, (i << 8) | BAD) for i, value in enumerate(values)]
    assert copy(ingest, rows) == [Fate.STORED] * len(rows)
    assert stored(admin, [a, b]) == {(p, t, as_bytes(v), q) for p, t, v, q in rows}


def test_an_empty_frame(ingest: Connection) -> None:
    assert copy(ingest, []) == []


def test_repeats_within_a_frame(admin: Connection, ingest: Connection) -> None:
    _, [p] = add_stream(admin, 1)
    rows = [
        (p, NOON, 1.0, 0),
        (p, NOON + 1, NAN, BAD),
        (p, NOON, 1.0, 0),
        (p, NOON, 2.0, 0),
        (p, NOON, 1.0, BAD),
        (p, NOON + 1, NAN, BAD),
    ]
    assert copy(ingest, rows) == [
        Fate.STORED,
        Fate.STORED,
        Fate.DUPLICATE,
        Fate.CONFLICT,
        Fate.CONFLICT,
        Fate.DUPLICATE,
    ]
    assert conflicts(admin, p) == [(NOON, 1.0, 1.0, BAD), (NOON, 1.0, 2.0, 0)]
    assert stored(admin, [p]) == {(p, NOON, as_bytes(1.0), 0), (p, NOON + 1, as_bytes(NAN), BAD)}


def test_repeats_of_what_is_stored(admin: Connection, ingest: Connection) -> None:
    _, [p, q] = add_stream(admin, 2)
    first = [(p, NOON, 1.0, 0), (q, NOON, NAN, BAD), (q, NOON + 1, 5.0, 0)]
    copy(ingest, first)
    again = [
        (q, NOON, NAN, BAD),
        (p, NOON - 1, 0.5, 0),
        (p, NOON, 1.0, LATE),
        (q, NOON + 1, 6.0, 0),
        (p, NOON + 1, 1.5, 0),
        (q, NOON + 1, 6.0, 0),
    ]
    assert copy(ingest, again) == [
        Fate.DUPLICATE,
        Fate.STORED,
        Fate.DUPLICATE,
        Fate.CONFLICT,
        Fate.STORED,
        Fate.CONFLICT,
    ]
    assert conflicts(admin, q) == [(NOON + 1, 5.0, 6.0, 0)] * 2
    kept = [*first, (p, NOON - 1, 0.5, 0), (p, NOON + 1, 1.5, 0)]
    assert stored(admin, [p, q]) == {(a, b, as_bytes(c), d) for a, b, c, d in kept}


def test_impossible_times_go_to_quarantine(admin: Connection, ingest: Connection) -> None:
    _, [p] = add_stream(admin, 1)
    oldest = NOON // DAY * DAY - 90 * DAY
    times = [oldest - 1, oldest, NOON + 5 * MINUTE, NOON + 5 * MINUTE + 1, 2**63 - 1, -(2**63), 0]
    fates = copy(ingest, [(p, t, float(i), 0) for i, t in enumerate(times)])
    out, kept = Fate.QUARANTINED, Fate.STORED
    assert fates == [out, kept, kept, out, out, out, out]
    assert {t for _, t, _, _ in stored(admin, [p])} == {oldest, NOON + 5 * MINUTE}
    rows = admin.execute(
        "SELECT time_us, value, reason FROM quarantine WHERE point_id = %s ORDER BY time_us", (p,)
    ).fetchall()
    old, ahead = "older than the 90 days that are kept", "more than 5 min in the future"
    assert rows == [
        (-(2**63), 5.0, old),
        (0, 6.0, old),
        (oldest - 1, 0.0, old),
        (NOON + 5 * MINUTE + 1, 3.0, ahead),
        (2**63 - 1, 4.0, ahead),
    ]


def test_days_without_a_partition_and_with_repeats(admin: Connection, ingest: Connection) -> None:
    _, [p] = add_stream(admin, 1)
    rows = [(p, NOON - day * DAY, float(day), 0) for day in range(15, 21)]
    assert set(copy(ingest, rows[:3])) == {Fate.STORED}
    assert copy(ingest, rows) == [Fate.DUPLICATE] * 3 + [Fate.STORED] * 3
    assert {t for _, t, _, _ in stored(admin, [p])} == {t for _, t, _, _ in rows}


def test_a_rolled_back_transaction_leaves_nothing(admin: Connection, ingest: Connection) -> None:
    _, [p] = add_stream(admin, 1)
    with ingest.transaction(force_rollback=True):
        copy_readings(ingest, frame_of([(p, NOON, 1.0, 0), (p, NOON, 2.0, 0), (p, NOON - 44 * DAY, 1.0, 0)]), now=NOON)
    assert stored(admin, [p]) == set()
    assert conflicts(admin, p) == []


_values = st.sampled_from([0.0, 1.0, NAN])
_frames = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 2), _values, st.sampled_from([0, BAD, LATE])), max_size=12),
    max_size=4,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=_frames)
def test_any_frames_against_a_dictionary(
    admin: Connection, ingest: Connection, frames: list[list[tuple[int, int, float, int]]]
) -> None:
    _, points = add_stream(admin, 3)
    kept: dict[tuple[int, int], tuple[bytes, int]] = {}
    lost: list[tuple[int, int, bytes, int]] = []
    for drawn in frames:
        rows: list[Row] = [(points[p], NOON + t, v, q) for p, t, v, q in drawn]
        expected: list[Fate] = []
        for p, t, v, q in rows:
            there = kept.get((p, t))
            if there is None:
                kept[p, t] = as_bytes(v), q
                expected.append(Fate.STORED)
            elif there[0] == as_bytes(v) and there[1] & ~LATE == q & ~LATE:
                expected.append(Fate.DUPLICATE)
            else:
                expected.append(Fate.CONFLICT)
                lost.append((p, t, as_bytes(v), q))
        assert copy(ingest, rows) == expected
    assert stored(admin, points) == {(p, t, *rest) for (p, t), rest in kept.items()}
    written = admin.execute(
        "SELECT point_id, us_of(ts), value, quality FROM reading_conflict WHERE point_id = ANY(%s)", (points,)
    ).fetchall()
    assert sorted((p, t, as_bytes(v), q) for p, t, v, q in written) == sorted(lost)


def test_partitions_are_kept_ahead_and_dropped_behind(
    admin: Connection, ingest: Connection, operate: Connection
) -> None:
    _, [p] = add_stream(admin, 1)
    later = NOON + 40 * DAY
    copy(ingest, [(p, NOON - day * DAY, 1.0, 0) for day in (88, 50, 0)])
    keep_partitions(operate, later)
    oldest = later // DAY * DAY - 90 * DAY
    engine = open_store(operate).engine
    days = engine.partitions(operate, "reading")
    assert days == sorted(days, key=lambda day: day.start)
    assert min(day.end for day in days) > oldest - DAY
    assert {t for _, t, _, _ in stored(admin, [p])} == {NOON - 50 * DAY, NOON}
    if engine.name == "plain":
        starts = {day.start for day in days}
        ahead = {(later // DAY + n) * DAY for n in range(AHEAD_DAYS + 1)}
        assert ahead <= starts
    assert all(day.size_bytes > 0 for day in days)
    again = keep_partitions(operate, later)
    assert (again.made, again.dropped, again.busy) == (0, (), ())
    row = operate.execute("SELECT current_user, current_setting('lock_timeout')").fetchone()
    assert row == ("park_operate", "0")


def test_an_open_export_and_an_open_copy_hold_up_nobody(
    park: ParkDatabase, admin: Connection, ingest: Connection, operate: Connection
) -> None:
    _, [p, q] = add_stream(admin, 2)
    later = NOON + 200 * DAY
    copy(ingest, [(p, later, 1.0, 0), (p, later - 80 * DAY, 1.0, 0), (p, later - 89 * DAY, 1.0, 0)], now=later)
    with (
        park.connection("report") as export,
        park.connection("ingest") as open_copy,
        export.transaction(),
        open_copy.transaction(),
    ):
        # The export has read the old days, the COPY has written today: both keep their locks.
        assert export.execute("SELECT count(*) FROM reading WHERE point_id = %s", (p,)).fetchone() == (3,)
        copy_readings(open_copy, frame_of([(q, later, 1.0, 0)]), now=later)

        done = threading.Event()
        slowest = [0.0]

        def copy_all_the_time() -> None:
            with park.connection("ingest") as busy:
                n = 0
                while not done.is_set():
                    n += 1
                    begun = time.monotonic()
                    copy(busy, [(p, later + n, 1.0, 0), (p, later + 2 * DAY + n, 1.0, 0)], now=later + 2 * DAY)
                    slowest[0] = max(slowest[0], time.monotonic() - begun)

        writer = threading.Thread(target=copy_all_the_time)
        writer.start()
        try:
            begun = time.monotonic()
            kept = keep_partitions(operate, later + 11 * DAY)
            took = time.monotonic() - begun
        finally:
            done.set()
            writer.join(timeout=30)
        assert not writer.is_alive()
        assert kept.busy, "the export still reads what is to be dropped"
        assert kept.dropped == ()
        if open_store(operate).engine.name == "plain":
            assert kept.made > 0
        # A second of waiting, not one for each of the old partitions.
        assert took < 4
        assert slowest[0] < 0.9, "a COPY waited for the partition job"
        # A second round, while the first is half done, makes what is missing and is as patient.
        assert set(keep_partitions(operate, later + 12 * DAY).busy) >= set(kept.busy)
        assert export.execute("SELECT count(*) FROM reading WHERE point_id = %s", (p,)).fetchone() is not None
    after = keep_partitions(operate, later + 11 * DAY)
    assert set(kept.busy) & set(after.dropped)
    assert after.busy == ()
    assert min(t for _, t, _, _ in stored(admin, [p])) == later - 80 * DAY


def test_a_day_comes_back_while_another_transaction_makes_it_too(
    park: ParkDatabase, admin: Connection, ingest: Connection
) -> None:
    _, [p, q] = add_stream(admin, 2)
    day = NOON - 33 * DAY
    with park.connection("ingest") as other:
        with other.transaction():
            copy_readings(other, frame_of([(q, day, 1.0, 0)]), now=NOON)
            waiting = threading.Thread(target=copy, args=(ingest, [(p, day, 2.0, 0)]))
            waiting.start()
            time.sleep(0.2)
        waiting.join(timeout=20)
    assert len(stored(admin, [p, q])) == 2


def test_operate_alone_may_drop(admin: Connection, ingest: Connection) -> None:
    _, [p] = add_stream(admin, 1)
    copy(ingest, [(p, NOON, 1.0, 0)])
    for refused in ("DELETE FROM reading", "UPDATE reading SET value = 0", "TRUNCATE reading", "DROP TABLE reading"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ingest.execute(refused)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(ingest):
        pass


def test_frames_of_any_order_are_the_same(admin: Connection, ingest: Connection) -> None:
    _, [p, q] = add_stream(admin, 2)
    rows = [(point, NOON + i * SECOND, float(i), 0) for i in range(50) for point in (q, p)]
    assert set(copy(ingest, rows[::-1])) == {Fate.STORED}
    assert set(copy(ingest, rows)) == {Fate.DUPLICATE}
    assert rows_of(frame_of(rows)) == rows
