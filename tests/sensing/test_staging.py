"""What becomes of a gateway's messages before they reach a database: order, hellos, gaps, answers."""

from dataclasses import replace

import numpy as np
import pytest

from park_platform.sensing.holding import MOST_HELD
from park_platform.storage.streams import PointMap
from park_platform.storage.work import Gap
from park_sdk.frame import NEVER
from park_wire.batch import Batch, Lane
from park_wire.messages import Birth
from support.arrivals import arrived
from support.outlet import Outlet, points
from support.stage import NOW, Stage, missing

BIRTH = Birth.of(points(2))
MAP = PointMap(np.arange(2), np.array([10, 11], np.int32))


@pytest.fixture
def outlet() -> Outlet:
    return Outlet(BIRTH)


@pytest.fixture
def stage() -> Stage:
    return Stage({BIRTH.config_version: MAP})


def batches(outlet: Outlet, n: int, lane: Lane = Lane.LIVE) -> list[Batch]:
    """Batches whose only reading is their number, counted over the lane."""
    start = outlet.lanes[lane].next_seq
    return [outlet.seal([(0, NOW + start + k, float(start + k), 0)], lane=lane) for k in range(n)]


def gap_seqs(stage: Stage) -> list[tuple[int, int | None]]:
    return [(gap.from_seq, gap.to_seq) for gap in stage.gaps]


# order ----------------------------------------------------------------------------------------------------------------


def test_what_came_early_is_committed_with_what_it_waited_for(outlet: Outlet, stage: Stage) -> None:
    first, second, third = batches(outlet, 3)
    held = [stage.take(second), stage.take(third)]
    assert stage.commit() == {}
    assert stage.pubacks == []
    last = stage.take(first)
    assert list(stage.commit()) == [(outlet.run, outlet.epoch)]
    assert stage.values == [1.0, 2.0, 3.0]
    assert stage.pubacks == [last, *held]


def test_what_waits_longer_than_two_seconds_is_discarded_with_one_question(outlet: Outlet, stage: Stage) -> None:
    _, second, third = batches(outlet, 3)
    held = [stage.take(second), stage.take(third)]
    stage.wait(1.9)
    assert stage.commit() == {}
    stage.wait(0.2)
    [need] = stage.commit().values()
    assert need.hello
    assert stage.pubacks == held


def test_more_than_64_early_batches_are_discarded(outlet: Outlet, stage: Stage) -> None:
    _, *early = batches(outlet, MOST_HELD + 2)
    for message in early[:-1]:
        stage.take(message)
    stage.wait(0)
    assert stage.commit() == {}
    stage.take(early[-1])
    stage.wait(0)
    assert len(stage.commit()) == 1
    assert len(stage.pubacks) == MOST_HELD + 1


def test_a_repeated_early_batch_is_acknowledged_to_the_broker_once_each(outlet: Outlet, stage: Stage) -> None:
    first, second = batches(outlet, 2)
    copies = [stage.take(second), stage.take(second), stage.take(first)]
    stage.commit()
    assert sorted(one.mid for one in stage.pubacks) == [one.mid for one in copies]
    assert stage.values == [1.0, 2.0]


def test_what_a_former_run_left_waiting_goes_on_with_the_new_one(outlet: Outlet, stage: Stage) -> None:
    first, second = batches(outlet, 2)
    early = stage.take(second)
    former = outlet.run
    outlet.begin_run()
    stage.take(replace(first, envelope=replace(first.envelope, run=outlet.run)))
    assert set(stage.commit()) == {(former, outlet.epoch), (outlet.run, outlet.epoch)}
    assert early in stage.pubacks
    assert stage.values == [1.0, 2.0]


def test_a_tombstone_that_passes_what_waits_answers_it(outlet: Outlet, stage: Stage) -> None:
    _, second, third = batches(outlet, 3)
    early = stage.take(second)
    stage.take(outlet.bury(1, 2))
    stage.take(third)
    stage.commit()
    # It came after all, though its gateway had given it up.
    assert early in stage.pubacks
    assert sorted(stage.values) == [2.0, 3.0]
    assert missing(stage, (outlet.epoch, Lane.LIVE)) == {1}


