"""Modbus TCP and RTU-over-TCP: the only file that knows pymodbus. Reads registers; there is nothing here that writes.

What pymodbus 3.16 leaves to its caller, each seen on a real connection: an answer's function code and length are not
compared with the request; a frame that it can't decode raises inside the event loop and ends the connection without
the reason; a request that is under way when the connection ends waits for its timeout; every failure is logged, while
here a device is logged once when lost and once when back; a late answer over RTU passes for the answer to the next
request. Decoding registers one by one, and a debug text of them, take most of its time.
"""

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU, FramerSocket, FramerType
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from park_gateway.cancel import leave_if_cancelled
from park_gateway.decode import Block
from park_gateway.site import Endpoint, Scheme
from park_wire.errors import DeviceError, Nonsense, Refused, Unreachable

CONNECT_TIMEOUT_S: Final = 3.0
_FIRST_DELAY_S: Final = 0.2
_MOST_DELAY_S: Final = 5.0
# Some servers hang up on whoever asks nothing for a while; a full one hangs up at once.
_LASTING_S: Final = 1.0
# A server that vanished without a word is found by silence; one device alone may be silent for its own reasons.
_SILENT_REQUESTS: Final = 2
_SHOWN_BYTES: Final = 24
# Answers of a gateway on behalf of a device behind it that it can't reach.
_BEHIND_A_GATEWAY: Final = (0x0A, 0x0B)

# Its name for itself; see the module's text for why it is silenced.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class NotConnected(Unreachable):
    """There is no connection to the endpoint, so the device was not even asked."""


class _Words(ReadHoldingRegistersResponse):
    """An answer whose registers are left as the bytes that came."""

    words: bytes = b""

    def decode(self, data: bytes) -> None:
        if len(data) != data[0] + 1:
            raise struct.error(f"{data[0]} bytes announced, {len(data) - 1} sent")
        self.words = data[1:]


class _InputWords(_Words):
    function_code = 4


class _SocketFrames(FramerSocket):
    """Modbus TCP frames; remembers what came and was no answer."""

    heard: bytes = b""

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:  # noqa: N802
        used, pdu = _handle(super().handleFrame, data, exp_devid, exp_tid)
        # The late answer to a request that was given up has a lower number: it says nothing about this one.
        late = data[2:4] == b"\0\0" and int.from_bytes(data[:2], "big") < exp_tid
        if pdu is None and not late:
            self.heard = data
        return used, pdu


class _RtuFrames(FramerRTU):
    """RTU frames; remembers what came and was no answer."""

    heard: bytes = b""

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:  # noqa: N802
        used, pdu = _handle(super().handleFrame, data, exp_devid, exp_tid)
        if pdu is None:
            self.heard = data
        return used, pdu


def _handle(
    handle: Callable[[bytes, int, int], tuple[int, ModbusPDU | None]], data: bytes, unit: int, transaction: int
) -> tuple[int, ModbusPDU | None]:
    try:
        return handle(data, unit, transaction)
    except ModbusException:
        return len(data), None


