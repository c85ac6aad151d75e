"""A gateway as a value: `start`, `wait`, `stop`. Wires the poll loop to the outbox and the outbox to the broker.

Needs neither broker nor centre nor any device to start: everything is polled, buffered and tried again. Only a disk
that fails ends it, because after that it can't say what is safe.
"""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Final

import structlog

from park_gateway.clock import Anchor
from park_gateway.mqtt import Mqtt
from park_gateway.outbox import BEAT_US, Outbox
from park_gateway.outbox_thread import OutboxThread
from park_gateway.publish import Delivery, drain
from park_gateway.reading import Readings
from park_gateway.report import LaneReport, Rates, Report, disk_share
from park_gateway.schedule import Schedule
from park_gateway.site import Site, birth
from park_gateway.trace import Trace
from park_wire.errors import StoreError, StoreFull

MOST_QUOTA_BYTES: Final = 20_000_000_000
"""A week of 2,000 points at 1 Hz."""

_QUOTA_SHARE: Final = 0.8
_SEAL_EVERY_S: Final = 0.1
# Devices are often polled at the same instant; what they say goes into one batch.
_GATHER_S: Final = 0.01
_FULL_DELAY_S: Final = 1.0
_REPORT_EVERY_S: Final = 5.0
_START_AGAIN_S: Final = 5.0
# Goodbyes to broker and servers take up to 5 s, and whoever stops us waits 10.
_STOP_S: Final = 7.0

_log = structlog.get_logger()


class Gateway:
    """One gateway of a site whose settings were checked. Raises ConfigError when its certificate can't be read."""

    def __init__(self, site: Site, *, quota_bytes: int | None = None) -> None:
        """`quota_bytes` bounds the outbox; None: 20 GB, or 80 % of what the disk has left when that is less."""
        if site.mqtt is None:
            raise ValueError("the site was loaded without its broker")
        self.site: Final = site
        self.delivery: Final = Delivery()
        self.anchor: Final = Anchor()
        self.schedule: Final = Schedule(site, self.anchor, self)
        self._mqtt = Mqtt(site.mqtt, site.gateway)
        self._quota_bytes = quota_bytes
        self._rates = Rates()
        self._arrived = asyncio.Event()
        self._outbox: OutboxThread | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def outbox(self) -> Outbox:
        """The outbox of a gateway that was started."""
        return self._thread.outbox

    @property
    def _thread(self) -> OutboxThread:
        if self._outbox is None:
            raise RuntimeError("the gateway was not started")
        return self._outbox

    def put(self, readings: Readings) -> None:
        """Take readings of the poll loop over."""
        self._thread.put(readings)
        self._arrived.set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Start, wait and stop; a disk without any room is waited for. Raises StoreError."""
        waits = False
        while not stopped.is_set():
            try:
                await self.start()
            except StoreFull as error:
                # To end would only bring the next start to the same end.
                if not waits:
                    _log.error("outbox_full", error=str(error))
                waits = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), _START_AGAIN_S)
                continue
            try:
                await self.wait(stopped)
            finally:
                await self.stop()
            return

    async def start(self) -> None:
        """Open the outbox, then begin to poll and to send. Raises StoreError when the outbox can't be opened."""
        opened = await asyncio.to_thread(_open_outbox, self.site.data, self._quota_bytes, self.anchor)
        self._outbox = OutboxThread(opened)
        try:
            await self._thread.call(opened.add_birth, birth(self.site))
        except StoreError:
            await self._thread.close()
            raise
        points = sum(len(device.points) for device in self.site.devices)
        _log.info("gateway_started", gateway=self.site.gateway, devices=len(self.site.devices), points=points)
        self._task = asyncio.create_task(self._run())

    async def wait(self, stopped: asyncio.Event) -> None:
        """Wait until `stopped` is set. Raises StoreError when the outbox fails before that."""
        if self._task is None:
            raise RuntimeError("the gateway was not started")
        stop = asyncio.ensure_future(stopped.wait())
        try:
            await asyncio.wait([stop, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Stop polling and sending, seal what was read, and close the outbox. Raises StoreError when that failed.

        What does not end in its time is left behind: what was read must reach the disk before somebody kills us.
        """
        if self._task is None:
            return
        self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=_STOP_S)
        if late:
            _log.error("gateway_hangs", gateway=self.site.gateway, error=f"its work did not end within {_STOP_S:g} s")
        try:
            try:
                await self._thread.seal(self.schedule.horizon())
            except StoreFull:
                with contextlib.suppress(StoreFull):
                    await self._thread.call(self.outbox.give_up_waiting)
            await self._report()
        finally:
            await self._thread.close()
            _log.info("gateway_stopped", gateway=self.site.gateway)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.schedule.run())
                group.create_task(self._seal())
                group.create_task(drain(self._thread, self._mqtt, self.delivery))
                group.create_task(self._keep_report())
        except ExceptionGroup as failures:
            # One has failed and the others were cancelled for it.
            raise failures.exceptions[0] from None

    async def _seal(self) -> None:
        """Seal what has arrived, at most ten times a second; without anything an empty batch says that we live."""
        loop = asyncio.get_running_loop()
        sealed_s = loop.time() - _SEAL_EVERY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(sealed_s + BEAT_US / 1e6):
                    await self._arrived.wait()
            await asyncio.sleep(max(_GATHER_S, sealed_s + _SEAL_EVERY_S - loop.time()))
            self._arrived.clear()
            sealed_s = loop.time()
            try:
                await self._thread.seal(self.schedule.horizon())
            except StoreFull:
                # Polling goes on; there is room again when the centre takes something.
                await asyncio.sleep(_FULL_DELAY_S)

    async def _keep_report(self) -> None:
        while True:
            await self._report()
            with contextlib.suppress(StoreFull):
                await self._thread.call(self.outbox.tidy)
            await asyncio.sleep(_REPORT_EVERY_S)

    async def _report(self) -> None:
        lanes = self.outbox.lanes
        rates = self._rates.show(time.monotonic(), lanes)
        now = self.anchor.now()
        counts = self.schedule.counts
        report = Report(
            gateway=self.site.gateway,
            at=now,
            online=self.delivery.online,
            free_bytes=await self._thread.call(self.outbox.free_bytes),
            skew_us=self.delivery.skew_us,
            resends=self.delivery.resends,
            blocks=counts.blocks,
            failures=counts.failures,
            missed=counts.missed,
            lanes={
                lane: LaneReport(state.batches, state.readings, state.age_us(now) / 1e6, *rates[lane])
                for lane, state in lanes.items()
            },
        )
        # A full disk may have no room for it, and the old one is no harm.
        with contextlib.suppress(OSError):
            await self._thread.call(report.write, self.site.data)


def _open_outbox(folder: Path, quota_bytes: int | None, anchor: Anchor) -> Outbox:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        quota = quota_bytes or disk_share(folder, _QUOTA_SHARE, MOST_QUOTA_BYTES)
        trace = Trace.from_environment()
    except OSError as error:
        raise StoreError(f"outbox folder {folder}: {error}; check that it exists and may be written to") from error
    return Outbox.open(folder, quota_bytes=quota, now=anchor.now, trace=trace)
