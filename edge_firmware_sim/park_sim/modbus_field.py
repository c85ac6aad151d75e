"""Modbus servers of the field: pymodbus devices whose registers are taken from the field at each request."""

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from park_gateway.device import SAMPLE_WORDS, block_name
from park_sim.clock import wall_us
from park_sim.field import Field
from park_sim.site import MODBUS_RTU, Address, FieldDevice
from park_wire.errors import ServiceError

_READS = {3, 4}


class _Action(Protocol):
    """What pymodbus calls at each request; `registers` is answered from `start` on."""

    def __call__(
        self, function: int, start: int, address: int, count: int, registers: list[int], written: Any, /
    ) -> Coroutine[Any, Any, ExcCodes | None]: ...


class ModbusField:
    """One Modbus server: the devices of one address as units of one line."""

    def __init__(self, address: Address, devices: Sequence[FieldDevice], field: Field) -> None:
        self.address = address
        self._units = [_unit(device, field) for device in devices]
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Listen. Raises ServiceError when the port can't be had."""
        server = ModbusTcpServer(
            [*self._units, _nobody()],
            framer=FramerType.RTU if self.address.scheme == MODBUS_RTU else FramerType.SOCKET,
            address=(self.address.host, self.address.port),
            ignore_missing_devices=True,
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            remedy = "stop the program that has the port, or change the endpoint in the site file"
            raise ServiceError(f"simulated field: {self.address} can't be listened on; {remedy}") from error
        self._server = server

    async def stop(self) -> None:
        """Close all connections and the port."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None


def _unit(device: FieldDevice, field: Field) -> SimDevice:
    first = min(register.address for register in device.model.registers)
    end = max(register.end for register in device.model.registers) + (SAMPLE_WORDS if device.sample else 0)
    # pymodbus checks the range and sends these registers; the action fills them before each answer.
    scratch = SimData(address=first, count=end - first, values=0, datatype=DataType.REGISTERS)
    return SimDevice(id=device.unit, simdata=[scratch], action=_answering(device, field))


def _answering(device: FieldDevice, field: Field) -> _Action:
    """The action of one device: it may be read where its map is, by its own function, and never written."""
    spans = readable(device)
    tail = SAMPLE_WORDS if device.sample else 0

    async def answer(
        function: int, start: int, address: int, count: int, registers: list[int], written: Any, /
    ) -> ExcCodes | None:
        if not field.shown(device.id).answers:
            # With ignore_missing_devices this leaves the request without an answer.
            raise NoSuchIdException
        if function not in _READS or function != device.model.function or written is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        end = address + count - tail
        if not any(first <= address < end <= last for first, last in spans):
            return ExcCodes.ILLEGAL_ADDRESS
        words = field.words(device.id)
        shown = [words.get(at, 0) for at in range(address, end)]
        if device.sample:
            ordinal = field.journal.next_ordinal(device.id, block_name(function, address), wall_us())
            shown += divmod(ordinal, 1 << 16)
        registers[address - start : address - start + count] = shown
        return None

    return answer


def readable(device: FieldDevice) -> list[tuple[int, int]]:
    """First and end of what may be read at once: a real meter refuses addresses far from its map."""
    spans: list[tuple[int, int]] = []
    for register in device.model.registers:
        # One unused register more than none: the planner may have to step over it to find room for the sample.
        if spans and register.address - spans[-1][1] <= max(1, device.model.max_gap):
            spans[-1] = (spans[-1][0], max(spans[-1][1], register.end))
        else:
            spans.append((register.address, register.end))
    return spans


def _nobody() -> SimDevice:
    """Answers for all units that are not there: by silence, as on a line."""

    async def keep_silent(*_: Any) -> ExcCodes | None:
        raise NoSuchIdException

    everything = SimData(address=0, count=65_536, values=0, datatype=DataType.REGISTERS)
    return SimDevice(id=0, simdata=[everything], action=keep_silent)
