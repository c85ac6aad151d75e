"""A broker and a centre in virtual time: messages get lost, late and out of order, and an hour takes a second.

The gateway's side is the real one, from the outbox on disk to `drain`; what is played is the network and, after
chain.md 4.2, an honest centre. Whoever tests may send acks that no honest centre would.
"""

import asyncio
import contextlib
import random
import selectors
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, Final

from park_gateway.mqtt import MOST_UNCONFIRMED, BrokerLost
from park_gateway.outbox import Outbox
from park_gateway.outbox_thread import OutboxThread
from park_wire.batch import GENESIS, Batch, Lane, Origin, Tombstone, read_message
from park_wire.messages import Ack, Birth, Hello
from support.outboxes import START_US, Clock

Listener = Callable[[str, bytes], None]
_PUBACK_S: Final = 0.02
_MOST_TURNS: Final = 20_000
"""Turns of the event loop at one instant."""


class _Selector(selectors.DefaultSelector):
    """Does not wait: what would be waited for has passed."""

    loop: "VirtualLoop"
    turns: int = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.turns += 1
        assert self.turns < _MOST_TURNS, "somebody runs in a circle and never waits"
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            if timeout > 0:
                self.loop.now_s += timeout
                self.turns = 0
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to what is due next."""

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now_s


@dataclass(slots=True)
class LoopClock(Clock):
    """Anchored time that follows a loop."""

    loop: VirtualLoop = field(default_factory=VirtualLoop)

    def __call__(self) -> int:
        """Time in µs UTC."""
        return START_US + round(self.loop.now_s * 1e6)


class _Inline(Executor):
    """Runs what it is given at once: a thread would not know of virtual time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # it goes where a thread's would go
            done.set_exception(error)
        return done


