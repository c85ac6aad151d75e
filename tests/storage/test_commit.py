"""One transaction takes all of a cycle or nothing of it, and only from whoever owns its streams."""

from collections.abc import Callable, Generator
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest

from park_platform.sensing.tick import tick
from park_platform.storage.attempts import begin_attempt, take_back_attempts
from park_platform.storage.commit import RulesChanged, commit
from park_platform.storage.latest import read_latest, recover_image
from park_platform.storage.readings import Fate
from park_platform.storage.streams import lanes_of
from park_platform.storage.work import Gap, Letter, MarkMove, Work
from park_platform.storage.workers import Claim
from park_wire.batch import Event, Lane
from park_wire.errors import OwnershipLost
from support.database import ParkDatabase
from support.intake import Rule, apply, park_file
from support.outlet import SECOND, now_us
from support.planted import Owner, own, plant

RULES: tuple[Rule, ...] = ({"id": "high", "kind": "H", "on": {"quantity": "pressure"}, "limit": 1.0},)
EPOCH = bytes(range(16))
_TABLES = ("reading", "event", "journal", "alarm", "lane", "gap", "dead_letter", "rule_state", "dirty", "latest_pack")


@pytest.fixture
def owner(fresh_park_database: ParkDatabase) -> Generator[Owner]:
    plant(fresh_park_database, "edge", "other", rules=RULES)
    with fresh_park_database.connection("ingest") as connection, fresh_park_database.connection() as admin:
        owner = own(connection, "edge")
        owner.admin = admin
        yield owner


@pytest.fixture
def start() -> int:
    return now_us() - 60 * SECOND


def full(owner: Owner, start: int) -> Work:
    """A work that writes into every table."""
    work = owner.work([(0, start, 1.5)], until=start, pack=True)
    work.events.append(Event("plc-1", start, "notice", {"text": "hello"}))
    work.moves.append(MarkMove(EPOCH, Lane.LIVE, 0, 3, bytes(32), start))
    work.gaps.append(Gap(EPOCH, Lane.LIVE, 1, 2, "disk full", start, start, 7))
    work.letters.append(Letter("damaged", b"\0", EPOCH, Lane.LIVE, 3))
    return work


def counts(owner: Owner) -> dict[str, int]:
    return {name: owner.look(f"SELECT count(*) FROM {name}")[0][0] for name in _TABLES}


def test_everything_is_committed_together(owner: Owner, start: int) -> None:
    done = commit(owner.connection, [full(owner, start)], incarnation=owner.incarnation, tick=tick, now=now_us())
    assert counts(owner) == {**dict.fromkeys(_TABLES, 1), "dirty": 0}
    assert done.copied.count(Fate.STORED) == 1
    assert done.streams[0].live_seq == 1
    [(until, live_seq, journal_seq)] = owner.look(
        "SELECT us_of(event_until), live_seq, journal_seq FROM stream WHERE name = 'gw-edge'"
    )
    assert (until, live_seq, journal_seq) == (start, 1, 1)
    [lane] = lanes_of(owner.connection, owner.gateway.id)
    assert (lane.mark, lane.gaps, lane.lost) == (3, ((1, 2),), False)


def _mark_elsewhere(owner: Owner, work: Work) -> Work:
    work.moves[0] = replace(work.moves[0], before=1)
    return work


def _second_mark_elsewhere(owner: Owner, work: Work) -> Work:
    work.moves.append(MarkMove(EPOCH, Lane.BACKFILL, 4, 5, bytes(32), None))
    return work


def _former_term(owner: Owner, work: Work) -> Work:
    work.claim = Claim(work.claim.stream, work.claim.worker, work.claim.term - 1)
    return work


def _another_worker(owner: Owner, work: Work) -> Work:
    work.claim = Claim(work.claim.stream, uuid4(), work.claim.term)
    return work


