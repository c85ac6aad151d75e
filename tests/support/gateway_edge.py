"""A gateway without a field: an outbox, a way to the broker, and the centre's books."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator
from itertools import count
from pathlib import Path
from typing import Final

from park_gateway.mqtt import Mqtt
from park_gateway.outbox_thread import OutboxThread
from park_gateway.publish import Delivery, drain
from park_platform.embedded.broker import Broker
from park_wire.batch import Lane
from support.centre import Books, Centre, gateway_broker
from support.outboxes import Clock, open_outbox, readings_at

WAIT_S: Final = 30.0
_numbers = count(1)


async def until(condition: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
    """Let the loop run until `condition` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.005)


class Edge:
    """A gateway without a field: an outbox, a way to the broker, and the centre's books."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.broker = broker
        self.gateway = f"g-{next(_numbers)}"
        self.mqtt = Mqtt(gateway_broker(broker, self.gateway), self.gateway)
        self.clock = Clock(time.time_ns() // 1_000)
        self.books = Books()
        self.delivery = Delivery()
        self.outbox = OutboxThread(open_outbox(folder / "outbox", self.clock))
        self.written = 0.0

    @contextlib.contextmanager
    def centre(self) -> Generator[Centre]:
        with Centre(self.broker, self.gateway, self.books) as centre:
            yield centre

    @contextlib.asynccontextmanager
    async def draining(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(drain(self.outbox, self.mqtt, self.delivery))
        try:
            yield
        finally:
            if task.done():
                task.result()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def write(self, batches: int, wait_s: float = 0.1) -> list[float]:
        """Seal batches with one value each: 1, 2, 3, ..."""
        written: list[float] = []
        for _ in range(batches):
            self.written += 1
            written.append(self.written)
            self.outbox.put(readings_at(self.clock(), self.written))
            await self.outbox.seal(self.clock())
            self.clock.wait(wait_s)
        return written

    def lane_is_empty(self, *lanes: Lane) -> bool:
        return not any(self.outbox.outbox.lanes[lane].batches for lane in lanes or Lane)

    async def restart(self) -> None:
        """Another run of the same outbox, without a word to anybody."""
        await self.outbox.close()
        self.outbox = OutboxThread(open_outbox(self.folder / "outbox", self.clock))