class SlowThread(OutboxThread):
    """An outbox whose calls take a while before and after, as behind a busy disk, so that others come in between."""

    def __init__(self, outbox: Outbox, dice: random.Random, after: Callable[[], None] = lambda: None) -> None:
        """`after` looks at what each call has done."""
        super().__init__(outbox)
        self._executor.shutdown()
        inline: Any = _Inline()
        self._executor = inline
        self._dice = dice
        self._after = after

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a method of the outbox."""
        await asyncio.sleep(self._dice.choice((0.0, 0.0, 0.001, 0.03)))
        result = await super().call(function, *args, **kwargs)
        self._after()
        await asyncio.sleep(self._dice.choice((0.0, 0.0, 0.001, 0.03)))
        return result


@dataclass(slots=True)
class Wire:
    """The broker as `drain` sees it. `lose_up`, `lose_down`: the share of messages that vanish; `up`: it is there."""

    dice: random.Random
    lose_up: float = 0.0
    lose_down: float = 0.0
    latency_s: float = 0.01
    up: bool = True
    line: "WireLine | None" = None
    on_publish: Listener | None = None
    on_deliver: Callable[[bytes], None] | None = None
    listener: Listener | None = None

    @contextlib.asynccontextmanager
    async def connected(self, will: bytes) -> AsyncGenerator["WireLine"]:
        """A connection, unless the broker is away."""
        assert will
        await asyncio.sleep(0.01)
        if not self.up:
            raise BrokerLost("wire: nobody there")
        line = self.line = WireLine(self)
        try:
            yield line
        finally:
            line.end("closed")

    def cut(self) -> None:
        """End the connection; what was on its way down is lost, what was on its way up may arrive."""
        if self.line is not None:
            self.line.end("cut")

    def send_down(self, ack: Ack) -> None:
        """Bring an ack to the gateway, perhaps."""
        line = self.line
        if line is None or self.dice.random() < self.lose_down:
            return
        self.carry(line.bring, ack.encode())

    def carry(self, bring: Callable[..., None], *what: Any) -> None:
        """Bring a message: never in the same time, so they overtake each other; without latency in their order."""
        loop = asyncio.get_running_loop()
        if self.latency_s:
            loop.call_later(self.latency_s * self.dice.random() * 2, bring, *what)
        else:
            loop.call_soon(bring, *what)


class WireLine:
    """One connection, with what `park_gateway.mqtt.Connection` offers."""

    def __init__(self, wire: Wire) -> None:
        self.on_room: Callable[[], None] | None = None
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._ended: str | None = None
        self._inbox: list[bytes] = []
        self._news = asyncio.Event()
        self._unconfirmed = 0

    @property
    def is_open(self) -> bool:
        """Whether anything goes through."""
        return self._ended is None

    def has_room(self) -> bool:
        """Whether a further message may wait for its PUBACK."""
        return self._unconfirmed < MOST_UNCONFIRMED

    def publish(self, leaf: str, payload: bytes) -> None:
        """Hand a message over."""
        wire = self._wire
        if self._ended is not None:
            return
        if wire.on_publish is not None:
            wire.on_publish(leaf, payload)
        self._unconfirmed += 1
        self._loop.call_later(_PUBACK_S, self._confirm)
        if wire.listener is not None and wire.dice.random() >= wire.lose_up:
            wire.carry(wire.listener, leaf, payload)

    async def received(self) -> list[bytes]:
        """Acks that have come."""
        while not self._inbox:
            if self._ended is not None:
                raise BrokerLost(f"wire: {self._ended}")
            self._news.clear()
            await self._news.wait()
        payloads, self._inbox = self._inbox, []
        for payload in payloads:
            if self._wire.on_deliver is not None:
                self._wire.on_deliver(payload)
        return payloads

    def bring(self, payload: bytes) -> None:
        """An ack comes in."""
        if self._ended is None:
            self._inbox.append(payload)
            self._news.set()

    def end(self, reason: str) -> None:
        """Nothing goes through any more."""
        self._ended = self._ended or reason
        self._news.set()

    def _confirm(self) -> None:
        room = self.has_room()
        self._unconfirmed -= 1
        if not room and self.on_room is not None:
            self.on_room()


@dataclass(slots=True)
class HonestCentre:
    """Commits each lane in order, by mark and head, and asks for what it misses."""

    wire: Wire
    credit: int = 8
    births: set[bytes] = field(default_factory=set[bytes])
    marks: dict[tuple[bytes, Lane], tuple[int, bytes]] = field(
        default_factory=dict[tuple[bytes, Lane], tuple[int, bytes]]
    )
    history: dict[tuple[bytes, Lane, int], bytes] = field(default_factory=dict[tuple[bytes, Lane, int], bytes])
    committed: list[Batch | Tombstone] = field(default_factory=list[Batch | Tombstone])
    hellos: list[Hello] = field(default_factory=list[Hello])
    gaps: int = 0

    def hear(self, leaf: str, payload: bytes) -> None:
        """Take a message of the gateway."""
        match leaf:
            case "hello":
                self._greet(Hello.decode(payload))
            case "birth":
                self.births.add(Birth.decode(payload).config_version)
            case "data":
                self._take(read_message(payload))
            case _:
                pass

    def _greet(self, hello: Hello) -> None:
        self.hellos.append(hello)
        stale = False
        for lane, at in hello.lanes.items():
            mark, _ = self._mark(hello.epoch, lane)
            if at.oldest_seq > mark + 1:
                self.gaps += 1
                self._move(hello.epoch, lane, at.oldest_seq - 1, at.before)
            elif self.history.get((hello.epoch, lane, at.oldest_seq - 1), GENESIS) != at.before:
                stale = True
        self.answer(hello.run, hello.epoch, new_epoch=stale)

    def _take(self, message: Batch | Tombstone) -> None:
        at = message.envelope
        mark, head = self._mark(at.epoch, at.lane)
        if isinstance(message, Batch) and message.sealed.config_version not in self.births:
            self.answer(at.run, at.epoch, need_birth=message.sealed.config_version)
        elif at.seq <= mark:
            self.answer(at.run, at.epoch)
        elif at.seq > mark + 1:
            self.answer(at.run, at.epoch, need_hello=self.wire.dice.random() < 0.1)
        elif at.prev != head:
            self.answer(at.run, at.epoch, new_epoch=True)
        else:
            first = first_identity(message)
            # It may be moved more than once, and it may overtake its former self.
            if self.history.get((first.epoch, first.lane, first.seq)) != message.sha256:
                self.committed.append(message)
                self.history[first.epoch, first.lane, first.seq] = message.sha256
            self._move(at.epoch, at.lane, message.last_seq, message.sha256)
            self.answer(at.run, at.epoch)

    def _mark(self, epoch: bytes, lane: Lane) -> tuple[int, bytes]:
        return self.marks.get((epoch, lane), (0, GENESIS))

    def _move(self, epoch: bytes, lane: Lane, mark: int, head: bytes) -> None:
        self.marks[epoch, lane] = (mark, head)
        self.history[epoch, lane, mark] = head

    def ack(self, run: bytes, epoch: bytes, **wishes: Any) -> Ack:
        """What it says now."""
        marks = {lane: self._mark(epoch, lane) for lane in Lane}
        return Ack(run, epoch, marks, self.credit, START_US, **wishes)

    def answer(self, run: bytes, epoch: bytes, **wishes: Any) -> None:
        """Say it."""
        self.wire.send_down(self.ack(run, epoch, **wishes))


def first_identity(message: Batch | Tombstone) -> Origin:
    """The identity under which it was sealed."""
    at = message.envelope
    return at.origin or Origin(at.epoch, at.lane, at.seq)