def test_a_full_commit_leaves_the_rest_for_the_next(
    outlet: Outlet, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("park_platform.sensing.staging.MOST_ROWS", 2)
    first, *early = batches(outlet, 5)
    for message in early:
        stage.take(message)
    stage.take(first)
    stage.commit()
    assert stage.values == [1.0, 2.0]
    assert stage.staging.is_unfinished
    stage.staging.resume(stage.now)
    stage.commit()
    stage.staging.resume(stage.now)
    stage.commit()
    assert stage.values == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert not stage.staging.is_unfinished


def test_another_content_is_kept_once_and_asked_away_every_time(outlet: Outlet, stage: Stage) -> None:
    [first, other] = batches(outlet, 2)
    stage.take(first)
    conflict = replace(other, envelope=replace(first.envelope))
    for _ in range(3):
        stage.take(conflict)
        [need] = stage.commit().values()
        assert need.epoch
    assert [letter.seq for letter in stage.letters] == [1]
    assert stage.notices == ["gateway-conflict"]


def test_noise_is_kept_once(stage: Stage) -> None:
    for _ in range(3):
        stage.staging.take_malformed(arrived(b"noise"), "not CBOR")
    stage.commit()
    assert [letter.payload for letter in stage.letters] == [b"noise"]
    assert len(stage.pubacks) == 3


def test_a_tombstone_over_committed_batches_misses_only_the_rest(outlet: Outlet, stage: Stage) -> None:
    first, second, _ = batches(outlet, 3)
    stage.take(first)
    stage.take(second)
    stage.commit()
    stage.take(outlet.bury(1, 3, reason="disk full"))
    stage.commit()
    # How many readings are in one of the three batches is not known.
    expected = Gap(outlet.epoch, Lane.LIVE, 3, 3, "disk full", 10, 20, None)
    assert stage.gaps == [expected]


def test_a_tombstone_whose_beginning_nobody_can_check_is_moved(outlet: Outlet, stage: Stage) -> None:
    for message in batches(outlet, 4)[:3]:
        stage.take(message)
    stage.commit()
    stage.fail()
    stage.take(outlet.bury(2, 4))
    [need] = stage.commit().values()
    assert need.epoch
    assert stage.gaps == []


def test_times_that_no_clock_shows_are_left_out(outlet: Outlet, stage: Stage) -> None:
    batches(outlet, 1)
    tombstone = outlet.bury(1, 1)
    stage.take(replace(tombstone, loss=replace(tombstone.loss, from_ts=-(2**63), to_ts=2**63 - 1)))
    stage.commit()
    assert [(gap.from_ts, gap.to_ts) for gap in stage.gaps] == [(None, None)]


# until ----------------------------------------------------------------------------------------------------------------


def test_until_of_live_batches_moves_event_time(outlet: Outlet, stage: Stage) -> None:
    stage.take(outlet.seal([], until=NOW))
    stage.take(outlet.seal([], until=NOW - 5))
    stage.take(outlet.seal([], until=NOW + 100, lane=Lane.BACKFILL))
    assert stage.staging.plan.until == NOW


@pytest.mark.parametrize("until", [NOW + 300_000_001, 2**63 - 1, -(2**63), -(2**62)])
def test_an_impossible_until_moves_nothing_and_spoils_no_other(outlet: Outlet, stage: Stage, until: int) -> None:
    stage.take(outlet.seal([], until=until))
    assert stage.staging.plan.until == NEVER
    assert stage.staging.plan.untils == {}
    stage.take(outlet.seal([], until=NOW))
    assert stage.staging.plan.until == NOW
    assert stage.staging.plan.untils == {(outlet.epoch, Lane.LIVE): NOW}


# births ---------------------------------------------------------------------------------------------------------------


def test_a_batch_waits_for_its_birth(outlet: Outlet) -> None:
    stage = Stage()
    [batch] = batches(outlet, 1)
    brought = stage.take(batch)
    [need] = stage.commit().values()
    assert need.birth == BIRTH.config_version
    assert stage.pubacks == []
    stage.birth(BIRTH.config_version, MAP)
    stage.commit()
    assert stage.values == [1.0]
    assert stage.pubacks == [brought]


def test_only_the_live_lane_says_which_version_is_in_force(outlet: Outlet, stage: Stage) -> None:
    other = Birth.of(points(1))
    stage.births[other.config_version] = MAP
    stage.take(outlet.seal([(0, NOW, 1.0, 0)], lane=Lane.BACKFILL, birth=other))
    assert stage.spoken == []
    stage.take(outlet.seal([(0, NOW, 1.0, 0)]))
    stage.take(outlet.seal([(0, NOW, 1.0, 0)]))
    stage.take(outlet.seal([(0, NOW, 1.0, 0)], birth=other))
    assert stage.spoken == [BIRTH.config_version, other.config_version]


# hellos ---------------------------------------------------------------------------------------------------------------


def test_every_hello_is_answered(outlet: Outlet, stage: Stage) -> None:
    for _ in range(2):
        brought = stage.hello(outlet.make_hello())
        assert list(stage.commit()) == [(outlet.run, outlet.epoch)]
        assert stage.pubacks[-1] is brought
    assert stage.gaps == []


def test_what_the_gateway_no_longer_holds_is_a_gap_once(outlet: Outlet, stage: Stage) -> None:
    messages = batches(outlet, 5)
    stage.take(messages[0])
    early = stage.take(messages[3])
    for _ in range(2):
        stage.hello(outlet.make_hello(oldest={Lane.LIVE: 4}))
        stage.commit()
    assert gap_seqs(stage) == [(2, 3)]
    # What waited behind the gap went on at once.
    assert early in stage.pubacks
    assert stage.values == [1.0, 4.0]
    stage.take(messages[2])
    stage.take(messages[4])
    stage.commit()
    assert stage.values == [1.0, 4.0, 3.0, 5.0]
    assert missing(stage, (outlet.epoch, Lane.LIVE)) == {2}


def test_an_outbox_that_differs_is_lost_once_and_asked_away_every_time(outlet: Outlet, stage: Stage) -> None:
    for message in batches(outlet, 3):
        stage.take(message)
    stage.commit()
    hello = outlet.make_hello(oldest={Lane.LIVE: 4})
    other = replace(hello, lanes=hello.lanes | {Lane.LIVE: replace(hello.lanes[Lane.LIVE], before=bytes(31) + b"\1")})
    for _ in range(3):
        stage.hello(other)
        [need] = stage.commit().values()
        assert need.epoch
    assert gap_seqs(stage) == [(4, None)]
    assert stage.notices == ["gateway-gap"]
    stage.fail()
    stage.hello(other)
    stage.commit()
    assert gap_seqs(stage) == [(4, None)]


def test_a_lane_that_was_given_up_and_comes_back_is_not_lost(outlet: Outlet, stage: Stage) -> None:
    for message in batches(outlet, 2):
        stage.take(message)
    stage.hello(outlet.make_hello())
    stage.commit()
    later = Outlet(BIRTH)
    stage.hello(later.make_hello())
    stage.commit()
    assert {(gap.lane, gap.from_seq, gap.to_seq) for gap in stage.gaps} == {
        (Lane.LIVE, 3, None),
        (Lane.BACKFILL, 1, None),
    }
    stage.fail()
    outlet.former = (later.as_former(),)
    stage.hello(outlet.make_hello())
    stage.commit()
    assert stage.gaps == []


def test_a_lost_outbox_leaves_gaps_in_every_older_epoch_and_one_in_time(outlet: Outlet, stage: Stage) -> None:
    stage.take(outlet.seal([(0, NOW, 1.0, 0)], until=NOW))
    stage.hello(outlet.make_hello())
    stage.commit()
    second = Outlet(BIRTH)
    second.made_at = NOW + 77
    # Committed before its hello: that makes it no known epoch.
    stage.take(second.seal([(0, NOW + 100, 2.0, 0)], until=NOW + 100))
    stage.commit()
    stage.staging.plan.until = NEVER
    stage.hello(second.make_hello())
    stage.commit()
    assert {(gap.epoch, gap.lane, gap.from_seq, gap.to_seq) for gap in stage.gaps} == {
        (outlet.epoch, Lane.LIVE, 2, None),
        (outlet.epoch, Lane.BACKFILL, 1, None),
    }
    assert {gap.to_ts for gap in stage.gaps} == {NOW + 77}
    [by_time] = [gap for gap in stage.gaps if gap.from_ts is not None]
    assert (by_time.epoch, by_time.lane, by_time.from_ts) == (outlet.epoch, Lane.LIVE, NOW + 100)

    third = Outlet(BIRTH)
    stage.hello(third.make_hello())
    stage.commit()
    # What was given up before is not given up again.
    assert {(gap.epoch, gap.from_seq) for gap in stage.gaps[2:]} == {(second.epoch, 2), (second.epoch, 1)}


def test_a_hello_from_before_a_loss_does_not_undo_it(outlet: Outlet, stage: Stage) -> None:
    stage.hello(outlet.make_hello())
    late = outlet.make_hello()
    second = Outlet(BIRTH)
    stage.hello(second.make_hello())
    stage.commit()
    for _ in range(2):
        stage.hello(late)
        stage.commit()
        assert len(stage.gaps) == 2
        # The next owner knows it from the gap's row.
        stage.fail()
    stage.hello(outlet.make_hello())
    stage.commit()
    assert stage.gaps == [], "the disk was put back"


def test_an_epoch_that_follows_a_known_one_lost_nothing(outlet: Outlet, stage: Stage) -> None:
    stage.hello(outlet.make_hello())
    stage.commit()
    next_one = Outlet(BIRTH)
    next_one.former = (outlet.as_former(),)
    stage.hello(next_one.make_hello())
    stage.commit()
    assert stage.gaps == []


def test_a_displaced_run_declares_no_gap_and_is_reported_once(outlet: Outlet, stage: Stage) -> None:
    for message in batches(outlet, 2):
        stage.take(message)
    former = outlet.run
    stage.hello(outlet.make_hello())
    outlet.begin_run()
    stage.hello(outlet.make_hello())
    stage.commit()
    # A hello of the displaced run, whose outbox is emptier, as a clone's may be.
    last = batches(outlet, 3)[-1]
    hello = outlet.make_hello(oldest={Lane.LIVE: 5})
    stage.hello(replace(hello, run=former))
    assert list(stage.commit()) == [(former, outlet.epoch)]
    assert stage.gaps == []
    late_on_its_way = replace(last, sealed=replace(last.sealed, sealed_at=0))
    stage.take(replace(late_on_its_way, envelope=replace(last.envelope, run=former)))
    stage.commit()
    assert stage.notices == []
    for _ in range(2):
        lives_on = replace(last, sealed=replace(last.sealed, sealed_at=2**62))
        stage.take(replace(lives_on, envelope=replace(last.envelope, run=former)))
        stage.commit()
    assert stage.notices == ["gateway-conflict"]