@pytest.mark.parametrize("wrong", [_mark_elsewhere, _second_mark_elsewhere, _former_term, _another_worker])
def test_who_is_not_the_owner_commits_nothing(owner: Owner, start: int, wrong: Callable[[Owner, Work], Work]) -> None:
    work = wrong(owner, full(owner, start))
    with pytest.raises(OwnershipLost):
        commit(owner.connection, [work], incarnation=owner.incarnation, tick=tick, now=now_us())
    assert counts(owner) == dict.fromkeys(_TABLES, 0)


def test_a_restored_database_takes_nothing_from_before(
    owner: Owner, fresh_park_database: ParkDatabase, start: int
) -> None:
    with fresh_park_database.connection() as connection:
        connection.execute("UPDATE installation SET db_incarnation = gen_random_uuid()")
    with pytest.raises(OwnershipLost, match="restored"):
        owner.feed([(0, start, 1.5)])
    assert counts(owner)["reading"] == 0


def test_rules_that_changed_are_loaded_first(owner: Owner, fresh_park_database: ParkDatabase, start: int) -> None:
    apply(fresh_park_database, park_file("edge", "other", rules=({**RULES[0], "limit": 2.0},)))
    with pytest.raises(RulesChanged):
        owner.feed([(0, start, 1.5)])
    assert counts(owner)["reading"] == 0
    owner.reload()
    owner.feed([(0, start, 1.5)])
    assert owner.alarms() == []


def test_a_birth_of_another_gateway_changes_no_rules(
    owner: Owner, fresh_park_database: ParkDatabase, start: int
) -> None:
    with fresh_park_database.connection("ingest") as connection:
        own(connection, "other")
    owner.feed([(0, start, 1.5)])
    assert owner.alarms() == [("high", "unacknowledged", 1)]


def test_a_failing_tick_leaves_no_trace(owner: Owner, start: int) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        commit(owner.connection, [full(owner, start)], incarnation=owner.incarnation, tick=fails, now=now_us())  # pyright: ignore[reportArgumentType]
    assert counts(owner) == dict.fromkeys(_TABLES, 0)


def test_several_streams_go_in_one_transaction(owner: Owner, start: int) -> None:
    other = own(owner.connection, "other", worker=owner.claim.worker)
    works = [owner.work([(0, start, 1.5)], until=start), other.work([(1, start, 0.5), (0, start, 2.5)])]
    done = commit(owner.connection, works, incarnation=owner.incarnation, tick=tick, now=now_us())
    assert [len(committed.ticked.shown) for committed in done.streams] == [1, 2]
    assert [(rule, point) for rule, _, point, _ in owner.journal()] == [("high", 0)]
    assert [(rule, point) for rule, _, point, _ in other.journal()] == [("high", 0)]


def test_late_readings_are_stored_and_mark_what_must_be_rolled_up_again(owner: Owner, start: int) -> None:
    owner.feed([(0, start, 0.5)], until=start)
    assert counts(owner)["dirty"] == 0
    owner.feed([(0, start - 2 * SECOND, 1.5), (0, start - SECOND, 1.5), (1, start + SECOND, 0.5)])
    assert owner.journal() == []
    stored = owner.look("SELECT quality FROM reading ORDER BY quality")
    assert [quality for (quality,) in stored] == [0, 0, 1 << 12, 1 << 12]
    assert owner.look("SELECT stream_id, us_of(from_ts), us_of(to_ts) FROM dirty") == [
        (owner.claim.stream, start - 2 * SECOND, start - SECOND)
    ]


def test_what_is_there_already_moves_nothing(owner: Owner, start: int) -> None:
    owner.feed([(0, start, 0.5)], until=start)
    work = owner.work([(0, start, 0.5), (0, start, 1.5), (1, start + 3600 * SECOND, 1.5)])
    done = commit(owner.connection, [work], incarnation=owner.incarnation, tick=tick, now=now_us())
    fates = (Fate.STORED, Fate.DUPLICATE, Fate.CONFLICT, Fate.QUARANTINED)
    assert [done.copied.count(fate) for fate in fates] == [0, 1, 1, 1]
    assert len(done.streams[0].ticked.shown) == 0
    assert owner.journal() == []
    # Nothing was shown, so consoles get no number.
    assert done.streams[0].live_seq == 1
    assert counts(owner)["dirty"] == 0


