"""Reading blocks from real servers, and from lines that hang up, answer late, or answer something else."""

import asyncio
import contextlib
import logging
import struct
import time
from collections.abc import AsyncGenerator, Sequence

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerRTU, FramerType

from park_gateway.decode import Block, compile_block, decode_block
from park_gateway.device import load_model
from park_gateway.modbus import Bus, NotConnected, read_block
from park_gateway.plan import plan
from park_gateway.point import DeviceModel
from park_gateway.site import Endpoint, Scheme
from park_wire.errors import Nonsense, Refused, Unreachable
from support.field import Answer, Meter, mbap, modbus_field, running, scripted_line

ADW = load_model("acrel-adw300")


def _blocks(model: DeviceModel = ADW, *, unit: int = 1, timeout_s: float = 0.3, sample: bool = False) -> list[Block]:
    requests = plan(model, 1000, sample=sample)
    names = [point.name for point in model.points] + [f"sample-{request.name}" for request in requests]
    index = {name: at for at, name in enumerate(names)}
    return [
        compile_block(model, request, index, device="meter-1", unit=unit, timeout_s=timeout_s) for request in requests
    ]


@contextlib.asynccontextmanager
async def _bus(port: int, scheme: Scheme = Scheme.MODBUS_TCP) -> AsyncGenerator[Bus]:
    bus = Bus(Endpoint(scheme, "127.0.0.1", port))
    async with running(bus.run()):
        yield bus


async def _read(answer: Answer, block: Block) -> bytes:
    async with scripted_line(answer) as port, _bus(port) as bus:
        return await read_block(bus, block)


@pytest.mark.parametrize(
    ("scheme", "framer"), [(Scheme.MODBUS_TCP, FramerType.SOCKET), (Scheme.MODBUS_RTU, FramerType.RTU)]
)
@pytest.mark.parametrize("name", ["acrel-adw300", "eastron-sdm630", "generic-water-meter", "generic-steam-meter"])
async def test_a_real_server_in_each_framing_order_and_function(scheme: Scheme, framer: FramerType, name: str) -> None:
    model = load_model(name)
    first = model.points[0]
    meter = Meter(3, model, {first.name: 42.0, "frequency": 50.0})
    async with modbus_field(meter, framer=framer) as field, _bus(field.port, scheme) as bus:
        for turn in (1, 2):
            for block in _blocks(model, unit=3, timeout_s=5.0, sample=True):
                decoded = decode_block(block, await read_block(bus, block))
                assert decoded.ordinal == turn
                assert not any(decoded.quality)
                if first.name in block.request.points:
                    assert decoded.value[0] == pytest.approx(42.0)


async def test_an_exception_is_refused_with_its_name_and_what_was_asked() -> None:
    meter = Meter(7, ADW, refuses={62: ExcCodes.ILLEGAL_ADDRESS})
    async with modbus_field(meter) as field, _bus(field.port) as bus:
        good, bad = _blocks(unit=7, timeout_s=5.0)
        assert len(await read_block(bus, good)) == 36
        with pytest.raises(Refused) as caught:
            await read_block(bus, bad)
        assert str(caught.value) == (
            f'device "meter-1" (modbus-tcp://127.0.0.1:{field.port} unit 7), holding registers 62-65: '
            "exception 2 (illegal address); the model asks for 4 words by function 3: check it, and the unit id"
        )
        assert caught.value.retryable


async def test_a_device_behind_a_gateway_that_can_not_reach_it_is_unreachable() -> None:
    meter = Meter(1, ADW, refuses={-1: ExcCodes.GATEWAY_NO_RESPONSE})
    async with modbus_field(meter) as field, _bus(field.port) as bus:
        with pytest.raises(Unreachable, match=r"exception 11 \(gateway no response\)"):
            await read_block(bus, _blocks()[0])


async def test_nothing_is_unreachable_within_the_devices_own_timeout() -> None:
    meter = Meter(1, ADW, silent=True)
    async with modbus_field(meter, Meter(2, ADW)) as field, _bus(field.port) as bus:
        start = time.monotonic()
        with pytest.raises(Unreachable, match="no answer within 100 ms; check the device's power and unit id"):
            await read_block(bus, _blocks(timeout_s=0.1)[0])
        assert time.monotonic() - start < 0.5
        assert await read_block(bus, _blocks(unit=2)[0])


async def test_nobody_listens() -> None:
    async with modbus_field(Meter(1, ADW)) as field:
        port = field.port
    async with _bus(port) as bus:
        with pytest.raises(NotConnected, match=r"not connected: .*; check address, cable and power"):
            await read_block(bus, _blocks()[0])
        start = time.monotonic()
        with pytest.raises(NotConnected, match=r"Connect call failed|refused"):
            await read_block(bus, _blocks(timeout_s=5.0)[0])
        assert time.monotonic() - start < 0.2, "what is known to be down costs no time"


async def test_a_server_that_restarts_is_found_again_without_help() -> None:
    async with modbus_field(Meter(1, ADW)) as field, _bus(field.port) as bus:
        block = _blocks()[0]
        await read_block(bus, block)
        await field.stop()
        await asyncio.sleep(0.1)
        with pytest.raises(NotConnected):
            await read_block(bus, block)
        await field.start()
        async with asyncio.timeout(5):
            await bus.up.wait()
        assert await read_block(bus, block)


def _words(count: int) -> bytes:
    return bytes((3, 2 * count)) + bytes(2 * count)


