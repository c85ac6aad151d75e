"""The simulated field as a value: servers, clock, journal and control, started and stopped together."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from park_sim.clock import wall_us
from park_sim.control import Control, claim, sim_folder
from park_sim.field import TICK_S, Field
from park_sim.journal import Journal
from park_sim.modbus_field import ModbusField
from park_sim.opcua_field import OpcuaField
from park_sim.site import OPCUA, Address, FieldDevice, read_field
from park_sim.world import World
from park_wire.errors import ServiceError

log = structlog.stdlib.get_logger()

_MOST_TICKS_AT_ONCE: Final = 50
"""After a pause (a stopped process, a sleeping laptop) the world goes on from where it was, it does not catch up."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a field is run. `speed` is how many seconds of the park pass in a second."""

    site: Path
    data: Path
    seed: int = 1
    speed: float = 1.0
    start_us: int | None = None
    """Where the world's clock begins, µs since the epoch; now unless given."""


class Simulator:
    """The field of one site file. Raises ConfigError when the site can't be simulated; opens nothing before `start`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._devices = read_field(settings.site)
        self._servers: list[ModbusField | OpcuaField] = []
        self._control: Control | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen on every endpoint. Raises ServiceError naming each port that can't be had."""
        by_address: dict[Address, list[FieldDevice]] = {}
        for device in self._devices:
            by_address.setdefault(device.address, []).append(device)
        _check_ports(by_address)
        folder = sim_folder(self._settings.data)
        self._claim = claim(folder)
        now_us = wall_us()
        start_us = now_us if self._settings.start_us is None else self._settings.start_us
        self.journal = Journal(folder, now_us)
        self.field = Field(World(self._settings.seed, start_us), self._devices, self.journal)
        self.field.tick(now_us, TICK_S * self._settings.speed)
        try:
            self._control = Control(self.field, folder)
            await self._control.start()
            for address, devices in by_address.items():
                kind = OpcuaField if address.scheme == OPCUA else ModbusField
                server = kind(address, devices, self.field)
                await server.start()
                self._servers.append(server)
        except BaseException:
            await self.stop()
            raise
        self._tasks = [
            asyncio.create_task(self.journal.run(), name="truth journal"),
            asyncio.create_task(self._run(), name="world"),
        ]
        log.info(
            "field_started",
            devices=len(self._devices),
            points=sum(len(device.model.points) for device in self._devices),
            endpoints=[str(address) for address in by_address],
            seed=self._settings.seed,
            speed=self._settings.speed,
        )

    async def wait(self, stopped: asyncio.Event) -> None:
        """Return when `stopped` is set; raise what ended the field before that (a full disk under the journal)."""
        waiter = asyncio.create_task(stopped.wait())
        try:
            done, _ = await asyncio.wait([waiter, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            waiter.cancel()

    async def stop(self) -> None:
        """Close every port, then the journal: nothing is served that is not noted."""
        for server in self._servers:
            await server.stop()
        self._servers = []
        if self._control is not None:
            await self._control.stop()
            self._control = None
        self.journal.stop()
        if self._tasks:
            writer, world = self._tasks
            world.cancel()
            await asyncio.gather(writer, world, return_exceptions=True)
            self._tasks = []
        self.journal.close()
        self._claim.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        opcua = [server for server in self._servers if isinstance(server, OpcuaField)]
        due = loop.time() + TICK_S
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            late = int((loop.time() - due) / TICK_S)
            if late > _MOST_TICKS_AT_ONCE:
                log.warning("field_paused", seconds=round(late * TICK_S, 1))
                due += late * TICK_S
            due += TICK_S
            now_us = wall_us()
            happened = self.field.tick(now_us, TICK_S * self._settings.speed)
            for server in opcua:
                await server.update(now_us)
                await server.tell(happened, now_us)


async def serve(settings: Settings, stop_event: Callable[[], asyncio.Event]) -> None:
    """Run a field until the event that `stop_event` gives is set."""
    stopped = stop_event()
    simulator = Simulator(settings)
    await simulator.start()
    try:
        await simulator.wait(stopped)
    finally:
        await simulator.stop()
    log.info("field_stopped")


def _check_ports(addresses: Iterable[Address]) -> None:
    """Raise ServiceError naming every port that is taken: the servers' own libraries name one, or none."""
    taken: list[str] = []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, address.port))
            except OSError as error:
                taken.append(f"{address} ({error.strerror})")
    if taken:
        remedy = "stop the program that has the port, or change the endpoint in the site file"
        raise ServiceError(f"simulated field can't listen on {', '.join(taken)}; {remedy}")
