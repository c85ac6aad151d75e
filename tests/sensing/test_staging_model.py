"""The staging of a gateway under any order of messages, restarts and failures, against books that a child could keep.

A gateway seals batches whose one reading is their number, forgets some, and sends what it likes in any order. Whatever
happens: each reading is committed once or lies in a declared gap, each message is acknowledged to the broker at most
once, and at last all of it is in.
"""

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from park_platform.storage.streams import PointMap
from park_wire.batch import Batch, Lane, Origin, Tombstone, read_message
from park_wire.messages import Birth
from support.outlet import Outlet, points
from support.stage import NOW, Stage, missing

BIRTH = Birth.of(points(1))
MAP = PointMap(np.arange(1), np.array([10], np.int32))
LANES = st.sampled_from(Lane)


class Gateway(RuleBasedStateMachine):
    """One honest gateway and the worker that owns its stream."""

    def __init__(self) -> None:
        super().__init__()
        self.outlet = Outlet(BIRTH)
        self.stage = Stage()
        self.sealed = 0
        self.dropped = 0
        self.forgotten: set[int] = set()
        """Numbers of readings that the gateway has given up, by a tombstone or a hello."""
        self.oldest = dict.fromkeys(Lane, 1)

    # the gateway

    @rule(lane=LANES)
    def seal(self, lane: Lane) -> None:
        self.sealed += 1
        self.outlet.seal([(0, NOW + self.sealed, float(self.sealed), 0)], lane=lane, until=NOW + self.sealed)

    @rule(lane=LANES, data=st.data())
    def send(self, lane: Lane, data: st.DataObject) -> None:
        self._send(lane, data.draw(st.integers(1, max(1, self.outlet.lanes[lane].next_seq - 1))))

    @rule(lane=LANES)
    def send_all_backwards(self, lane: Lane) -> None:
        for seq in range(self.outlet.lanes[lane].next_seq - 1, 0, -1):
            self._send(lane, seq)

    def _send(self, lane: Lane, seq: int) -> None:
        payload = self.outlet.lanes[lane].sent.get(seq)
        if payload is not None and seq >= self.oldest[lane]:
            self.stage.take(read_message(payload))

    @rule()
    def say_hello(self) -> None:
        self.stage.hello(self.outlet.make_hello(oldest=self.oldest))

    @rule(lane=LANES, most=st.integers(1, 3))
    def give_up(self, lane: Lane, most: int) -> None:
        """Tombstones for what is not acknowledged, as a full disk makes them."""
        state = self.outlet.lanes[lane]
        first = max(self.stage.lanes.of(self.outlet.epoch, lane).mark + 1, self.oldest[lane])
        last = min(first + most - 1, state.next_seq - 1)
        if first > last:
            return
        for seq in range(first, last + 1):
            message = read_message(state.sent[seq])
            if isinstance(message, Batch):
                self.forgotten.add(int(message.content().columns.value[0]))
            else:
                first = min(first, message.envelope.seq)
                last = max(last, message.last_seq)
        self.outlet.bury(first, last, lane=lane)

    @rule(lane=LANES, most=st.integers(1, 3))
    def lose_the_oldest(self, lane: Lane, most: int) -> None:
        """As after the centre was restored from a backup: the gateway has deleted what is no longer committed."""
        state = self.outlet.lanes[lane]
        for seq in range(self.oldest[lane], min(self.oldest[lane] + most, state.next_seq)):
            message = read_message(state.sent[seq])
            if isinstance(message, Batch):
                self.forgotten.add(int(message.content().columns.value[0]))
            self.oldest[lane] = seq + 1

    @rule()
    def start_again(self) -> None:
        """The gateway's process restarts: what it sends from now on carries another run."""
        self.outlet.begin_run()

    # the centre

    @rule()
    def be_born(self) -> None:
        self.stage.birth(BIRTH.config_version, MAP)

    @rule(seconds=st.sampled_from((0.5, 2.5)))
    def wait(self, seconds: float) -> None:
        self.stage.wait(seconds)

    @rule()
    def commit(self) -> None:
        told = self.stage.commit()
        for need in told.values():
            assert need.birth in {None, BIRTH.config_version}

    @rule()
    def take_over(self) -> None:
        self.stage.commit()
        self.dropped += len({one.mid for one in self.stage.fail()})

    # what must hold

    @invariant()
    def each_reading_is_committed_once(self) -> None:
        if self.stage.staging.plan.is_empty:
            assert len(set(self.stage.values)) == len(self.stage.values)

    @invariant()
    def each_message_is_acknowledged_once(self) -> None:
        mids = [one.mid for one in self.stage.pubacks]
        assert len(set(mids)) == len(mids)
        waiting = {one.mid for one in self.stage.staging.unanswered()}
        assert not waiting & set(mids)
        assert len(mids) + len(waiting) + self.dropped == len(self.stage.taken)

    @precondition(lambda self: self.stage.staging.plan.is_empty)
    @invariant()
    def nothing_is_missing_without_a_gap(self) -> None:
        stored = set(self.stage.values)
        for lane in Lane:
            key = self.outlet.epoch, lane
            gaps = missing(self.stage, key)
            for seq in range(1, self.stage.lanes.of(*key).mark + 1):
                message = read_message(self.outlet.lanes[lane].sent[seq])
                if isinstance(message, Batch):
                    assert (float(message.content().columns.value[0]) in stored) != (seq in gaps)

    def teardown(self) -> None:
        """On a network that is fair again everything comes in."""
        self.be_born()
        self.stage.hello(self.outlet.make_hello(oldest=self.oldest))
        self.stage.commit()
        moved = self._move_if_asked()
        for lane in Lane:
            for payload in moved.lanes[lane].sent.values():
                self.stage.take(read_message(payload))
        self.stage.commit()
        self.stage.wait(3)
        self.stage.commit()
        self.each_reading_is_committed_once()
        self.each_message_is_acknowledged_once()
        expected = {float(number) for number in range(1, self.sealed + 1) if number not in self.forgotten}
        assert expected <= set(self.stage.values)

    def _move_if_asked(self) -> Outlet:
        """What the gateway holds, moved to a new epoch when the centre asks for one."""
        asked = False
        for lane in Lane:
            for seq in range(self.oldest[lane], self.outlet.lanes[lane].next_seq):
                self._send(lane, seq)
        for need in self.stage.commit().values():
            asked = asked or need.epoch
        if not asked:
            return self.outlet
        moved = Outlet(BIRTH)
        moved.run = self.outlet.run
        moved.former = (self.outlet.as_former(),)
        for lane in Lane:
            for seq in range(self.oldest[lane], self.outlet.lanes[lane].next_seq):
                message: Any = read_message(self.outlet.lanes[lane].sent[seq])
                if not isinstance(message, Tombstone):
                    moved.append(message.sealed, lane, Origin(self.outlet.epoch, lane, seq))
        self.stage.hello(moved.make_hello())
        return moved


Gateway.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestGateway = Gateway.TestCase
