"""The whole chain in one thread and in virtual time: gateways, broker, workers, database, and whatever can befall them.

A trace is a list of actions, each a name and two numbers that say which one and how much; any part of a trace is a
trace. After each action the cheap invariants are looked at, in `calm` all of them: the network is fair and nothing else
happens until everything is in.
"""

import asyncio
import contextlib
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, TypeAlias

import park_gateway.flow
import park_gateway.outbox
import park_gateway.publish
from park_platform.sensing.dispatch import leaf_of
from park_wire.batch import Batch, read_message
from park_wire.errors import OwnershipLost
from park_wire.messages import Ack, Birth, BirthPoint
from support.arrivals import arrived
from support.chain_accounts import Accounts, in_gap
from support.chain_box import Box, Identity, Ledger, read_at
from support.chain_database import ModelDatabase, Refused, Tables
from support.chain_post import Post, PostWire
from support.chain_worker import Worker
from support.gateway_wire import LoopClock, VirtualLoop

Action: TypeAlias = tuple[str, int, int]

MOST_BOXES: Final = 3
MOST_ROUNDS: Final = 400
WAITS_S: Final = (0.02, 0.1, 0.5, 1.1, 2.5, 10.0, 61.0)
BIRTHS: Final = tuple(
    Birth.of(tuple(BirthPoint(i, "meter", name, "active-power", "kW", 0.0, 1e6, 1_000) for i, name in enumerate(names)))
    for names in ("a", "ab", "ba")
)
# So far back that it is older than any promise, and still in no other reading's place.
_LATE_US: Final = 3_600_000_000


class Broken(AssertionError):
    """An invariant of the chain does not hold."""


