"""Field devices on loopback for the gateway's tests: real pymodbus and asyncua servers, and lines of nonsense."""

import asyncio
import contextlib
import math
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncua
import asyncua.ua
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from park_gateway.config import load_site
from park_gateway.device import SAMPLE_WORDS, image, load_model
from park_gateway.point import DeviceModel, EventKind
from park_gateway.reading import Readings
from park_gateway.site import Site
from park_wire.quality import Mark

ua: Any = asyncua.ua
NAMESPACE = 2


@dataclass
class Meter:
    """A device behind a Modbus server. Its fields may be changed at any time."""

    unit: int
    model: DeviceModel
    values: dict[str, float] = field(default_factory=dict[str, float])
    mark: Mark | None = None
    silent: bool = False
    refuses: dict[int, ExcCodes] = field(default_factory=dict[int, ExcCodes])
    """Exception by first address; -1 is every address."""
    samples: dict[int, int] = field(default_factory=dict[int, int])
    """Ordinals by first address."""
    reads: int = 0

    def words(self, address: int, count: int) -> list[int]:
        """What a read answers: the image, zeros between, and the sample where the last words are not the maker's."""
        shown = image(self.model, self.values, self.mark)
        words = [shown.get(at, 0) for at in range(address, address + count)]
        last = range(address + count - SAMPLE_WORDS, address + count)
        if count > SAMPLE_WORDS and self.model.mapped.isdisjoint(last):
            ordinal = self.samples[address] = self.samples.get(address, 0) + 1
            words[-2:] = struct.unpack(">HH", struct.pack(">I", ordinal))
        return words

    async def on_access(  # the signature is the library's
        self, function: int, start: int, address: int, count: int, registers: list[int], written: object
    ) -> ExcCodes | None:
        """The action of a SimDevice."""
        if function not in (3, 4) or written is not None:
            raise AssertionError(f"function {function}: somebody writes to the field")
        self.reads += 1
        if self.silent:
            raise NoSuchIdException
        refusal = self.refuses.get(address, self.refuses.get(-1))
        if refusal is not None:
            return refusal
        at = address - start
        registers[at : at + count] = self.words(address, count)
        return None


class ModbusField:
    """Meters behind one real pymodbus server, which may be stopped and started again on the same port."""

    def __init__(self, *meters: Meter, framer: FramerType = FramerType.SOCKET) -> None:
        self.meters = meters
        self.framer = framer
        self.port = 0
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Listen."""
        devices = [
            SimDevice(
                id=meter.unit,
                simdata=[SimData(0, count=65_000, datatype=DataType.REGISTERS)],
                action=meter.on_access,
            )
            for meter in self.meters
        ]
        self._server = ModbusTcpServer(
            devices, framer=self.framer, address=("127.0.0.1", self.port), ignore_missing_devices=True
        )
        await self._server.serve_forever(background=True)
        listener: Any = self._server.transport
        self.port = listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def modbus_field(*meters: Meter, framer: FramerType = FramerType.SOCKET) -> AsyncGenerator[ModbusField]:
    """A running ModbusField."""
    served = ModbusField(*meters, framer=framer)
    await served.start()
    try:
        yield served
    finally:
        await served.stop()


Answer = Callable[[bytes], Awaitable[Sequence[bytes] | None]]


@contextlib.asynccontextmanager
async def scripted_line(answer: Answer) -> AsyncGenerator[int]:
    """A port where each request (as it came) is answered by what `answer` returns, piece by piece; None hangs up."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while request := await reader.read(512):
            pieces = await answer(request)
            if pieces is None:
                break
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


def mbap(request: bytes, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
    """A Modbus TCP frame that answers `request`, or pretends to."""
    number = int.from_bytes(request[:2], "big") if transaction is None else transaction
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, request[6] if unit is None else unit) + pdu


class Gathered:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.all: list[Readings] = []

    def put(self, readings: Readings) -> None:
        """Take over."""
        self.all.append(readings)

    def of(self, index: int) -> list[tuple[int, float, int, int]]:
        """(time, value, quality, mark) of a point, as they came."""
        return [
            (time, value, quality, mark)
            for readings in self.all
            for at, time, value, quality, mark in zip(
                readings.index, readings.time, readings.value, readings.quality, readings.mark, strict=True
            )
            if at == index
        ]

    def last(self, index: int) -> tuple[float, int]:
        """Latest value and quality of a point; NaN and -1 when there is none."""
        found = self.of(index)
        return (found[-1][1], found[-1][2]) if found else (math.nan, -1)

    async def until(self, condition: Callable[[], bool], within_s: float = 15.0) -> None:
        """Wait until something that was put makes the condition true."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"waited {within_s:g} s in vain"
            await asyncio.sleep(0.005)


def site_of(folder: Path, *devices: str) -> Site:
    """A site with these [[device]] tables, each given as its lines."""
    text = '[gateway]\nid = "gw-1"\n[mqtt]\nurl = "mqtt://gw-1:secret@127.0.0.1:1883"\n'
    file = folder / "SITE.toml"
    file.write_text(text + "".join(f"[[device]]\n{device}\n" for device in devices), "utf-8")
    return load_site(file, {})


@contextlib.asynccontextmanager
async def running(*work: Awaitable[None]) -> AsyncGenerator[None]:
    """Let these run beside the test; a failure of one fails it."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


