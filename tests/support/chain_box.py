"""A gateway of the chain's model: the real outbox and the real `drain` in virtual time, and a ledger beside them.

The ledger knows what every batch holds and under which numbers it was ever known, so that each deletion can be judged
the moment it is made.
"""

import asyncio
import contextlib
import shutil
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

from park_gateway.outbox import Outbox
from park_gateway.outbox_file import NAME
from park_gateway.publish import Delivery, drain
from park_gateway.reading import Readings
from park_wire.batch import Batch, Lane, Tombstone, read_message
from park_wire.errors import StoreFull
from park_wire.messages import Birth
from support.chain_post import PostWire
from support.gateway_wire import LoopClock, SlowThread, VirtualLoop
from support.outboxes import QUOTA_BYTES

Identity: TypeAlias = tuple[bytes, Lane, int]
Reading: TypeAlias = tuple[int, int]
"""Name and time of a reading: no two are equal, whoever read them."""
_AT_ONCE: Final = 64


@dataclass(slots=True)
class Kept:
    """A row that an outbox took in. `given_up`: a tombstone from the first, these readings were never sealed."""

    readings: tuple[Reading, ...]
    given_up: bool = False
    identities: set[Identity] = field(default_factory=set[Identity])


@dataclass(slots=True)
class Ledger:
    """All rows that any outbox took in, by their sha256."""

    rows: dict[bytes, Kept] = field(default_factory=dict[bytes, Kept])
    former: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    """Each epoch that follows another, and which."""
    epochs_begun: int = 0

    def line(self, epoch: bytes) -> set[bytes]:
        """An epoch and all that it follows."""
        found = {epoch}
        while epoch in self.former:
            epoch = self.former[epoch]
            found.add(epoch)
        return found