@pytest.mark.parametrize(
    ("pdu", "unit", "problem"),
    [
        (_words(17), None, "answered 34 bytes, asked were 18 words"),
        (_words(19), None, "answered 38 bytes, asked were 18 words"),
        (bytes((4, 36)) + bytes(36), None, "answered function 4, asked was 3"),
        (bytes((3, 36)) + bytes(20), None, "bytes that are no answer: "),
        (bytes((0x55, 1, 2, 3)), None, "bytes that are no answer: "),
        (_words(18), 9, "bytes that are no answer: "),
    ],
    ids=["short", "long", "other function", "cut", "unknown function", "other unit"],
)
async def test_nonsense(pdu: bytes, unit: int | None, problem: str) -> None:
    async def answer(request: bytes) -> Sequence[bytes]:
        return [mbap(request, pdu, unit=unit)]

    with pytest.raises(Nonsense, match=problem):
        await _read(answer, _blocks()[0])


@pytest.mark.parametrize(
    "came", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0", b"\xff" * 300], ids=["http", "one byte", "noise"]
)
async def test_bytes_that_are_no_modbus(came: bytes) -> None:
    async def answer(_: bytes) -> Sequence[bytes]:
        return [came]

    with pytest.raises((Nonsense, Unreachable), match=r"bytes that are no answer|no answer within") as caught:
        await _read(answer, _blocks()[0])
    assert isinstance(caught.value, Nonsense) or len(came) > 264


async def test_an_answer_in_pieces_is_an_answer() -> None:
    async def answer(request: bytes) -> Sequence[bytes]:
        frame = mbap(request, _words(18))
        return [frame[:3], frame[3:9], frame[9:]]

    assert await _read(answer, _blocks()[0]) == bytes(36)


async def test_hanging_up_fails_the_request_at_once() -> None:
    async def answer(_: bytes) -> None:
        return None

    start = time.monotonic()
    with pytest.raises(NotConnected, match="the connection was closed by the other side"):
        await _read(answer, _blocks(timeout_s=5.0)[0])
    assert time.monotonic() - start < 2.0


async def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    """Over TCP by its number. The late one says 1, the right one 2."""
    requests: list[bytes] = []

    async def answer(request: bytes) -> Sequence[bytes]:
        requests.append(request)
        if len(requests) == 1:
            return []
        late = bytes((3, 36)) + struct.pack(">18H", *[1] * 18)
        right = bytes((3, 36)) + struct.pack(">18H", *[2] * 18)
        return [mbap(requests[0], late), mbap(request, right)]

    async with scripted_line(answer) as port, _bus(port) as bus:
        block = _blocks(timeout_s=0.1)[0]
        with pytest.raises(Unreachable, match="no answer within"):
            await read_block(bus, block)
        assert await read_block(bus, block) == struct.pack(">18H", *[2] * 18)


async def test_a_late_answer_alone_is_no_nonsense() -> None:
    """A slow device is slow; the remedy is another than for a line that mixes up answers."""
    requests: list[bytes] = []

    async def answer(request: bytes) -> Sequence[bytes]:
        requests.append(request)
        return [] if len(requests) == 1 else [mbap(requests[0], _words(18))]

    async with scripted_line(answer) as port, _bus(port) as bus:
        for _ in range(2):
            with pytest.raises(Unreachable, match="no answer within"):
                await read_block(bus, _blocks(timeout_s=0.1)[0])


def _rtu(unit: int, pdu: bytes) -> bytes:
    frame = bytes((unit,)) + pdu
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


async def test_a_late_answer_over_rtu_meets_a_closed_connection() -> None:
    """RTU frames have no number: the next request goes over a new connection."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(number)
        while await reader.read(256):
            if number == 0:
                await asyncio.sleep(0.3)
            value = number + 1
            with contextlib.suppress(OSError):
                writer.write(_rtu(1, bytes((3, 36)) + struct.pack(">18H", *[value] * 18)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, _bus(port, Scheme.MODBUS_RTU) as bus:
        block = _blocks(timeout_s=0.1)[0]
        with pytest.raises(Unreachable):
            await read_block(bus, block)
        assert await read_block(bus, block) == struct.pack(">18H", *[2] * 18)
        await asyncio.sleep(0.4)
        assert await read_block(bus, block) == struct.pack(">18H", *[2] * 18)


async def test_rtu_with_a_wrong_checksum_is_nonsense() -> None:
    async def answer(_: bytes) -> Sequence[bytes]:
        return [_rtu(1, _words(18))[:-1] + b"\0"]

    async with scripted_line(answer) as port, _bus(port, Scheme.MODBUS_RTU) as bus:
        with pytest.raises(Nonsense, match="bytes that are no answer"):
            await read_block(bus, _blocks()[0])


async def test_requests_on_one_connection_follow_each_other() -> None:
    under_way = 0
    most = 0

    async def answer(request: bytes) -> Sequence[bytes]:
        nonlocal under_way, most
        assert len(request) == 12, "two requests came at once"
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return [mbap(request, _words(18))]

    async with scripted_line(answer) as port, _bus(port) as bus:
        await asyncio.gather(*(read_block(bus, _blocks()[0]) for _ in range(5)))
    assert most == 1


async def test_a_server_that_vanished_without_a_word_is_left() -> None:
    """Two requests without an answer, and the connection is made anew: a half-open one never ends by itself."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.read(256):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, _bus(server.sockets[0].getsockname()[1]) as bus:
        for _ in range(3):
            with pytest.raises(Unreachable, match="no answer within"):
                await read_block(bus, _blocks(timeout_s=0.05)[0])
    assert connections == 2


async def test_the_library_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: bytes) -> Sequence[bytes]:
        return [mbap(request, bytes((0x55, 1)))]

    with caplog.at_level(logging.DEBUG), pytest.raises(Nonsense):
        await _read(answer, _blocks(timeout_s=0.1)[0])
    assert [record.getMessage() for record in caplog.records if "pymodbus" in record.name] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
