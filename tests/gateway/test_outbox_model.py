"""The outbox against a model: whatever happens in whatever order, nothing is lost, moved, renumbered or forgotten."""

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from park_gateway.outbox import Verdict
from park_gateway.outbox_file import NAME
from park_wire.batch import GENESIS, Batch, Lane, Origin
from park_wire.messages import Ack
from support.outboxes import START_US, Clock, close_outboxes, open_outbox, readings_at, waiting

LANES = st.sampled_from(list(Lane))
LIVE_US = 60_000_000
BEAT_US = 900_000


@dataclass(slots=True)
class Held:
    """A batch that waits, as the model knows it."""

    values: list[float]
    origin: Origin
    sealed_at: int
    sha256: bytes = b""


@dataclass(slots=True)
class ModelLane:
    """A lane: what waits, and what the next batch will be."""

    held: list[Held] = field(default_factory=list[Held])
    next_seq: int = 1
    head: bytes = GENESIS

    @property
    def mark(self) -> int:
        return self.next_seq - len(self.held) - 1


class OutboxAgainstModel(RuleBasedStateMachine):
    """One gateway over many runs; the model is a few lists."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parkhub-outbox-"))
        self.clock = Clock()
        self.outbox = open_outbox(self.folder / "0", self.clock)
        self.lanes = {lane: ModelLane() for lane in Lane}
        self.former: list[tuple[bytes, int, int]] = []
        self.epoch = self.outbox.epoch
        self.promised = 0
        self.last_live: int | None = None
        self.starts = 0
        self.value = 0.0

    @rule(wait_s=st.sampled_from([0.0, 0.1, 0.4, 1.0, 20.0, 61.0, -0.2, -70.0]), puts=st.integers(0, 3))
    def seal(self, wait_s: float, puts: int) -> None:
        self.clock.wait(wait_s)
        now = self.clock()
        values: list[float] = []
        for _ in range(puts):
            self.value += 1
            values.append(self.value)
            self.outbox.put(readings_at(now, self.value))
        self.outbox.seal(now)
        oldest = self.lanes[Lane.LIVE].held[:1]
        is_live = not oldest or 0 <= now - oldest[0].sealed_at < LIVE_US
        if values:
            self.expect(Lane.LIVE if is_live and now >= self.promised else Lane.BACKFILL, values, now)
        if is_live and (not values or now < self.promised):
            due = self.last_live is None or not 0 <= now - self.last_live < BEAT_US
            if due:
                self.expect(Lane.LIVE, [], now)

    def expect(self, lane: Lane, values: list[float], now: int) -> None:
        model = self.lanes[lane]
        model.held.append(Held(values, Origin(self.epoch, lane, model.next_seq), now))
        model.next_seq += 1
        if lane is Lane.LIVE:
            self.promised = max(self.promised, now)
            self.last_live = now

    @rule(lane=LANES, count=st.integers(0, 4))
    def honest_ack(self, lane: Lane, count: int) -> None:
        model = self.lanes[lane]
        gone = model.held[:count]
        mark, head = model.mark + len(gone), gone[-1].sha256 if gone else model.head
        verdict = self.outbox.acknowledge(self.ack(lane, mark, head))
        assert verdict is (Verdict.MOVED if gone else Verdict.NOTHING)
        del model.held[:count]
        model.head = head

    @rule(lane=LANES, behind=st.integers(1, 3), head=st.binary(min_size=32, max_size=32))
    def stale_ack(self, lane: Lane, behind: int, head: bytes) -> None:
        mark = self.lanes[lane].mark - behind
        if mark >= 0:
            assert self.outbox.acknowledge(self.ack(lane, mark, head)) is Verdict.NOTHING

    @rule(lane=LANES, mark=st.integers(0, 9), run=st.booleans())
    def foreign_ack(self, lane: Lane, mark: int, run: bool) -> None:
        ack = self.ack(lane, mark, bytes(32))
        ack = replace(ack, run=bytes(8)) if run else replace(ack, epoch=bytes(16))
        assert self.outbox.acknowledge(ack) is Verdict.FOREIGN

    @rule(lane=LANES, ahead=st.integers(0, 4), other=LANES)
    def contradicting_ack(self, lane: Lane, ahead: int, other: Lane) -> None:
        ack = self.ack(lane, self.lanes[lane].mark + ahead, b"\xff" * 32)
        if other is not lane and self.lanes[other].held:
            held = self.lanes[other].held[0]
            ack = replace(ack, marks={**ack.marks, other: (self.lanes[other].mark + 1, held.sha256)})
        assert self.outbox.acknowledge(ack) is Verdict.DIVERGED
        self.expect_epoch()

    @rule()
    def new_epoch(self) -> None:
        self.outbox.new_epoch()
        self.expect_epoch()

    def expect_epoch(self) -> None:
        self.former.append((self.epoch, self.lanes[Lane.LIVE].next_seq, self.lanes[Lane.BACKFILL].next_seq))
        for model in self.lanes.values():
            model.next_seq = len(model.held) + 1
            model.head = GENESIS
        assert self.outbox.epoch not in {epoch for epoch, _, _ in self.former}
        self.epoch = self.outbox.epoch

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        source = self.folder / str(self.starts)
        self.starts += 1
        run = self.outbox.run
        if killed:
            # What a killed process leaves: the file and its log, with no closing checkpoint.
            target = self.folder / str(self.starts)
            target.mkdir()
            for file in source.glob(f"{NAME}*"):
                shutil.copy(file, target)
            self.outbox.close()
        else:
            self.outbox.close()
            source.rename(self.folder / str(self.starts))
        self.outbox = open_outbox(self.folder / str(self.starts), self.clock)
        assert self.outbox.run != run
        self.last_live = None

    def ack(self, lane: Lane, mark: int, head: bytes) -> Ack:
        return Ack(self.outbox.run, self.outbox.epoch, {lane: (mark, head)}, 1, START_US)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "outbox"):
            return
        assert self.outbox.epoch == self.epoch
        for lane, model in self.lanes.items():
            messages = waiting(self.outbox, lane)
            assert len(messages) == len(model.held)
            head = model.head
            for seq, (message, held) in enumerate(zip(messages, model.held, strict=True), model.mark + 1):
                assert isinstance(message, Batch)
                held.sha256 = held.sha256 or message.sha256
                assert message.sha256 == held.sha256
                assert list(message.content().columns.value) == held.values
                assert (message.envelope.seq, message.envelope.prev) == (seq, head)
                moved = held.origin.epoch != self.epoch
                assert message.envelope.origin == (held.origin if moved else None)
                head = message.sha256
            at = self.outbox.hello().lanes[lane]
            assert (at.next_seq, at.oldest_seq, at.before) == (model.next_seq, model.mark + 1, model.head)
            assert self.outbox.lanes[lane].readings == sum(len(held.values) for held in model.held)
        assert [(was.epoch, was.live_next, was.backfill_next) for was in self.outbox.hello().former] == self.former

    def teardown(self) -> None:
        close_outboxes()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestOutboxAgainstModel = OutboxAgainstModel.TestCase
TestOutboxAgainstModel.settings = settings(max_examples=40, stateful_step_count=40)