class Box:
    """One gateway process over an outbox's life; `gone` is told the sha256 of each row that it deletes."""

    def __init__(
        self, loop: VirtualLoop, folder: Path, wire: PostWire, ledger: Ledger, gone: Callable[[bytes], None]
    ) -> None:
        self.folder = folder
        self.wire = wire
        self.order: dict[Lane, list[bytes]] = {lane: [] for lane in Lane}
        self.used: dict[Identity, bytes] = {}
        self.epochs: list[bytes] = []
        self._loop = loop
        self._ledger = ledger
        self._gone = gone
        self._oldest = dict.fromkeys(Lane, 1)
        self._clock = LoopClock(loop=loop)
        wire.on_publish = self._check_sent

    def start(self, birth: Birth, dice: Random) -> None:
        """Open the outbox, or make it, and begin to send."""
        self.folder.mkdir(exist_ok=True)
        # It would cost four megabytes each, and no disk is full here.
        (self.folder / "ballast").touch()
        self.outbox = Outbox.open(self.folder, quota_bytes=QUOTA_BYTES, now=self._clock)
        self.outbox.add_birth(birth)
        if not self.epochs:
            self.epochs.append(self.outbox.epoch)
        assert self.outbox.epoch == self.epochs[-1], "an epoch outlives the process"
        self._thread = SlowThread(self.outbox, dice, self._look)
        way: Any = self.wire
        self._task = self._loop.create_task(drain(self._thread, way, Delivery()))

    def kill(self) -> None:
        """The process is gone; what is on disk stays."""
        if self.wire.line is not None:
            self.wire.line.end("killed")
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        # What it did last may not have been looked at.
        self._look()
        self.outbox.close()

    def forget(self) -> None:
        """The disk is gone too, so the next start makes another outbox; call it after `kill`."""
        shutil.rmtree(self.folder)
        self.order = {lane: [] for lane in Lane}
        self.used, self.epochs = {}, []
        self._oldest = dict.fromkeys(Lane, 1)

    def copy_to(self, folder: Path, wire: PostWire) -> "Box":
        """A second box with a copy of the disk as it is now."""
        self._look()
        folder.mkdir()
        for file in self.folder.glob(f"{NAME}*"):
            shutil.copy(file, folder)
        twin = Box(self._loop, folder, wire, self._ledger, self._gone)
        twin.order = {lane: list(order) for lane, order in self.order.items()}
        twin.used, twin.epochs = dict(self.used), list(self.epochs)
        twin._oldest = dict(self._oldest)
        return twin

    def check(self) -> None:
        """Raise what ended the sending, which nothing may."""
        if self._task.done():
            self._task.result()

    # What comes in

    def seal(self, readings: Readings) -> None:
        """Seal what was read, or an empty batch when one is due."""
        before = {lane: state.next for lane, state in self.outbox.lanes.items()}
        self.outbox.put(readings)
        self.outbox.seal(self._clock())
        self._enter(before)
        self._thread.changed.set()

    def give_up(self, readings: Readings) -> None:
        """What was read finds no room, and a tombstone tells of it."""
        before = {lane: state.next for lane, state in self.outbox.lanes.items()}
        self.outbox.put(readings)
        with contextlib.suppress(StoreFull):
            self.outbox.give_up_waiting()
        self._enter(before, given_up=tuple(zip(readings.index, readings.time, strict=True)))
        self._thread.changed.set()

    def _enter(self, before: dict[Lane, int], given_up: tuple[Reading, ...] | None = None) -> None:
        for lane, state in self.outbox.lanes.items():
            new = state.next - before[lane]
            first = before[lane] - state.first + 1
            for message in self.outbox.unacknowledged(lane, new, first) if new else ():
                held: tuple[Reading, ...] = given_up or ()
                if isinstance(message, Batch):
                    columns = message.content().columns
                    held = tuple(zip(columns.index, columns.time, strict=True))
                assert message.sha256 not in self._ledger.rows, "two rows with one hash"
                self._ledger.rows[message.sha256] = Kept(held, isinstance(message, Tombstone))
                self.order[lane].append(message.sha256)
                self._number(lane, message.last_seq, message.sha256)

    def _number(self, lane: Lane, seq: int, sha256: bytes) -> None:
        identity = self.outbox.epoch, lane, seq
        assert self.used.setdefault(identity, sha256) == sha256, "a number was used for two contents"
        self._ledger.rows[sha256].identities.add(identity)

    # What the outbox does by itself

    def _look(self) -> None:
        """After each call of the outbox: what it has deleted, and whether it has begun an epoch."""
        lanes = self.outbox.lanes
        for lane, state in lanes.items():
            for position in range(self._oldest[lane], state.oldest):
                self._gone(self.order[lane][position - 1])
            assert state.oldest >= self._oldest[lane], "what was deleted came back"
            self._oldest[lane] = state.oldest
        if self.outbox.epoch == self.epochs[-1]:
            return
        self._ledger.epochs_begun += 1
        self._ledger.former[self.outbox.epoch] = self.epochs[-1]
        self.epochs.append(self.outbox.epoch)
        for lane, state in lanes.items():
            assert state.oldest_seq == 1, "a new epoch counts from 1"
            for seq, position in enumerate(range(state.oldest, state.next), 1):
                self._number(lane, seq, self.order[lane][position - 1])

    def _check_sent(self, leaf: str, payload: bytes) -> None:
        if leaf != "data":
            return
        message = read_message(payload)
        at = message.envelope
        assert self.used.get((at.epoch, at.lane, message.last_seq)) == message.sha256, "another batch under this number"
        former = self.used.get((at.epoch, at.lane, at.seq - 1), bytes(32))
        assert at.prev == former, "prev is not the sha256 of the predecessor"
        if at.origin is not None:
            assert self.used.get((at.origin.epoch, at.origin.lane, at.origin.seq)) == message.sha256

    # What it holds

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return sum(state.batches for state in self.outbox.lanes.values())

    def held(self) -> set[bytes]:
        """The sha256 of what waits, as the outbox itself says."""
        found: set[bytes] = set()
        for lane, state in self.outbox.lanes.items():
            for first in range(state.oldest_seq, state.next_seq, _AT_ONCE):
                found |= {message.sha256 for message in self.outbox.unacknowledged(lane, _AT_ONCE, first)}
        return found


def read_at(times: list[int]) -> Readings:
    """One reading of point 0 at each of these times, µs; its value is its time."""
    n = len(times)
    return Readings(
        array("I", bytes(4 * n)), array("q", times), array("d", [float(time) for time in times]), array("B", bytes(n)),
        array("B", bytes(n)),
    )  # fmt: skip
