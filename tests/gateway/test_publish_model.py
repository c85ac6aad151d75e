"""The way to the centre in virtual time: lost, late and forged acks, cuts and new runs; chain.md 3.1 to 3.3 hold."""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import park_gateway.flow
import park_gateway.publish
from park_gateway.publish import Delivery, drain
from park_wire.batch import Lane, Origin, read_message
from park_wire.messages import Ack
from support.gateway_wire import HonestCentre, LoopClock, SlowThread, VirtualLoop, Wire, first_identity
from support.outboxes import BIRTH, close_outboxes, open_outbox, readings_at, waiting

# Chain 3.2.
MOST_LIVE, CREDIT_AT_FIRST = 32, 1
SHARES = st.sampled_from([0.0, 0.0, 0.1, 0.5])
LATENCIES = st.sampled_from([0.0, 0.01, 0.3, 2.0])
LANES, STEPS, TIMES = st.sampled_from(list(Lane)), st.integers(0, 8), st.integers(1, 4)
# Messages that are under way or being answered when the credit changes.
SETTLED_S = 2.0


class WayToTheCentre(RuleBasedStateMachine):
    """One gateway over many runs and connections, a network of the worst kind, an honest centre, and a forger."""

    @initialize(seed=st.integers(0, 1 << 32))
    def begin(self, seed: int) -> None:
        self.dice = random.Random(seed)
        for module in (park_gateway.flow, park_gateway.publish):
            played: Any = module
            played._random = self.dice
        self.loop = VirtualLoop()
        self.clock = LoopClock(loop=self.loop)
        self.folder = Path(tempfile.mkdtemp(prefix="parkhub-way-"))
        self.wire = Wire(self.dice, on_publish=self.check_window, on_deliver=self.judge)
        self.centre = HonestCentre(self.wire)
        self.wire.listener = self.centre.hear
        self.value = 0.0
        self.sealed: dict[bytes, Origin] = {}
        self.order: dict[Lane, list[bytes]] = {lane: [] for lane in Lane}
        self.covered = dict.fromkeys(Lane, -1)
        self.ending: set[bytes] = set()
        self.ordered: set[bytes] = set()
        self.runs: list[bytes] = []
        # When, how much, and whether it was surely obeyed.
        self.credits: list[tuple[float, int, bool]] = []
        self.start()

    def start(self) -> None:
        self.outbox = open_outbox(self.folder, self.clock)
        self.runs.append(self.outbox.run)
        self.credits = [(self.loop.now_s, CREDIT_AT_FIRST, True)]
        self.delivery = Delivery()
        self.thread = SlowThread(self.outbox, self.dice, self.check_deletions)
        way: Any = self.wire
        self.task = self.loop.create_task(drain(self.thread, way, self.delivery))
        self.spend(0.0)

    def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.task)
        self.outbox.close()

    def spend(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        if self.task.done():
            self.task.result()

    # What happens

    @rule(batches=st.integers(1, 40), wait_s=st.sampled_from([0.0, 0.1]))
    def write(self, batches: int, wait_s: float) -> None:
        for _ in range(batches):
            self.value += 1
            self.outbox.put(readings_at(self.clock(), self.value))
            self.seal()
            self.spend(wait_s)

    def seal(self) -> None:
        """What was put, or an empty batch when one is due."""
        before = {lane: state.next_seq for lane, state in self.outbox.lanes.items()}
        self.outbox.seal(self.clock())
        for lane in Lane:
            for message in self.outbox.unacknowledged(lane, 9, before[lane]):
                self.sealed[message.sha256] = Origin(self.outbox.epoch, lane, message.envelope.seq)
                self.order[lane].append(message.sha256)
        self.thread.changed.set()

    @rule(seconds=st.sampled_from([0.05, 0.5, 2.0, 10.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.spend(seconds)

    @rule(up=SHARES, down=SHARES, latency_s=LATENCIES, credit=st.sampled_from([0, 1, 5, 64]))
    def weather(self, up: float, down: float, latency_s: float, credit: int) -> None:
        self.wire.lose_up, self.wire.lose_down, self.wire.latency_s = up, down, latency_s
        self.centre.credit = credit

    @rule()
    def cut(self) -> None:
        self.wire.cut()

    @rule(seconds=st.sampled_from([0.1, 5.0]))
    def broker_restarts(self, seconds: float) -> None:
        self.wire.up = False
        self.wire.cut()
        self.spend(seconds)
        self.wire.up = True

    @rule(batches=st.integers(10, 80))
    def outage(self, batches: int) -> None:
        """Long enough for the backfill lane."""
        self.wire.up = False
        self.wire.cut()
        self.write(2, 0.0)
        self.spend(61.0)
        self.write(batches, 0.0)
        self.wire.up = True

    @rule()
    def gateway_restarts(self) -> None:
        self.stop()
        # It may have been stopped before it obeyed.
        self.ordered.discard(self.outbox.epoch)
        self.start()

    @rule(forgets=st.booleans())
    def another_worker_takes_over(self, forgets: bool) -> None:
        if forgets:
            self.centre.births.clear()
        self.forge(self.centre.ack(bytes(8), bytes(16), need_hello=True))

    # What no honest centre says

    @rule(
        lane=LANES,
        kind=st.sampled_from(["old run", "other epoch", "lower"]),
        step=STEPS,
        fresh=STEPS,
        order=st.booleans(),
    )
    def outdated_ack(self, lane: Lane, kind: str, step: int, fresh: int, order: bool) -> None:
        """Of another run or epoch, or below what is acknowledged: nothing may come of it, whatever else it says."""
        ack = self.covering_ack(lane, fresh, step)
        former = [was.epoch for was in self.outbox.hello().former]
        oldest = self.outbox.lanes[lane].oldest_seq
        match kind:
            case "old run":
                ack = replace(ack, run=self.dice.choice([*self.runs[:-1], bytes(8)]), new_epoch=order)
            case "other epoch":
                ack = replace(ack, epoch=self.dice.choice([*former, bytes(16)]), new_epoch=order)
            case _:
                ack = replace(ack, marks={lane: (max(0, oldest - 2 - step), self.dice.randbytes(32))})
        self.forge(ack)

    @rule(lane=LANES, too_high=st.booleans(), step=STEPS, fresh=STEPS, times=TIMES)
    def contradicting_ack(self, lane: Lane, too_high: bool, step: int, fresh: int, times: int) -> None:
        """Of this run and epoch, with a head that is not ours, or about a batch that was never sealed."""
        ack = self.covering_ack(lane, fresh, step)
        mark, head = ack.marks[lane]
        beyond = (self.outbox.lanes[lane].next_seq + step, head)
        ack = replace(ack, marks={lane: beyond if too_high else (mark, self.dice.randbytes(32))})
        self.forge(*[ack] * times)

    @rule(fresh=STEPS, times=TIMES)
    def new_epoch_is_ordered(self, fresh: int, times: int) -> None:
        self.write(fresh, 0.0)
        self.forge(*[self.centre.ack(self.outbox.run, self.outbox.epoch, new_epoch=True)] * times)

    @rule(known=st.booleans(), times=TIMES)
    def a_birth_is_wanted(self, known: bool, times: int) -> None:
        version = BIRTH.config_version if known else self.dice.randbytes(32)
        self.forge(*[self.centre.ack(self.outbox.run, self.outbox.epoch, need_birth=version)] * times)

    def covering_ack(self, lane: Lane, fresh: int, step: int) -> Ack:
        """What would delete batches that the centre may never have seen."""
        self.write(fresh, 0.0)
        state = self.outbox.lanes[lane]
        newest = self.outbox.unacknowledged(lane, 1, max(1, state.next_seq - 1 - step))
        mark = (newest[0].last_seq, newest[0].sha256) if newest else (state.oldest_seq - 1, state.before)
        return Ack(self.outbox.run, self.outbox.epoch, {lane: mark}, 64, 0)

    def forge(self, *acks: Ack) -> None:
        """Acks go down now, past the network; several may come in one look."""
        for _ in range(50):
            if self.wire.line is not None and self.wire.line.is_open:
                break
            self.spend(0.1)
        for ack in acks:
            if self.wire.line is not None:
                self.wire.line.bring(ack.encode())
            if self.dice.random() < 0.5:
                self.spend(0.001)

    # What must hold

    def judge(self, payload: bytes) -> None:
        """Note what an ack that reaches the gateway allows it to do."""
        ack = Ack.decode(payload)
        if ack.run != self.outbox.run:
            return
        if ack.epoch != self.outbox.epoch:
            # It may have been left just now, while its last acks were obeyed: credit is the run's.
            if ack.epoch in {was.epoch for was in self.outbox.hello().former}:
                self.credits.append((self.loop.now_s, ack.credit, False))
            return
        # Behind one that ends the epoch it may come too late.
        self.credits.append((self.loop.now_s, ack.credit, ack.epoch not in self.ending))
        if ack.new_epoch:
            self.ending.add(ack.epoch)
            self.ordered.add(ack.epoch)
        for lane, (mark, head) in ack.marks.items():
            ours = self.sha256_at(lane, mark)
            if ours != head:
                if mark >= self.outbox.lanes[lane].oldest_seq - 1:
                    self.ending.add(ack.epoch)
            elif head in self.sealed:
                self.covered[lane] = max(self.covered[lane], self.order[lane].index(head))

    def sha256_at(self, lane: Lane, mark: int) -> bytes | None:
        """Our own sha256 at a mark; None where it is not known any more, or not yet."""
        state = self.outbox.lanes[lane]
        if mark == state.oldest_seq - 1:
            return state.before
        if not state.oldest_seq <= mark < state.next_seq:
            return None
        return self.outbox.unacknowledged(lane, 1, mark)[0].sha256

    def check_deletions(self) -> None:
        for lane, state in self.outbox.lanes.items():
            gone = state.oldest - 1
            assert gone <= self.covered[lane] + 1, "no ack of that run and epoch with our head covered it"

    def check_window(self, leaf: str, payload: bytes) -> None:
        if leaf != "data":
            return
        message = read_message(payload)
        at = message.envelope
        assert at.run == self.outbox.run
        identity = self.sealed.get(message.sha256)
        assert identity is not None, "a batch is never changed"
        assert first_identity(message) == identity, "its first identity is kept"
        assert (at.origin is None) == (identity.epoch == at.epoch)
        if at.epoch != self.outbox.epoch:
            # Read before the epoch changed, and void.
            return
        now, window = self.loop.now_s, MOST_LIVE
        if at.lane is Lane.BACKFILL:
            recent = [credit for since, credit, _ in self.credits if now - since <= SETTLED_S]
            window = max([*recent, self._settled_credit(now)])
        assert message.last_seq < self.outbox.lanes[at.lane].oldest_seq + window, f"{at.lane} beyond {window}"

    def _settled_credit(self, now: float) -> int:
        """The most that the last acks before may have left."""
        most = 0
        for since, credit, obeyed in reversed(self.credits):
            if now - since > SETTLED_S:
                most = max(most, credit)
                if obeyed:
                    return most
        return max(most, CREDIT_AT_FIRST)

    def held(self) -> list[bytes]:
        return [message.sha256 for lane in Lane for message in waiting(self.outbox, lane)]

    def committed(self) -> list[bytes]:
        return [message.sha256 for message in self.centre.committed]

    @invariant()
    def nothing_is_deleted_without_an_ack_that_covers_it(self) -> None:
        if not hasattr(self, "outbox"):
            return
        held = {*self.held()}
        assert held <= self.sealed.keys()
        for order in self.order.values():
            gone = [at for at, sha256 in enumerate(order) if sha256 not in held]
            assert gone == list(range(len(gone))), "only the oldest go"
        self.check_deletions()
        assert self.sealed.keys() - held <= {*self.committed()}
        assert {was.epoch for was in self.outbox.hello().former} <= self.ending, "an epoch ended without a reason"
        assert self.delivery.credit in {CREDIT_AT_FIRST, *(credit for _, credit, _ in self.credits)}
        assert not self.centre.gaps

    def teardown(self) -> None:
        if not hasattr(self, "outbox"):
            return
        try:
            self.calm()
        finally:
            self.stop()
            close_outboxes()
            self.loop.close()
            shutil.rmtree(self.folder)
            for module in (park_gateway.flow, park_gateway.publish):
                played: Any = module
                played._random = random.SystemRandom()

    def calm(self) -> None:
        """The faults have an end, and then everything is delivered, each reading once."""
        self.wire.up, self.wire.lose_up, self.wire.lose_down, self.wire.latency_s = True, 0.0, 0.0, 0.0
        self.centre.credit = 8
        self.centre.births.clear()
        began = self.loop.now_s
        # The longest back-off, the longest delay that was under way, and the time to send it.
        while self.held() and self.loop.now_s - began < 90:
            # A running gateway seals each second: a closed credit is opened by the acks of live batches.
            self.seal()
            self.spend(1.0)
        self.nothing_is_deleted_without_an_ack_that_covers_it()
        assert not self.held(), f"still {len(self.held())} after {self.loop.now_s - began:.0f} s"
        assert self.ordered <= {was.epoch for was in self.outbox.hello().former}, "an order was not obeyed"
        counts = Counter(self.committed())
        assert not self.sealed.keys() - counts.keys(), "all of it"
        assert counts.total() == len(counts), "each once"


TestWayToTheCentre = WayToTheCentre.TestCase
TestWayToTheCentre.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    # To shrink an example takes minutes, and its steps are readable as they are.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
