"""The poll loop: every device in its own time, so that a dead one delays no other.

Devices of one period are spread over it. A device that does not answer is asked again after a growing time, at most
30 s, and by one request only; its points are bad from the first failure on, never the last good value. Reading and
decoding stay in one thread: a poll is some µs of work between two waits.
"""

import asyncio
import contextlib
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from park_gateway.boundary import keep_reading
from park_gateway.cancel import leave_if_cancelled
from park_gateway.clock import Anchor
from park_gateway.decode import Block, decode_block
from park_gateway.modbus import Bus, NotConnected, read_block
from park_gateway.opcua_value import SKEW_US
from park_gateway.point import Protocol
from park_gateway.presence import Presence, repeat_s
from park_gateway.reading import Readings, SampleSpan, Sink
from park_gateway.site import Device, Endpoint, Site
from park_wire.errors import DeviceError, Nonsense, Refused
from park_wire.quality import Quality

MOST_BACK_OFF_S: Final = 30.0
_ANCHOR_S: Final = 1.0
# One lost frame is no lost device: a noisy serial line behind a converter loses one now and then.
_TRIES: Final = 2
_LOOK_S: Final = 1.0
# A timer may go off this much too early.
_EARLY_S: Final = 0.001
_Place = tuple[str, int]
"""A poll: device and period in ms."""


@dataclass(slots=True)
class Counts:
    """What happened since the start: blocks read and failed, and polls that were missed for lateness."""

    blocks: int = 0
    failures: int = 0
    missed: int = 0


class Schedule:
    """Reads the devices of a site. What it reads goes to `sink` as soon as it is read, in the event loop's thread."""

    def __init__(self, site: Site, anchor: Anchor, sink: Sink) -> None:
        self.site = site
        self.anchor = anchor
        self.sink = sink
        self.counts = Counts()
        self._lag_us = SKEW_US if any(device.model.protocol is Protocol.OPCUA for device in site.devices) else 0

    def horizon(self) -> int:
        """No reading older than this will be put any more, µs UTC. Sources that stamp for themselves may be behind."""
        return self.anchor.now() - self._lag_us

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            phases = _phases(self.site)
            for endpoint, devices in self.site.endpoints().items():
                if endpoint.scheme.protocol is Protocol.OPCUA:
                    read = partial(self._subscribe, endpoint, devices)
                else:
                    read = partial(self._poll, endpoint, devices, phases)
                group.create_task(keep_reading(endpoint, devices, read, self.anchor, self.sink))

    async def _subscribe(self, endpoint: Endpoint, devices: Sequence[Device]) -> None:
        # Its library takes 40 MB, which a site without such devices need not have.
        from park_gateway.subscriber import Subscriber  # noqa: PLC0415

        await Subscriber(endpoint, devices, self.anchor, self.sink).run()

    async def _poll(self, endpoint: Endpoint, devices: Sequence[Device], phases: Mapping[_Place, float]) -> None:
        bus = Bus(endpoint)
        start_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            group.create_task(bus.run())
            for device in devices:
                for poll in _polls(_Link(self, bus, device)):
                    phase = phases[device.id, poll.period_ms]
                    group.create_task(poll.run(start_s + poll.period_ms / 1000 * phase))

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_ANCHOR_S)
            event = self.anchor.renew(self.site.gateway)
            if event is not None:
                self.sink.put(Readings(events=[event]))


