"""A Modbus TCP server that costs next to nothing, to measure a gateway and not its field (`park bench gateway`).

Many units of the same registers, values that do not change, and answers made once for each request seen. It knows
nothing but reads: no device models, no faults, no journal.
"""

import asyncio
import struct
from typing import Final

from park_wire.errors import ServiceError

UNITS_A_PORT: Final = 247
"""Unit ids of one port; further devices are on the ports behind it."""
_HEADER_BYTES: Final = 6
_REQUEST_BYTES: Final = 12
_ILLEGAL_FUNCTION: Final = 1
_ILLEGAL_ADDRESS: Final = 2
_MOST_WORDS: Final = 125


class BenchField:
    """`devices` units with registers 0 to `registers` - 1, function 3 and 4, from `port` on."""

    def __init__(self, devices: int, registers: int, port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.ports = [port + at for at in range(-(-devices // UNITS_A_PORT))]
        self._devices = devices
        self._words = struct.pack(f">{registers}H", *((at * 257 + 1) & 0xFFFF for at in range(registers)))
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Listen. Raises ServiceError when a port can't be had."""
        loop = asyncio.get_running_loop()
        for at, port in enumerate(self.ports):
            units = min(UNITS_A_PORT, self._devices - at * UNITS_A_PORT)
            answers = _Answers(self._words, units)
            try:
                server = await loop.create_server(lambda answers=answers: _Line(answers), self.host, port)
            except OSError as error:
                await self.stop()
                raise ServiceError(
                    f"bench field can't listen on {self.host}:{port}: {error.strerror}; give another --port"
                ) from error
            self._servers.append(server)

    async def stop(self) -> None:
        """Close the ports."""
        for server in self._servers:
            server.close()
        self._servers = []


class _Answers(dict[bytes, bytes]):
    """What stands behind a transaction number, by what stood behind it in the request (unit to count)."""

    def __init__(self, words: bytes, units: int) -> None:
        super().__init__()
        self._words = words
        self._units = units

    def __missing__(self, asked: bytes) -> bytes:
        unit, function, address, count = struct.unpack(">BBHH", asked)
        if function not in (3, 4):
            body = bytes([unit, function | 0x80, _ILLEGAL_FUNCTION])
        elif not 1 <= unit <= self._units or not 1 <= count <= _MOST_WORDS or 2 * (address + count) > len(self._words):
            body = bytes([unit, function | 0x80, _ILLEGAL_ADDRESS])
        else:
            body = bytes([unit, function, 2 * count]) + self._words[2 * address : 2 * (address + count)]
        answer = self[asked] = struct.pack(">HH", 0, len(body)) + body
        return answer


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: _Answers) -> None:
        self._answers = answers
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # what create_server gives
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request; reads are 12 bytes, and nothing else is asked here."""
        if self._pending:
            data = self._pending + data
        answers = self._answers
        whole = len(data) - len(data) % _REQUEST_BYTES
        out = [data[at : at + 2] + answers[data[at + _HEADER_BYTES : at + 12]] for at in range(0, whole, 12)]
        self._pending = data[whole:]
        if out and self._transport is not None:
            self._transport.write(b"".join(out))
