import asyncio
import struct

import pytest
from pymodbus.client import AsyncModbusTcpClient

from park_sim.bench_field import UNITS_A_PORT, BenchField
from park_wire.errors import ServiceError
from support.simulated_field import free_ports


async def test_an_independent_client_reads_every_unit() -> None:
    (port,) = free_ports(1)
    field = BenchField(3, 125, port)
    await field.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    assert await client.connect()
    for unit in (1, 2, 3):
        answer = await client.read_holding_registers(0, count=125, device_id=unit)
        assert answer.registers == [(at * 257 + 1) & 0xFFFF for at in range(125)]
        part = await client.read_input_registers(100, count=25, device_id=unit)
        assert part.registers == answer.registers[100:]
    for address, count, unit in ((0, 125, 4), (1, 125, 1), (0, 1, 0)):
        refused = await client.read_holding_registers(address, count=count, device_id=unit)
        assert refused.isError()
        assert refused.exception_code == 2
    refused = await client.read_coils(0, count=1, device_id=1)
    assert refused.exception_code == 1
    client.close()
    await field.stop()


async def test_requests_that_arrive_in_pieces_or_together_are_answered_in_order() -> None:
    (port,) = free_ports(1)
    field = BenchField(1, 10, port)
    await field.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    requests = [struct.pack(">HHHBBHH", number, 0, 6, 1, 3, number, 1) for number in range(5)]
    stream = b"".join(requests)
    for piece in (stream[:7], stream[7:30], stream[30:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    for number in range(5):
        answer = await asyncio.wait_for(reader.readexactly(11), 5)
        assert answer == struct.pack(">HHHBBBH", number, 0, 5, 1, 3, 2, number * 257 + 1)
    writer.close()
    await field.stop()


async def test_many_devices_take_the_ports_behind() -> None:
    port, _ = free_ports(2)
    field = BenchField(UNITS_A_PORT + 3, 2, port)
    assert field.ports == [port, port + 1]
    await field.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=port + 1)
    assert await client.connect()
    assert not (await client.read_holding_registers(0, count=2, device_id=3)).isError()
    assert (await client.read_holding_registers(0, count=2, device_id=4)).isError()
    client.close()
    with pytest.raises(ServiceError, match="give another --port"):
        await BenchField(1, 1, port).start()
    await field.stop()