@dataclass(slots=True, eq=False)
class _Link:
    """A Modbus device as it is reached: shared by its polls.

    `ask_at` is when a lost device may be asked again, `bad_at` when its bad readings are due again, loop time;
    `unconnected`: it waits for its connection; `quality`: how it is lost.
    """

    schedule: Schedule
    bus: Bus
    device: Device
    blocks: tuple[Block, ...] = ()
    presence: Presence = field(init=False)
    refusals: dict[str, Presence] = field(default_factory=dict[str, Presence])
    failures: int = 0
    ask_at: float = 0.0
    bad_at: float = 0.0
    unconnected: bool = False
    quality: Quality = Quality.BAD_NO_ANSWER
    repeat_s: float = 0.0

    def __post_init__(self) -> None:
        self.blocks = self.device.blocks()
        self.repeat_s = repeat_s(min(block.request.period_ms for block in self.blocks))
        self.presence = Presence(self.device.id)
        self.refusals = {block.request.name: Presence(self.device.id, block.request.name) for block in self.blocks}

    async def read(self, blocks: Sequence[Block]) -> None:
        """Read these blocks and put what they say. After a failure of the device the rest is not asked."""
        read: set[str] = set()
        for block in blocks:
            try:
                await self._read(block)
            except Refused as error:
                # The device is there; the fault lies in this block.
                self.refusals[block.request.name].lost(error)
                self.schedule.counts.failures += 1
                self._put_bad([block], Quality.BAD_REFUSED)
                self._answered()
            except DeviceError as error:
                self._lose(error, read)
                return
            read.add(block.request.name)

    def _answered(self) -> None:
        self.failures = 0
        self.presence.back()

    async def _read(self, block: Block) -> None:
        for tries in range(_TRIES, 0, -1):
            try:
                words = await read_block(self.bus, block)
            except Refused:
                raise
            except DeviceError:
                if tries == 1 or self.presence.is_lost:
                    raise
                continue
            self._put(block, words)
            self._answered()
            return

    def _put(self, block: Block, words: bytes) -> None:
        schedule = self.schedule
        taken_at = schedule.anchor.now()
        decoded = decode_block(block, words)
        readings = Readings()
        readings.add_block(decoded.index, taken_at, decoded.value, decoded.quality, decoded.mark)
        if decoded.ordinal is not None:
            readings.samples.append(SampleSpan(block.device, block.request.name, decoded.ordinal))
        self.refusals[block.request.name].back()
        schedule.counts.blocks += 1
        schedule.sink.put(readings)

    def _lose(self, error: DeviceError, read: set[str]) -> None:
        first = not self.presence.is_lost
        self.presence.lost(error)
        self.failures += 1
        self.quality = Quality.BAD_NO_ANSWER
        self.unconnected = isinstance(error, NotConnected)
        back_off_s = self.device.period_ms / 1000 * 2 ** min(self.failures, 16)
        if self.unconnected:
            # `wait` returns when the connection is there.
            self.quality = Quality.BAD_NOT_CONNECTED
        elif isinstance(error, Nonsense):
            self.quality = Quality.BAD_NONSENSE
        self.ask_at = asyncio.get_running_loop().time() + min(back_off_s, MOST_BACK_OFF_S)
        lost = [block for block in self.blocks if block.request.name not in read]
        self.schedule.counts.failures += len(lost)
        # However often it is lost again, that is said as often as it is needed.
        if first:
            self._put_bad(lost, self.quality)
        else:
            self._repeat_bad()

    def _repeat_bad(self) -> None:
        if asyncio.get_running_loop().time() >= self.bad_at:
            self._put_bad(self.blocks, self.quality)

    def _put_bad(self, blocks: Iterable[Block], quality: Quality) -> None:
        """One reading without a value for each point. A sample that was not read is no sample, so it has none."""
        self.bad_at = asyncio.get_running_loop().time() + self.repeat_s
        readings = Readings()
        taken_at = self.schedule.anchor.now()
        for block in blocks:
            points = block.index[: len(block.request.points)]
            readings.add_bad(array("I", points), taken_at, quality)
        self.schedule.sink.put(readings)

    async def wait(self, due_s: float) -> None:
        """Wait until `due_s`; for a lost device until it may be asked again, or its connection is back."""
        loop = asyncio.get_running_loop()
        while (left_s := self._left_s(due_s)) > 0:
            if not self.presence.is_lost:
                await asyncio.sleep(left_s)
                continue
            self._repeat_bad()
            # Another poll of a lost device may find it back meanwhile.
            left_s = min(left_s, _LOOK_S, self.bad_at - loop.time())
            if self.unconnected:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.bus.up.wait(), left_s)
                leave_if_cancelled()
            else:
                await asyncio.sleep(left_s)
        if self.presence.is_lost:
            # One poll asks at a time.
            self.ask_at = loop.time() + MOST_BACK_OFF_S
            self.unconnected = False

    def _left_s(self, due_s: float) -> float:
        """How long until it may be asked."""
        if self.presence.is_lost and self.unconnected:
            return 0.0 if self.bus.up.is_set() else math.inf
        due_s = max(due_s, self.ask_at) if self.presence.is_lost else due_s
        return due_s - asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True, eq=False)
class _Poll:
    """The blocks of a device that have one period."""

    link: _Link
    period_ms: int
    blocks: tuple[Block, ...]

    async def run(self, due_s: float) -> None:
        """Poll from `due_s` on, loop time, at the instants of its phase; those that have passed are missed."""
        loop = asyncio.get_running_loop()
        period_s = self.period_ms / 1000
        while True:
            await self.link.wait(due_s)
            await self.link.read(self.blocks)
            leave_if_cancelled()
            # A device that is back may have been asked before its time, and keeps its instants all the same.
            passed = math.floor((loop.time() - due_s + _EARLY_S) / period_s) + 1
            due_s += passed * period_s
            if passed > 1 and not self.link.presence.is_lost:
                self.link.schedule.counts.missed += passed - 1


def _phases(site: Site) -> dict[_Place, float]:
    """Where in its period each poll of the site begins, from 0 to 1: those of one period are spread over it."""
    places: dict[int, list[_Place]] = {}
    for devices in site.endpoints().values():
        for device in devices:
            for period_ms in {request.period_ms for request in device.requests}:
                places.setdefault(period_ms, []).append((device.id, period_ms))
    return {place: number / len(equals) for equals in places.values() for number, place in enumerate(equals)}


def _polls(link: _Link) -> list[_Poll]:
    periods = sorted({block.request.period_ms for block in link.blocks})
    return [
        _Poll(link, period, tuple(block for block in link.blocks if block.request.period_ms == period))
        for period in periods
    ]