class OpcuaServer:
    """A real asyncua server. Making one takes seconds of processor time, so tests share it and bring their devices."""

    def __init__(self) -> None:
        self.library: Any = asyncua.Server()  # pyright: ignore[reportPrivateImportUsage]
        self.port = 0
        self._devices = 0
        self._kinds: dict[str, Any] = {}

    async def start(self) -> None:
        """Build the address space and listen."""
        await self.library.init()
        self.library.set_endpoint("opc.tcp://127.0.0.1:0")
        self.library.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        assert await self.library.register_namespace("urn:test:field") == NAMESPACE
        await self.library.start()
        self.port = self.library.bserver.port

    async def stop(self) -> None:
        """End the server."""
        await self.library.stop()

    async def close_port(self) -> None:
        """Hang up on every client and listen no more."""
        await self.library.bserver.stop()

    async def open_port(self) -> None:
        """Listen again, on the same port."""
        await self.library.bserver.start()

    async def add(self, model: str) -> "OpcuaField":
        """A new device of this model, with the values that it has when it is switched on."""
        self._devices += 1
        device = OpcuaField(self, load_model(model), f"device-{self._devices}")
        await device.build()
        return device

    async def event_type(self, kind: EventKind) -> Any:
        """The type of an event, made at its first use."""
        if kind.type not in self._kinds:
            base = self.library.nodes.base_event_type
            made = await base.add_object_type(ua.NodeId(kind.type, NAMESPACE), f"{NAMESPACE}:{kind.type}")
            for name in kind.fields.values():
                node = ua.NodeId(f"{kind.type}.{name}", NAMESPACE)
                await made.add_property(node, f"{NAMESPACE}:{name}", "", ua.VariantType.String)
            self._kinds[kind.type] = made
        return self._kinds[kind.type]


class OpcuaField:
    """One device of a model on an OPC UA server, and its counter. Made by `OpcuaServer.add`."""

    def __init__(self, server: OpcuaServer, model: DeviceModel, root: str) -> None:
        self.server = server
        self.model = model
        self.root = root
        self.nodes: dict[str, Any] = {}
        self._object: Any = None
        self._ordinal = 0

    def _id(self, name: str = "") -> Any:
        return ua.NodeId(f"{self.root}.{name}" if name else self.root, NAMESPACE)

    async def build(self) -> None:
        """Add the device to the address space."""
        objects = self.server.library.nodes.objects
        self._object = await objects.add_object(self._id(), f"{NAMESPACE}:{self.root}")
        for point in self.model.points:
            name = str(point.node)
            self.nodes[name] = await self._object.add_variable(self._id(name), f"{NAMESPACE}:{name}", 0.0)
        kind = ua.VariantType.UInt32
        self.nodes["Sample"] = await self._object.add_variable(self._id("Sample"), f"{NAMESPACE}:Sample", 0, kind)
        if self.model.events:
            await self._object.set_event_notifier([ua.EventNotifier.SubscribeToEvents])

    async def show(self, *, sample: bool = True, **values: Any) -> None:
        """Give variables new values, DataValues as they are; and count, as a simulated device does last."""
        for name, value in values.items():
            shown = value if isinstance(value, ua.DataValue) else data_value(value)
            await self.server.library.write_attribute_value(self.nodes[name].nodeid, shown)
        if sample:
            self._ordinal += 1
            number = data_value(self._ordinal, kind=ua.VariantType.UInt32)
            await self.server.library.write_attribute_value(self.nodes["Sample"].nodeid, number)

    async def fire(self, kind: str, **fields: str | float) -> None:
        """Raise an event at the device."""
        known = next(one for one in self.model.events if one.kind == kind)
        generator = await self.server.library.get_event_generator(await self.server.event_type(known), self._object)
        for name, value in fields.items():
            setattr(generator.event, name, value)
            text = isinstance(value, str)
            generator.event.data_types[name] = ua.VariantType.String if text else ua.VariantType.Double
        await generator.trigger()


def data_value(value: Any, status: str = "Good", *, source: datetime | None = None, kind: Any = None) -> Any:
    """A value with its status code by name; its source's time is now unless it is given."""
    now = datetime.now(UTC).replace(tzinfo=None)
    code = ua.StatusCode(getattr(ua.StatusCodes, status))
    return ua.DataValue(ua.Variant(value, kind or ua.VariantType.Double), code, source or now, now)
