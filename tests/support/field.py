"""Field devices on loopback for the gateway's tests: real pymodbus and asyncua servers, and a line that talks nonsense."""

import asyncio
import contextlib
import math
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
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
from park_gateway.device import SAMPLE_WORDS, DeviceModel, image, load_model
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
        """What a read answers: the image, zeros between, and the sample where the last two words are not the maker's."""
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
        self.arrived = asyncio.Event()

    def put(self, readings: Readings) -> None:
        """Take over."""
        self.all.append(readings)
        self.arrived.set()

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

    async def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until something that was put makes the condition true."""
        async with asyncio.timeout(within_s):
            while not condition():
                self.arrived.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.arrived.wait(), 0.05)


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


class OpcuaField:
    """A real asyncua server with one device of a model, and the counter of a simulated one."""

    def __init__(self, model: str, root: str = "tank-1") -> None:
        self.model = load_model(model)
        self.root = root
        self.port = 0
        self.server: Any = None
        self.nodes: dict[str, Any] = {}
        self.kinds: dict[str, Any] = {}
        self.device: Any = None
        self._ordinal = 0

    async def start(self, port: int = 0, limits: dict[int, int] | None = None) -> None:
        """Listen, with the values of a device that was just switched on."""
        self.port = port or _free_port()
        server: Any = asyncua.Server()  # pyright: ignore[reportPrivateImportUsage]
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for _ in range(NAMESPACE - 1):
            await server.register_namespace("urn:test:field")
        for node, limit in (limits or {}).items():
            await server.get_node(ua.NodeId(node)).write_value(ua.Variant(limit, ua.VariantType.UInt32))
        self.device = await server.nodes.objects.add_object(self._id(""), f"{NAMESPACE}:{self.root}")
        await self.device.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        for point in self.model.points:
            name = point.node or ""
            self.nodes[name] = await self.device.add_variable(self._id(name), f"{NAMESPACE}:{name}", 0.0)
        self.nodes["Sample"] = await self.device.add_variable(
            self._id("Sample"), f"{NAMESPACE}:Sample", 0, ua.VariantType.UInt32
        )
        for kind in self.model.events:
            fields = [(name, ua.VariantType.String) for name in kind.fields.values()]
            self.kinds[kind.kind] = await server.nodes.base_event_type.add_object_type(
                ua.NodeId(kind.type, NAMESPACE), f"{NAMESPACE}:{kind.type}"
            )
            for name, variant in fields:
                await self.kinds[kind.kind].add_property(
                    ua.NodeId(f"{kind.type}.{name}", NAMESPACE), f"{NAMESPACE}:{name}", "", variant
                )
        await server.start()
        self.server = server

    def _id(self, name: str) -> Any:
        return ua.NodeId(f"{self.root}.{name}" if name else self.root, NAMESPACE)

    async def show(self, sample: bool = True, **values: Any) -> None:
        """Give variables new values, DataValues as they are, and count."""
        for name, value in values.items():
            shown = value if isinstance(value, ua.DataValue) else _data_value(value)
            await self.server.write_attribute_value(self.nodes[name].nodeid, shown)
        if sample:
            self._ordinal += 1
            number = ua.Variant(self._ordinal, ua.VariantType.UInt32)
            await self.server.write_attribute_value(self.nodes["Sample"].nodeid, _data_value(number))

    async def fire(self, kind: str, **fields: Any) -> None:
        """Raise an event at the device."""
        generator = await self.server.get_event_generator(self.kinds[kind], self.device)
        for name, value in fields.items():
            setattr(generator.event, name, value)
            generator.event.data_types[name] = ua.VariantType.String if isinstance(value, str) else ua.VariantType.Double
        await generator.trigger()

    async def stop(self) -> None:
        """Stop the server."""
        if self.server is not None:
            await self.server.stop()
            self.server = None


def _data_value(value: Any, status: int = 0, source: Any = None) -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
    stamp = source or datetime.now(UTC).replace(tzinfo=None)
    return ua.DataValue(variant, ua.StatusCode(status), stamp, datetime.now(UTC).replace(tzinfo=None))


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def opcua_field(model: str, **more: Any) -> AsyncGenerator[OpcuaField]:
    """A running OpcuaField."""
    served = OpcuaField(model)
    await served.start(**more)
    try:
        yield served
    finally:
        await served.stop()