class World:
    """One park with one gateway name; `apply` does an action, `calm` waits until all is in."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.loop = VirtualLoop()
        self.clock = LoopClock(loop=self.loop)
        self.folder = Path(tempfile.mkdtemp(prefix="parkhub-chain-", dir=memory_folder()))
        self.post = Post()
        self.database = ModelDatabase()
        self.ledger = Ledger()
        self.boxes: list[Box] = []
        self.accounts = Accounts(self.database, self.ledger, self.boxes)
        self.worker: Worker | None = None
        self.frozen: list[Worker] = []
        self.backup: Tables | None = None
        self.faults = 0
        self.befell: set[str] = set()
        self.missing = 0
        self._read = 0
        self._folders = 0
        for module in (park_gateway.flow, park_gateway.publish):
            played: Any = module
            played._random = self.dice
        played = park_gateway.outbox
        played.secrets = self
        self._add_box(None)

    # secrets of the outbox, so that a trace is the same each time

    def token_bytes(self, n: int) -> bytes:
        """Random bytes."""
        return self.dice.randbytes(n)

    # actions

    def apply(self, action: Action) -> None:
        """Do an action. Raises Broken, or whatever the real code raises."""
        name, which, much = action
        # No two things happen in one microsecond: what is equal in time and content would be the same batch.
        self.loop.now_s += 0.001
        try:
            getattr(self, name)(which, much)
            for box in self.boxes:
                box.check()
        except AssertionError as error:
            raise Broken(str(error)) from error

    def box(self, which: int) -> Box:
        """One of the gateways."""
        return self.boxes[which % len(self.boxes)]

    def seal(self, which: int, much: int) -> None:
        """A gateway seals up to three readings, or an empty batch."""
        self.box(which).seal(read_at([self._time(0) for _ in range(much % 4)]))
        self.spend(0.0)

    def seal_late(self, which: int, much: int) -> None:
        """Readings that are older than what was promised."""
        self.box(which).seal(read_at([self._time(_LATE_US) for _ in range(1 + much % 2)]))
        self.spend(0.0)

    def give_up(self, which: int, much: int) -> None:
        """A gateway has no room and says so."""
        self.box(which).give_up(read_at([self._time(0) for _ in range(1 + much % 2)]))
        self.befell.add("tombstone")

    def _time(self, ago_us: int) -> int:
        self._read += 1
        return self.clock() - ago_us + self._read % 10_000

    def spend(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def wait(self, _which: int, much: int) -> None:
        """Time passes and nothing is brought."""
        self.spend(WAITS_S[much % len(WAITS_S)])

    def run(self, _which: int, much: int) -> None:
        """Everything works for a moment."""
        for _ in range(1 + much % 3):
            self.spend(0.05)
            self.post.deliver_all()
            self.turn(0, 0)

    def turn(self, _which: int, _much: int) -> None:
        """The owner takes what it got, commits and answers."""
        worker = self.owner()
        late, life = self._late(worker), worker.life
        try:
            worker.turn()
        except OwnershipLost as error:
            raise Broken(f"the owner of the stream was told: {error}") from error
        except Refused:
            # It was asked for nothing that a message could be blamed for: the process ends, and another starts.
            self.worker = None
            self.befell.add("death")
            return
        worker.check_pubacks()
        self._check_database()
        if worker.life is life:
            gaps = self.database.tables.gaps
            assert not any(in_gap(gap, at) for gap in gaps for at in late), "a gap does not shrink with what came late"

    def _late(self, worker: Worker) -> list[Identity]:
        """Batches that wait for this turn and lie in a gap that has an end."""
        tables = self.database.tables
        closed = [gap for gap in tables.gaps if gap.to_seq is not None]
        # A second gateway's batch of the same number makes nothing good.
        if not closed or self.database.fault is not None or self.accounts.shared:
            return []
        batches = [read_message(one.payload) for one in worker.inbox if leaf_of(one) == "data"]
        numbers = [
            (batch.envelope.epoch, batch.envelope.lane, batch.last_seq)
            for batch in batches
            if isinstance(batch, Batch) and batch.sealed.config_version in tables.births
        ]
        return [number for number in numbers if any(in_gap(gap, number) for gap in closed)]

    def owner(self) -> Worker:
        """The worker that owns the stream; a new one where there is none."""
        if self.worker is None:
            self.worker = Worker(self.database, self.clock, self._say, cautious=2 * ("death" in self.befell))
        return self.worker

    # what befalls the broker

    def deliver(self, which: int, _much: int) -> None:
        """One message arrives, perhaps before others."""
        self.post.deliver(which)

    def drop(self, which: int, much: int) -> None:
        """Messages are lost."""
        for _ in range(1 + much % 4):
            self.post.drop(which)

    def duplicate(self, which: int, much: int) -> None:
        """Messages come twice."""
        for _ in range(1 + much % 3):
            self.post.duplicate(which)

    def mislay(self, which: int, much: int) -> None:
        """Messages stay behind in some queue."""
        for _ in range(1 + much % 2):
            self.post.mislay(which)

    def find(self, which: int, _much: int) -> None:
        """A message comes out of the past."""
        self.post.find(which)

    def broker_forgets(self, _which: int, _much: int) -> None:
        """The broker starts again and knows nothing."""
        self.post.parcels.clear()
        for box in self.boxes:
            box.wire.cut()

    def cut(self, which: int, _much: int) -> None:
        """A gateway loses its connection."""
        self.box(which).wire.cut()

    # what befalls the gateways

    def crash(self, which: int, _much: int) -> None:
        """Kill -9 and a new start."""
        box = self.box(which)
        box.kill()
        box.start(self._birth(box), self.dice)

    def lose_outbox(self, which: int, _much: int) -> None:
        """The disk is replaced."""
        box = self.box(which)
        self.accounts.note_loss(box)
        box.kill()
        box.forget()
        box.start(self._birth(box), self.dice)
        self.befell.add("loss")

    def clone(self, which: int, _much: int) -> None:
        """A second gateway with a copy of the disk."""
        if len(self.boxes) < MOST_BOXES:
            self.accounts.shared.add(self.box(which).outbox.epoch)
            self._add_box(self.box(which))
            self.befell.add("clone")

    def configure(self, which: int, much: int) -> None:
        """Other points are read from now on."""
        box = self.box(which)
        box.outbox.add_birth(BIRTHS[much % len(BIRTHS)])

    def _birth(self, box: Box) -> Birth:
        return BIRTHS[len(box.epochs) % len(BIRTHS)]

    def _add_box(self, model: Box | None) -> None:
        self._folders += 1
        folder = self.folder / str(self._folders)
        wire = PostWire(self.dice, latency_s=0.0, post=self.post, listener=self._hear)
        box = (
            Box(self.loop, folder, wire, self.ledger, self.accounts.judge_deletion)
            if model is None
            else model.copy_to(folder, wire)
        )
        box.start(BIRTHS[0], self.dice)
        self.boxes.append(box)

    # what befalls the centre

    def fail(self, _which: int, much: int) -> None:
        """The next commit suffers."""
        self.database.fault = ("away", "unknown", "refused")[much % 3]
        self.befell.add("memory")

    def freeze(self, _which: int, much: int) -> None:
        """The owner stops, perhaps with a plan in its hands, and another takes the stream."""
        worker = self.owner()
        if much % 2:
            self._gather()
        self.frozen = [*self.frozen[-1:], worker]
        self.worker = None
        self.befell |= {"memory", "death"}
        self.owner()

    def thaw(self, which: int, _much: int) -> None:
        """A frozen worker goes on as if nothing had been; nothing may come of it."""
        if not self.frozen:
            return
        worker = self.frozen.pop(which % len(self.frozen))
        before = self.database.commits, self.database.tables
        with contextlib.suppress(OwnershipLost, Refused):
            worker.turn()
        assert (self.database.commits, self.database.tables) == before, "who does not own the stream has committed"

    def kill_worker(self, _which: int, much: int) -> None:
        """Kill -9 of the owner; another starts."""
        if much % 2:
            self._gather()
        self.worker = None
        self.befell |= {"memory", "death"}

    def _gather(self) -> None:
        with contextlib.suppress(Refused):
            self.owner().gather()

    def back_up(self, _which: int, _much: int) -> None:
        """A backup is made."""
        self.backup = self.database.tables.backed_up()

    def restore(self, _which: int, much: int) -> None:
        """The database is what it was when the backup was made; the workers start again, but a frozen one may thaw."""
        if self.backup is None:
            return
        if self.worker is not None and much % 2:
            self.frozen = [*self.frozen[-1:], self.worker]
        self.worker = None
        self.accounts.note_restore(self.backup)
        self.database.restore(self.backup)
        self.befell |= {"memory", "restore"}

    # who hears what

    def _hear(self, leaf: str, payload: bytes) -> None:
        message: Any = leaf
        for worker in (*self.frozen, *filter(None, (self.worker,))):
            worker.receive(arrived(payload, message))

    def _say(self, ack: Ack) -> None:
        for lane, (mark, head) in ack.marks.items():
            book = self.database.tables.lanes.get((ack.epoch, lane))
            known = (book.mark, book.head) if book else (0, bytes(32))
            assert (mark, head) == known, "an ack says what the database does not"
        for box in self.boxes:
            if box.wire.line is not None:
                box.wire.carry(box.wire.line.bring, ack.encode())

    # invariants

    def _check_database(self) -> None:
        assert not self.database.conflicts, "two values for one point and time"
        # Only a batch that was moved can come twice, and is known while its hash is.
        assert not self.database.doubles, "only the second wall kept a reading from being stored twice"
        if self.ledger.epochs_begun:
            assert self.befell & {"clone", "restore"}, "an epoch was begun without a reason"

    # the end

    def calm(self, _which: int, _much: int) -> None:
        """Nothing else happens, and everything is in after a while; then all of it is accounted for."""
        self.database.fault = None
        begun = self.ledger.epochs_begun
        # Whoever has lost its connection needs this long to be there again.
        self.spend(3.0)
        for box in self.boxes:
            # A gateway that runs says each second that it lives.
            self.loop.now_s += 0.001
            box.seal(read_at([]))
        for _ in range(MOST_ROUNDS):
            brought = self.post.deliver_all()
            self.turn(0, 0)
            for box in self.boxes:
                box.check()
            if not brought and not self.post.parcels and not self.owner().is_busy and not self._depth():
                break
            self.spend(0.05 if brought else 0.5)
        assert not self._depth(), f"{self._depth()} rows wait for ever"
        assert not self.owner().is_busy, "the worker is never done"
        most = 2 * len(self.boxes)
        assert self.ledger.epochs_begun - begun <= most, f"{self.ledger.epochs_begun - begun} epochs on a fair network"
        self.account()

    def _depth(self) -> int:
        return sum(box.depth for box in self.boxes)

    def account(self) -> None:
        """Every row that an outbox ever took in is somewhere."""
        held = {sha256 for box in self.boxes for sha256 in box.held()}
        lost = self.accounts.lost(held)
        self.missing = len(lost)
        overstated = self.accounts.overstated()
        assert not overstated, f"a gap says that this is missing: {overstated[:3]}"
        assert not self.accounts.never_ended(), "a gap has no end though its outbox is there"
        assert not lost, f"lost without a gap: {[self.ledger.rows[sha256] for sha256 in lost[:3]]}"

    def close(self) -> None:
        """End all of it."""
        for box in self.boxes:
            # What broke has been told.
            with contextlib.suppress(AssertionError):
                box.kill()
        self.loop.close()
        shutil.rmtree(self.folder)


def memory_folder() -> str | None:
    """Where a file costs no disk; None where there is no such place."""
    memory = Path("/dev/shm")  # noqa: S108  # mkdtemp makes the name
    return str(memory) if memory.is_dir() else None
