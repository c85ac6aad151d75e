"""The OPC UA devices of one endpoint: hold a subscription to all of them, and say so when there is nothing to hold.

Notifications come when something changes, so silence has to be told from death: the subscription holds the server's
own clock, which moves every second, and a simulated device's `Sample`. While the clock is heard, what is not mentioned
stands still, and its value is said again: a value that holds must not look like one that is missing. A point that does
not move for ten periods is read, in case the server has forgotten that it is watched.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from park_gateway.cancel import leave_if_cancelled
from park_gateway.clock import Anchor, monotonic_us
from park_gateway.device import OPCUA_BLOCK, SAMPLE_NODE, node_id
from park_gateway.opcua import Occurrence, Session, Value, Watched, WatchEvents, WatchValue, open_session
from park_gateway.opcua_value import SKEW_US, choose_time, event_body, is_overflow, judge, number_of, quality_of
from park_gateway.point import EventKind, Point
from park_gateway.presence import Presence, repeat_s
from park_gateway.reading import Readings, SampleSpan, Sink
from park_gateway.site import Device, Endpoint
from park_wire.batch import Event
from park_wire.errors import DeviceError, Refused, Unreachable
from park_wire.quality import Quality

_FIRST_DELAY_S: Final = 0.5
_MOST_DELAY_S: Final = 10.0
_TICK_S: Final = 0.25
_TICK_US: Final = int(_TICK_S * 1e6)
_CLOCK_NODE: Final = "i=2258"  # Server_ServerStatus_CurrentTime
_CLOCK_PERIOD_US: Final = 1_000_000
_CLOCK_HANDLE: Final = 1
_SILENT_PERIODS: Final = 3
_LEAST_SILENCE_US: Final = 1_000_000
_READ_PERIODS: Final = 10
_LEAST_READ_US: Final = 10_000_000
_RETRY_US: Final = 30_000_000

_log: Final = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Held:
    """A device and when it was last heard, on the monotonic clock in µs.

    While it is lost, `quality` says how, and `bad_at` when its bad readings are due again.
    """

    device: Device
    presence: Presence
    period_us: int
    heard_at: int = 0
    bad_at: int = 0
    quality: Quality = Quality.BAD_WAITING


@dataclass(slots=True, eq=False)
class _Item:
    """A monitored value. `first` until it was heard in this session, `watched` when the server took it.

    `holds` is what the server last said in this session, `heard_at` when; `put_at` when it was last put, and after
    `repeat_us` that is due again. Times are µs of the monotonic clock.
    """

    held: _Held
    point: Point
    index: int
    node: str
    is_sample: bool
    repeat_us: int
    first: bool = True
    watched: bool = False
    refused: bool = False
    heard_at: int = 0
    put_at: int = 0
    holds: tuple[float, Quality] | None = None
    last_time: int = 0


@dataclass(slots=True, eq=False)
class _Source:
    """A monitored source of events."""

    held: _Held
    kind: EventKind
    node: str
    watched: bool = False
    refused: bool = False


@dataclass(slots=True)
class Subscriber:
    """`run` holds a subscription to all devices of the endpoint until it is cancelled.

    `dropped` counts the values that the server says it dropped.
    """

    endpoint: Endpoint
    devices: Sequence[Device]
    anchor: Anchor
    sink: Sink
    dropped: int = 0
    _held: list[_Held] = field(default_factory=list[_Held])
    _items: list[_Item] = field(default_factory=list[_Item])
    _sources: list[_Source] = field(default_factory=list[_Source])
    _publishing_us: int = 0
    _clock_at: int = 0

    def __post_init__(self) -> None:
        for device in self.devices:
            held = _Held(device, Presence(device.id), device.period_ms * 1000)
            self._held.append(held)
            root = device.root or ""
            for point in device.points:
                node = node_id(root, SAMPLE_NODE if point.node is None else point.node)
                repeat_us = int(repeat_s(device.period_of(point)) * 1e6)
                self._items.append(_Item(held, point, device.index[point.name], node, point.node is None, repeat_us))
            self._sources += [_Source(held, kind, node_id(root, kind.node)) for kind in device.model.events]

    async def run(self) -> None:
        """Connect and listen, again whenever the session is lost, at most 10 s apart. Returns when cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_bad())
            group.create_task(self._hold())

    async def _keep_bad(self) -> None:
        # On its own: to find a server that does not answer takes longer than bad readings may stay away.
        while True:
            await asyncio.sleep(_TICK_S)
            self._repeat_bad()

    async def _hold(self) -> None:
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                async with open_session(self.endpoint) as session:
                    await self._subscribe(session)
                    delay_s = _FIRST_DELAY_S
                    await self._watch(session)
            except DeviceError as error:
                self._lose_all(error)
            leave_if_cancelled()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _MOST_DELAY_S)

    async def _subscribe(self, session: Session) -> None:
        periods = [held.device.period_of(point) for held in self._held for point in held.device.points]
        publishing_ms = await session.subscribe(float(min(periods, default=1000)), self._take)
        self._publishing_us = int(publishing_ms * 1000)
        self._clock_at = now = monotonic_us()
        for item in self._items:
            item.first, item.watched, item.heard_at, item.holds = True, False, now, None
        for source in self._sources:
            source.watched = False
        for held in self._held:
            held.heard_at = now
        (clock,) = await session.watch([WatchValue(_CLOCK_HANDLE, _CLOCK_NODE, 1000.0)])
        if not clock.is_good:
            raise Refused(f"{self.endpoint}: the server does not show its clock: {clock.name}; check the user's rights")
        await self._watch_missing(session)

    async def _watch_missing(self, session: Session) -> None:
        """Monitor what is not monitored yet; what the server refuses is bad, with its reason, until it takes it."""
        # A handle finds its item by counting: 1 is the clock, then the items, then the sources.
        numbered: list[tuple[int, _Item | _Source]] = list(enumerate([*self._items, *self._sources], _CLOCK_HANDLE + 1))
        missing = [(handle, what) for handle, what in numbered if not what.watched]
        answers = await session.watch([_wanted(handle, what) for handle, what in missing])
        refused = Readings()
        for (_, what), answer in zip(missing, answers, strict=True):
            self._note(what, answer)
            if isinstance(what, _Source):
                continue
            if answer.is_good:
                what.held.period_us = max(what.held.period_us, int(answer.sampling_ms * 1000))
            elif not what.is_sample:
                self._put(what, self.anchor.now(), float("nan"), quality_of(answer.status), refused)
        if len(refused):
            self.sink.put(refused)
        for held in self._held:
            if not held.device.points:
                held.presence.back()

    def _note(self, what: _Item | _Source, answer: Watched) -> None:
        """Log the first refusal of an item and the end of it."""
        what.watched = answer.is_good
        if not what.watched and not what.refused:
            problem = f'device "{what.held.device.id}" ({self.endpoint}), node {what.node}: {answer.name}'
            _log.warning("node_refused", error=f"{problem}; check `root`, the device model and the user's rights")
        elif what.watched and what.refused:
            _log.info("node_accepted", device=what.held.device.id, node=what.node)
        what.refused = not what.watched

    async def _watch(self, session: Session) -> None:
        """Return never; raise when the session is lost or the subscription dead."""
        retry_at = monotonic_us() + _RETRY_US
        while True:
            await asyncio.sleep(_TICK_S)
            leave_if_cancelled()
            now = monotonic_us()
            if session.lost is not None:
                raise Unreachable(f"{self.endpoint}: {session.lost}")
            silent_us = now - self._clock_at
            if silent_us > _SILENT_PERIODS * max(_CLOCK_PERIOD_US, self._publishing_us):
                problem = f"the subscription is dead, its server's clock was not heard for {silent_us / 1e6:.1f} s"
                raise Unreachable(f"{self.endpoint}: {problem}")
            self._find_silent(now)
            # The clock may come more rarely than a value is due.
            self._repeat_held(_TICK_US)
            await self._read_quiet(session, now)
            if now >= retry_at:
                retry_at = now + _RETRY_US
                await self._watch_missing(session)

    def _find_silent(self, now: int) -> None:
        for held in self._held:
            silent_us = now - held.heard_at
            most_us = max(_SILENT_PERIODS * max(held.period_us, self._publishing_us), _LEAST_SILENCE_US)
            if held.device.sample and not held.presence.is_lost and silent_us > most_us:
                held.presence.lost(
                    f'device "{held.device.id}" ({self.endpoint}): its counter stands still for '
                    f"{silent_us / 1e6:.1f} s; check the device behind the server"
                )
                self._put_bad(held, Quality.BAD_NO_ANSWER)

    async def _read_quiet(self, session: Session, now: int) -> None:
        quiet = [item for item in self._items if item.watched and now - item.heard_at > _read_after_us(item)]
        quiet = [item for item in quiet if not item.is_sample and not item.held.presence.is_lost]
        if not quiet:
            return
        values = await session.read([item.node for item in quiet])
        readings = Readings()
        for item, value in zip(quiet, values, strict=True):
            item.first = True
            self._take_value(item, value, self.anchor.now(), readings)
        self.sink.put(readings)

    def _repeat_held(self, ahead_us: int) -> None:
        """Say again what holds, wherever that is due within `ahead_us`."""
        now = self.anchor.now()
        soon = monotonic_us() + ahead_us
        readings = Readings()
        for item in self._items:
            if item.holds is None or item.is_sample or item.held.presence.is_lost:
                continue
            if soon >= item.put_at + item.repeat_us:
                self._put(item, now, *item.holds, readings)
        if len(readings):
            self.sink.put(readings)

    def _take(self, values: list[Value], events: list[Occurrence]) -> None:
        now = self.anchor.now()
        readings = Readings()
        clock_told = False
        for value in values:
            if value.handle == _CLOCK_HANDLE:
                self._clock_at = monotonic_us()
                clock_told = True
            else:
                self._take_value(self._items[value.handle - _CLOCK_HANDLE - 1], value, now, readings)
        for event in events:
            source = self._sources[event.handle - _CLOCK_HANDLE - 1 - len(self._items)]
            time, _ = choose_time(event.time, None, now, first=False)
            readings.events.append(Event(source.held.device.id, time, source.kind.kind, event_body(event.fields)))
        if len(readings) or readings.events:
            self.sink.put(readings)
        if clock_told:
            # It vouches for what was not mentioned beside it, and comes again in this time.
            self._repeat_held(max(_CLOCK_PERIOD_US, self._publishing_us) * 3 // 2)

    def _take_value(self, item: _Item, value: Value, now: int, readings: Readings) -> None:
        if is_overflow(value.status):
            self._count_dropped(item)
        point = item.point
        number = number_of(value.raw) * point.factor + point.offset
        number, quality = judge(number, quality_of(value.status), point.low, point.high)
        time, certain = choose_time(value.source, value.server, now, first=item.first)
        if not certain and quality is Quality.GOOD:
            quality = Quality.UNCERTAIN_CLOCK
        first, item.first = item.first, False
        item.heard_at = monotonic_us()
        if item.is_sample:
            # The first is where the counter stands, perhaps for long: that sample may have been taken already.
            if first or quality >= Quality.BAD:
                return
            readings.samples.append(SampleSpan(item.held.device.id, OPCUA_BLOCK, int(number)))
        if item.is_sample or not item.held.device.sample:
            item.held.heard_at = item.heard_at
            item.held.presence.back()
        self._put(item, time, number, quality, readings)

    def _put(self, item: _Item, time: int, number: float, quality: Quality, readings: Readings) -> None:
        """Add what holds from now on."""
        item.holds, item.put_at = (number, quality), monotonic_us()
        readings.add(item.index, self._next_time(item, time), number, quality)

    def _next_time(self, item: _Item, time: int) -> int:
        """Times of a point rise: two values that a server stamps alike are two readings.

        A larger step back is the clock's, of which an event tells.
        """
        if 0 <= item.last_time - time <= SKEW_US:
            time = item.last_time + 1
        item.last_time = time
        return time

    def _count_dropped(self, item: _Item) -> None:
        if not self.dropped:
            _log.warning("opcua_values_dropped", device=item.held.device.id, point=item.point.name)
        self.dropped += 1

    def _lose_all(self, error: DeviceError) -> None:
        for held in self._held:
            first = not held.presence.is_lost
            held.presence.lost(f'device "{held.device.id}": {error}; the gateway connects again by itself')
            if first:
                quality = Quality.BAD_REFUSED if isinstance(error, Refused) else Quality.BAD_NOT_CONNECTED
                self._put_bad(held, quality)

    def _repeat_bad(self) -> None:
        now = monotonic_us()
        for held in self._held:
            if held.presence.is_lost and now >= held.bad_at:
                self._put_bad(held, held.quality)

    def _put_bad(self, held: _Held, quality: Quality) -> None:
        """A reading without a value for each point of a lost device, at once and again and again."""
        held.quality = quality
        shortest_ms = min(map(held.device.period_of, held.device.points), default=held.device.period_ms)
        held.bad_at = monotonic_us() + int(repeat_s(shortest_ms) * 1e6)
        readings = Readings()
        for item in self._items:
            if item.held is held and not item.is_sample:
                readings.add(item.index, self._next_time(item, self.anchor.now()), float("nan"), quality)
        if len(readings):
            self.sink.put(readings)


def _wanted(handle: int, what: _Item | _Source) -> WatchValue | WatchEvents:
    if isinstance(what, _Source):
        return WatchEvents(handle, what.node, what.kind.type, what.kind.fields)
    return WatchValue(handle, what.node, float(what.held.device.period_of(what.point)))


def _read_after_us(item: _Item) -> int:
    return max(_LEAST_READ_US, _READ_PERIODS * item.held.device.period_of(item.point) * 1000)
