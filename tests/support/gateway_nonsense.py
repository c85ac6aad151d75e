"""A Modbus server on a raw socket: honest units, and one that misbehaves in every way that was seen in the field."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pymodbus.framer import FramerRTU

NONSENSE_UNIT: Final = 2
SECRET_WORD: Final = 0x5BAD
"""What the misbehaving unit sends where no value may come from: a reading made of it would give it away."""

_REQUEST: Final = struct.Struct(">BBHH")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: transaction (0 over RTU), unit, function, first register, how many."""

    transaction: int
    unit: int
    function: int
    address: int
    count: int

    def words(self, word: int) -> bytes:
        """The PDU of an answer in which every register holds `word`."""
        return bytes((self.function, 2 * self.count)) + struct.pack(">H", word) * self.count


Frame = Callable[[Asked, bytes], bytes]
"""A PDU as it goes over the wire."""


def tcp_frame(asked: Asked, pdu: bytes) -> bytes:
    """With the header of Modbus TCP."""
    return struct.pack(">HHHB", asked.transaction, 0, len(pdu) + 1, asked.unit) + pdu


def rtu_frame(asked: Asked, pdu: bytes) -> bytes:
    """With unit and checksum."""
    frame = bytes((asked.unit,)) + pdu
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


@dataclass(slots=True)
class Line:
    """Who answers what. `answer` is the misbehaving unit's: pieces with the pause before each; None hangs up.

    Every register of an honest unit holds its unit id times 100.
    """

    rtu: bool
    answer: Callable[["Line", Asked], Sequence[tuple[float, bytes]] | None]
    asked: list[Asked] = field(default_factory=list[Asked])
    """What the misbehaving unit was asked on this connection."""
    misbehaves: bool = True
    _drips: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    def frame(self, asked: Asked, pdu: bytes) -> bytes:
        """As this line frames it."""
        return (rtu_frame if self.rtu else tcp_frame)(asked, pdu)

    def parse(self, request: bytes) -> Asked:
        """What a request asks."""
        if self.rtu:
            return Asked(0, *_REQUEST.unpack(request[:6]))
        return Asked(int.from_bytes(request[:2], "big"), *_REQUEST.unpack(request[6:12]))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other side hangs up, or we do."""
        size = 8 if self.rtu else 12
        self.asked.clear()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                asked = self.parse(await reader.readexactly(size))
                if asked.unit != NONSENSE_UNIT or not self.misbehaves:
                    writer.write(self.frame(asked, asked.words(100 * asked.unit)))
                    continue
                self.asked.append(asked)
                pieces = self.answer(self, asked)
                if pieces is None:
                    break
                # A unit that is slow does not keep the line from carrying what others say.
                self._drips.append(asyncio.create_task(_drip(writer, pieces)))
        writer.close()

    async def stop(self) -> None:
        """End what still drips."""
        for drip in self._drips:
            drip.cancel()
        await asyncio.gather(*self._drips, return_exceptions=True)


async def _drip(writer: asyncio.StreamWriter, pieces: Sequence[tuple[float, bytes]]) -> None:
    for pause_s, piece in pieces:
        await asyncio.sleep(pause_s)
        if writer.is_closing():
            return
        writer.write(piece)


@contextlib.asynccontextmanager
async def serving(line: Line) -> AsyncGenerator[int]:
    """The port of a line."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await line.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await line.stop()
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)
