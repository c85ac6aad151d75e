"""What becomes of batches that were moved to a new epoch, and of poison, before they reach a database."""

import numpy as np
import pytest

from park_platform.sensing.link import Arrived
from park_platform.storage.streams import PointMap
from park_wire.batch import Batch, Lane, Origin, Tombstone
from park_wire.messages import Birth
from support.arrivals import arrived_message
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


def batches(outlet: Outlet, n: int) -> list[Batch]:
    """Live batches whose only reading is their number."""
    start = outlet.lanes[Lane.LIVE].next_seq
    return [outlet.seal([(0, NOW + start + k, float(start + k), 0)]) for k in range(n)]


def test_a_moved_batch_that_is_committed_only_passes_the_mark(outlet: Outlet, stage: Stage) -> None:
    first, second = batches(outlet, 2)
    stage.take(first)
    stage.commit()
    moved = Outlet(BIRTH)
    for seq, message in enumerate((first, second), start=1):
        copy = moved.append(message.sealed, origin=Origin(outlet.epoch, Lane.LIVE, seq))
        stage.take(copy)
    stage.commit()
    assert stage.values == [1.0, 2.0]
    assert stage.lanes.of(moved.epoch, Lane.LIVE).mark == 2


def test_a_batch_that_moved_twice_is_stored_once(outlet: Outlet, stage: Stage) -> None:
    """The ack of its second epoch was lost: what is moved on is committed, though never under its first identity."""
    [batch] = batches(outlet, 1)
    origin = Origin(outlet.epoch, Lane.LIVE, 1)
    for _ in range(2):
        moved = Outlet(BIRTH)
        stage.take(moved.append(batch.sealed, origin=origin))
        stage.commit()
        assert stage.lanes.of(moved.epoch, Lane.LIVE).mark == 1
    assert stage.values == [1.0]


def test_an_original_that_its_move_overtook_is_stored_once(outlet: Outlet, stage: Stage) -> None:
    first, other = batches(outlet, 2)
    stage.take(Outlet(BIRTH).append(first.sealed, origin=Origin(outlet.epoch, Lane.LIVE, 1)))
    stage.commit()
    stage.take(first)
    stage.take(other)
    stage.commit()
    assert stage.values == [1.0, 2.0]
    assert stage.lanes.of(outlet.epoch, Lane.LIVE).mark == 2


def test_a_moved_batch_from_within_a_gap_is_stored(outlet: Outlet, stage: Stage) -> None:
    messages = batches(outlet, 2)
    stage.take(outlet.bury(1, 2))
    stage.commit()
    moved = Outlet(BIRTH)
    stage.take(moved.append(messages[1].sealed, origin=Origin(outlet.epoch, Lane.LIVE, 2)))
    stage.commit()
    assert stage.values == [2.0]


def test_another_outbox_s_batch_fills_no_gap(outlet: Outlet, stage: Stage) -> None:
    [batch] = batches(outlet, 1)
    other = Outlet(BIRTH)
    other.epoch = outlet.epoch
    stage.take(outlet.bury(1, 1))
    stage.take(other.seal([(0, NOW + 77, 77.0, 0)]))
    [need] = [need for need in stage.commit().values() if need.epoch]
    assert need
    assert (stage.values, missing(stage, (outlet.epoch, Lane.LIVE))) == ([], {1})
    stage.take(batch)
    stage.commit()
    assert (stage.values, missing(stage, (outlet.epoch, Lane.LIVE))) == ([1.0], set())


def test_what_filled_a_gap_is_known_when_it_moves(outlet: Outlet, stage: Stage) -> None:
    first, second = batches(outlet, 2)
    stage.take(outlet.bury(1, 2))
    stage.take(first)
    stage.commit()
    stage.take(Outlet(BIRTH).append(first.sealed, origin=Origin(outlet.epoch, Lane.LIVE, 1)))
    stage.take(Outlet(BIRTH).append(second.sealed, origin=Origin(outlet.epoch, Lane.LIVE, 2)))
    stage.take(second)
    stage.commit()
    assert stage.values == [1.0, 2.0]


def poison(stage: Stage, message: Batch | Tombstone) -> Arrived:
    brought = arrived_message(message)
    stage.staging.take_poison(message, brought, "failed", stage.now)
    return brought


def test_poison_passes_the_mark_and_is_kept(outlet: Outlet, stage: Stage) -> None:
    first, second, third = batches(outlet, 3)
    early = poison(stage, second)
    stage.commit()
    assert stage.pubacks == []
    stage.take(first)
    brought = poison(stage, third)
    again = poison(stage, third)
    stage.commit()
    assert stage.values == [1.0, 2.0]
    assert [letter.seq for letter in stage.letters] == [3]
    assert {early.mid, brought.mid, again.mid} <= {one.mid for one in stage.pubacks}
