import math
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from park_gateway.plan import plan
from park_gateway.point import DeviceModel, Order, Point, Protocol, RawType
from park_sim.field import Field
from park_sim.journal import Journal, read_journal
from park_sim.modbus_field import ModbusField, readable
from park_sim.site import MODBUS_RTU, Address, FieldDevice, read_field
from park_sim.world import World
from park_wire.errors import ServiceError
from support.simulated_field import START_US, SampleField, free_ports, site_on_free_ports

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Line(SampleField):
    """The Modbus half of the sample site, and a client for each of its addresses."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Protocol.MODBUS)
        self.clients: dict[Address, AsyncModbusTcpClient] = {}
        self.servers: list[ModbusField] = []
        self.tick()

    def tick(self) -> None:
        self.move(100_000)

    async def start(self) -> None:
        for address in {device.address for device in self.devices.values()}:
            server = ModbusField(address, [own for own in self.devices.values() if own.address == address], self.field)
            await server.start()
            self.servers.append(server)
            framer = FramerType.RTU if address.scheme == MODBUS_RTU else FramerType.SOCKET
            client = AsyncModbusTcpClient(address.host, port=address.port, framer=framer, timeout=0.5, retries=0)
            assert await client.connect()
            self.clients[address] = client

    async def stop(self) -> None:
        for client in self.clients.values():
            client.close()
        for server in self.servers:
            await server.stop()
        self.journal.close()

    async def read(self, device_id: str, address: int, count: int, *, function: int | None = None) -> list[int] | int:
        """The words, or the number of the exception."""
        device = self.devices[device_id]
        client = self.clients[device.address]
        wanted = device.model.function if function is None else function
        read = client.read_holding_registers if wanted == 3 else client.read_input_registers
        answer = await read(address, count=count, device_id=device.unit)
        return answer.exception_code if answer.isError() else list(answer.registers)

    async def words(self, device_id: str, address: int, count: int) -> list[int]:
        words = await self.read(device_id, address, count)
        assert isinstance(words, list), f"{device_id} {address}: exception {words}"
        return words


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    made = Line(tmp_path_factory.mktemp("field"))
    await made.start()
    yield made
    await made.stop()


def decoded(model: DeviceModel, point: Point, words: list[int]) -> float:
    """A value by the book, without any code of the gateway or the simulator."""
    assert point.register is not None
    if model.word_order is Order.LITTLE:
        words = list(reversed(words))
    pieces = [word.to_bytes(2, "little" if model.byte_order is Order.LITTLE else "big") for word in words]
    letter = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
    raw: float = struct.unpack(">" + letter[point.register.type.value], b"".join(pieces))[0]
    if point.register.bit is not None:
        raw = float(int(raw) >> point.register.bit & 1)
    return raw * point.factor + point.offset


def tolerance(point: Point, value: float) -> float:
    """Half a step of an integer register; what 24 bits hold of a float."""
    assert point.register is not None
    if point.register.type in (RawType.F32, RawType.F64):
        return abs(value) * 1e-6 + 1e-9
    return abs(point.factor) * 0.5001


async def test_every_point_of_every_device_decodes_to_what_the_world_shows(line: Line) -> None:
    compared = 0
    for device in line.devices.values():
        shown = line.field.shown(device.id).values
        for point in device.model.points:
            assert point.register is not None
            words = await line.words(device.id, point.register.address, point.register.type.words + 2)
            value = decoded(device.model, point, words[:-2])
            expected = shown[point.name]
            assert value == pytest.approx(expected, abs=tolerance(point, expected)), (device.id, point.name)
            compared += 1
    assert compared > 350


async def test_all_word_and_byte_orders_and_both_framings_are_in_the_sample_site(line: Line) -> None:
    orders = {(device.model.word_order, device.model.byte_order) for device in line.devices.values()}
    assert len(orders) == 4
    assert len({device.model.function for device in line.devices.values()}) == 2
    assert MODBUS_RTU in {address.scheme for address in line.clients}


async def test_transformer_ratios_of_the_site_are_in_the_registers(line: Line) -> None:
    furnace = line.devices["alloy-furnace-1"]
    register = furnace.model.point("active-power").register
    assert register is not None
    words = await line.words("alloy-furnace-1", register.address, 4)
    secondary_w = struct.unpack(">f", struct.pack(">2H", *words[:2]))[0]
    assert secondary_w * 21_000 / 1_000 == pytest.approx(line.field.shown(furnace.id).values["active-power"], rel=1e-5)


async def test_every_planned_request_is_answered_and_counted(line: Line) -> None:
    for device in line.devices.values():
        for request in plan(device.model, device.period_ms, sample=True):
            first = await line.words(device.id, request.address, request.count)
            second = await line.words(device.id, request.address, request.count)
            assert len(first) == request.count
            ordinals = [words[-2] * 65_536 + words[-1] for words in (first, second)]
            assert ordinals[1] == ordinals[0] + 1, (device.id, request.name)
            assert first[:-2] == second[:-2]


async def test_samples_are_in_the_journal_one_line_a_read(line: Line) -> None:
    register = line.devices["chem-water"].model.registers[0]
    words = [await line.words("chem-water", register.address, 9) for _ in range(5)]
    line.journal.write()
    ordinals = [word[-2] * 65_536 + word[-1] for word in words]
    noted = [
        entry for entry in read_journal(line.folder / "sim") if entry[:1] == ["served"] and entry[2] == "chem-water"
    ]
    assert [entry[4] for entry in noted if entry[3] == "h0"][-5:] == ordinals
    assert ordinals == list(range(ordinals[0], ordinals[0] + 5))
    times = [entry[1] for entry in noted]
    assert times == sorted(times)


async def test_values_move_with_the_world_and_stand_still_between_ticks(line: Line) -> None:
    model = line.devices["park-incomer"].model
    register = model.point("active-power").register
    assert register is not None
    before = await line.words("park-incomer", register.address, 4)
    assert (await line.words("park-incomer", register.address, 4))[:-2] == before[:-2]
    line.tick()
    assert (await line.words("park-incomer", register.address, 4))[:-2] != before[:-2]


async def test_reads_outside_the_map_by_the_wrong_function_or_without_room_are_refused(line: Line) -> None:
    illegal_function, illegal_address = 1, 2
    assert await line.read("chem-water", 0, 9, function=4) == illegal_function
    assert await line.read("chem-water", 4_000, 4) == illegal_address
    assert await line.read("chem-water", 0, 2) == illegal_address, "nothing but the sample"
    # DTSU666: energies from 0x101E, voltages from 0x2006; nothing between.
    assert await line.read("food-electricity", 0x1800, 10) == illegal_address
    assert await line.read("food-electricity", 0x2006, 8) != illegal_address


async def test_nothing_can_be_written(line: Line) -> None:
    device = line.devices["sluice-1"]
    before = await line.words("sluice-1", 0, 4)
    answer = await line.clients[device.address].write_register(1, 0, device_id=device.unit)
    assert answer.isError()
    assert answer.exception_code == 1
    assert (await line.words("sluice-1", 0, 4))[:-2] == before[:-2]


async def test_an_offline_device_and_an_unknown_unit_are_silent_and_their_neighbours_answer(line: Line) -> None:
    for silent, neighbour in (("chem-gas", "chem-water"), ("food-gas", "food-water")):
        line.field.faults.start("offline", silent, line.now_us)
        line.tick()
        with pytest.raises(ModbusIOException):
            await line.read(silent, 0, 4)
        assert await line.words(neighbour, 0, 4)
        line.field.faults.clear(silent)
        line.tick()
        assert await line.words(silent, 0, 4)
    address = line.devices["chem-gas"].address
    with pytest.raises(ModbusIOException):
        await line.clients[address].read_holding_registers(0, count=4, device_id=99)


async def test_wrong_word_order_reads_as_another_number(line: Line) -> None:
    model = line.devices["heat-electricity"].model
    point = model.point("voltage-a")
    assert point.register is not None
    line.field.faults.start("wrong-word-order", "heat-electricity", line.now_us)
    line.tick()
    words = await line.words("heat-electricity", point.register.address, 4)
    shown = line.field.shown("heat-electricity").values["voltage-a"]
    assert decoded(model, point, words[:-2]) != pytest.approx(shown, rel=0.01)
    assert decoded(model, point, [words[1], words[0]]) == pytest.approx(shown, rel=1e-6)
    line.field.faults.clear("heat-electricity")
    line.tick()


async def test_nan_reads_as_nan(line: Line) -> None:
    line.field.faults.start("nan", "stack-1/o2", line.now_us)
    line.tick()
    model = line.devices["stack-1"].model
    point = model.point("o2")
    assert point.register is not None
    words = await line.words("stack-1", point.register.address, 4)
    assert math.isnan(decoded(model, point, words[:-2]))
    line.field.faults.clear("stack-1")
    line.tick()


async def test_the_data_mark_is_a_register(line: Line) -> None:
    model = line.devices["stack-1"].model
    mark = model.marks[0].register
    assert model.marks[0].codes[(await line.words("stack-1", mark.address, 3))[0]].name == "NORMAL"


async def test_a_device_without_sample_answers_its_registers_only(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (sampled,) = read_field(site_on_free_ports(tmp_path, "chem-water"))
    address = Address("modbus-tcp", "127.0.0.1", port, "")
    plain = FieldDevice(sampled.id, sampled.model, address, 1, 1_000, sample=False, root="")
    journal = Journal(tmp_path / "sim", START_US)
    field = Field(World(1, START_US), [plain], journal)
    field.tick(START_US, 0.1)
    server = ModbusField(address, [plain], field)
    await server.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
    assert await client.connect()
    answer = await client.read_holding_registers(0, count=7, device_id=1)
    expected = field.words(plain.id)
    assert answer.registers == [expected.get(at, 0) for at in range(7)]
    assert (await client.read_holding_registers(0, count=9, device_id=1)).isError()
    client.close()
    second = ModbusField(address, [plain], field)
    with pytest.raises(ServiceError, match="can't be listened on"):
        await second.start()
    await server.stop()
    journal.close()


async def test_readable_spans_are_the_map_with_small_holes(tmp_path: Path) -> None:
    (meter,) = read_field(site_on_free_ports(tmp_path, "food-electricity"))
    spans = readable(meter)
    assert spans[0] == (0x101E, 0x102A)
    assert spans[-1][1] == 0x2046