class Bus:
    """The connection to one endpoint, shared by its devices: one request at a time.

    `run` keeps it connected until it is cancelled; `up` says whether it is.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.up = asyncio.Event()
        self._tried = asyncio.Event()
        self._lost = asyncio.Event()
        self._line = asyncio.Lock()
        self._asking = False
        self._asked = self._answered = self._dropped = False
        self._silent = 0
        self._reason = "not tried yet"
        rtu = endpoint.scheme is Scheme.MODBUS_RTU
        self._client = AsyncModbusTcpClient(
            endpoint.host,
            port=endpoint.port,
            framer=FramerType.RTU if rtu else FramerType.SOCKET,
            timeout=CONNECT_TIMEOUT_S,
            retries=0,
            # Reconnecting is done here, where the reason of a failure can still be seen.
            reconnect_delay=0,
            trace_connect=self._on_connect,
        )
        decoder = DecodePDU(False)
        decoder.register(_Words)
        decoder.register(_InputWords)
        self._frames = _RtuFrames(decoder) if rtu else _SocketFrames(decoder)
        self._client.ctx.framer = self._frames
        self._open: Callable[[], Awaitable[Any]] = self._client.ctx.call_create
        self._client.ctx.call_create = self._connect

    async def run(self) -> None:
        """Connect, and connect again whenever the connection is lost, at most 5 s apart. Returns when cancelled.

        At once where it was of use, or was dropped here; else after a time that grows until something is answered.
        """
        delay_s = _FIRST_DELAY_S
        try:
            while True:
                self._lost.clear()
                self._asked = self._answered = self._dropped = False
                connected = await self._client.connect()
                leave_if_cancelled()
                self._tried.set()
                if connected and await self._was_of_use():
                    delay_s = _FIRST_DELAY_S
                    continue
                if connected and self._dropped:
                    continue
                if delay_s > _FIRST_DELAY_S:
                    # A short pause is waited for by whoever asks, in a longer one he hears at once that there is none.
                    self._tried.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _MOST_DELAY_S)
        finally:
            self._client.close()
            self.up.clear()

    async def _was_of_use(self) -> bool:
        """Whether the connection, now at its end, brought an answer; or was asked nothing, and lasted."""
        began_s = asyncio.get_running_loop().time()
        self._silent = 0
        self.up.set()
        await self._lost.wait()
        lasted_s = asyncio.get_running_loop().time() - began_s
        return self._answered or (not self._asked and lasted_s > _LASTING_S)

    async def _connect(self) -> Any:
        """Open the socket as pymodbus would, but keep what went wrong."""
        try:
            return await self._open()
        except OSError as error:
            self._reason = error.strerror or str(error)
            raise
        except UnicodeError as error:
            self._reason = f"{self.endpoint.host!r} is not a host: {error}"
            raise OSError(self._reason) from error
        except asyncio.CancelledError:
            self._reason = f"no answer to a connection within {CONNECT_TIMEOUT_S:g} s"
            raise

    def _on_connect(self, connected: bool) -> None:
        if connected:
            return
        self.up.clear()
        # Whoever asks next waits for the new connection: some devices hang up after each answer.
        self._tried.clear()
        self._reason = "the connection was closed by the other side"
        self._lost.set()
        transactions: Any = self._client.ctx
        future = transactions.response_future
        if self._asking and not future.done():
            future.set_exception(ConnectionError(self._reason))

    def _drop(self, reason: str) -> None:
        """Close a connection that can't be trusted any more; `run` opens a new one."""
        self._dropped = True
        self.up.clear()
        self._tried.clear()
        self._reason = reason
        self._client.close()
        self._lost.set()

    async def ask(self, block: Block) -> ModbusPDU:
        """Send a block's request and wait for the answer. Raises DeviceError."""
        async with self._line:
            if not self._tried.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._tried.wait(), block.timeout_s)
            if not self.up.is_set():
                raise NotConnected(
                    _say(self, block, f"not connected: {self._reason}", "check address, cable and power")
                )
            request = block.request
            read = self._client.read_holding_registers if request.function == 3 else self._client.read_input_registers
            self._client.ctx.comm_params.timeout_connect = block.timeout_s
            self._frames.heard = b""
            self._asking = self._asked = True
            try:
                answer = await read(request.address, count=request.count, device_id=block.unit)
            except (ModbusException, ConnectionError) as error:
                raise self._failure(block, error) from error
            except asyncio.CancelledError:
                # The answer may still come, and over RTU it would be taken for that of the next request.
                self._drop("a request was cancelled")
                raise
            finally:
                self._asking = False
                self._client.ctx.comm_params.timeout_connect = CONNECT_TIMEOUT_S
            self._silent = 0
            self._answered = True
            return answer

    def _failure(self, block: Block, error: Exception) -> DeviceError:
        if isinstance(error, ConnectionError) or not self.up.is_set():
            return NotConnected(_say(self, block, str(error), "the gateway connects again by itself"))
        heard = self._frames.heard
        self._silent += 1
        if self.endpoint.scheme is Scheme.MODBUS_RTU:
            self._drop("the line was not quiet after a request without an answer")
        elif self._silent >= _SILENT_REQUESTS:
            self._drop(f"{self._silent} requests in a row had no answer")
        if heard:
            shown = heard[:_SHOWN_BYTES].hex(" ") + (" …" if len(heard) > _SHOWN_BYTES else "")
            remedy = "check unit id, framing (modbus-tcp or modbus-rtu-over-tcp) and the line"
            return Nonsense(_say(self, block, f"{len(heard)} bytes that are no answer: {shown}", remedy))
        return Unreachable(
            _say(self, block, f"no answer within {block.timeout_s * 1000:g} ms", "check the device's power and unit id")
        )


async def read_block(bus: Bus, block: Block) -> bytes:
    """The words of a block as they came over the wire, two bytes each.

    Raises NotConnected or Unreachable when there was no answer, Refused for a Modbus exception, Nonsense for an answer
    to something else.
    """
    answer = await bus.ask(block)
    request = block.request
    if answer.isError():
        code = answer.exception_code
        if code in _BEHIND_A_GATEWAY:
            raise Unreachable(_say(bus, block, _exception(code), "the device behind this gateway does not answer it"))
        remedy = f"the model asks for {request.count} words by function {request.function}: check it, and the unit id"
        raise Refused(_say(bus, block, _exception(code), remedy))
    if not isinstance(answer, _Words) or answer.function_code != request.function:
        problem = f"answered function {answer.function_code}, asked was {request.function}"
        raise Nonsense(_say(bus, block, problem, "check unit id and framing"))
    if len(answer.words) != 2 * request.count:
        problem = f"answered {len(answer.words)} bytes, asked were {request.count} words"
        raise Nonsense(_say(bus, block, problem, "check the device model, and that no other master shares the line"))
    return answer.words


def _say(bus: Bus, block: Block, problem: str, remedy: str) -> str:
    request = block.request
    first, last = request.address, request.address + request.count - 1
    kind = "holding" if request.function == 3 else "input"
    where = f'device "{block.device}" ({bus.endpoint} unit {block.unit}), {kind} registers {first}-{last}'
    return f"{where}: {problem}; {remedy}"


def _exception(code: int) -> str:
    try:
        name = ExcCodes(code).name.lower().replace("_", " ")
    except ValueError:
        name = "not in the standard"
    return f"exception {code} ({name})"