def test_the_pack_is_the_image_after_the_commit(owner: Owner, start: int) -> None:
    owner.feed([(0, start, 0.5)], pack=True)
    owner.feed([(0, start + SECOND, 0.75), (1, start, 2.5)])
    points = np.array(owner.points[:2], np.int32)
    assert read_latest(owner.connection, points).image.value.tolist()[0] == 0.5
    owner.feed(pack=True)
    latest = read_latest(owner.connection, points)
    assert latest.image.value.tolist() == [0.75, 2.5]
    assert latest.seq == {"gw-edge": 2}
    assert recover_image(owner.connection, owner.claim.stream).time.tolist()[:2] == [start + SECOND, start]


def test_events_are_stored_once_and_impossible_ones_kept_aside(owner: Owner, start: int) -> None:
    good = Event("plc-1", start, "weigh-ticket", {"plate": "蒙B12345"})
    wild = [replace(good, time=at) for at in (0, -(2**63), 2**63 - 1, now_us() + 3600 * SECOND)]
    known: list[int] = []
    for _ in range(2):
        work = owner.work(events=[good, good, *wild])
        done = commit(owner.connection, [work], incarnation=owner.incarnation, tick=tick, now=now_us())
        known.append(done.known_events)
    assert known == [1, 2]
    assert counts(owner)["event"] == 1
    assert counts(owner)["dead_letter"] == 8


def test_a_gap_that_is_filled_within_its_own_commit_is_none(owner: Owner) -> None:
    owner.feed(gaps=[Gap(EPOCH, Lane.LIVE, 2, 6, "gone")], filled=[(EPOCH, Lane.LIVE, 2), (EPOCH, Lane.LIVE, 4)])
    owner.feed(filled=[(EPOCH, Lane.LIVE, 6)])
    assert owner.look("SELECT from_seq, to_seq FROM gap ORDER BY from_seq") == [(3, 3), (5, 5)]


def test_a_lane_that_was_given_up_and_goes_on_is_missing_from_there(owner: Owner, start: int) -> None:
    owner.feed(moves=[MarkMove(EPOCH, Lane.LIVE, 0, 3, bytes(32), None)])
    owner.feed(gaps=[Gap(EPOCH, Lane.LIVE, 4, None, "lost"), Gap(EPOCH, Lane.BACKFILL, 1, None, "lost")])
    [live] = [row for row in lanes_of(owner.connection, owner.gateway.id) if row.lane is Lane.LIVE]
    assert (live.mark, live.lost) == (3, True)
    owner.feed(moves=[MarkMove(EPOCH, Lane.LIVE, 3, 5, bytes(32), None, lost=True)])
    assert owner.look("SELECT lane, from_seq, to_seq FROM gap ORDER BY lane") == [
        ("backfill", 1, None),
        ("live", 6, None),
    ]
    owner.feed(renewed=[(EPOCH, Lane.BACKFILL, start)])
    assert [row.renewed_at for row in lanes_of(owner.connection, owner.gateway.id)] == [start, None]
    owner.feed(recovered=[(EPOCH, Lane.LIVE)])
    assert owner.look("SELECT lane, from_seq, to_seq FROM gap") == [("backfill", 1, None)]
    [backfill, live] = lanes_of(owner.connection, owner.gateway.id)
    assert (backfill.lost, live.lost) == (True, False)


def test_attempts_are_counted_before_and_forgotten_after(owner: Owner) -> None:
    stream, sha256 = owner.claim.stream, bytes(32)
    assert [begin_attempt(owner.connection, stream, sha256) for _ in range(2)] == [1, 2]
    take_back_attempts(owner.connection, [(stream, sha256), (stream, bytes(31) + b"x")])
    assert begin_attempt(owner.connection, stream, sha256) == 2
    owner.feed(tried=[sha256])
    assert begin_attempt(owner.connection, stream, sha256) == 1
