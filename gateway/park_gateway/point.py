"""The vocabulary of device models: what a point is and where it stands. Data only."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from park_wire.quality import Mark


class Protocol(StrEnum):
    """How a device is asked."""

    MODBUS = "modbus"
    OPCUA = "opcua"


class Order(StrEnum):
    """Big- or little-endian."""

    BIG = "big"
    LITTLE = "little"


class RawType(StrEnum):
    """What one or more registers hold."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"

    @property
    def letter(self) -> str:
        """The letter of `struct` for this type."""
        return _LETTERS[self]

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return struct.calcsize("=" + _LETTERS[self]) // 2


_LETTERS: Final = {
    RawType.U16: "H",
    RawType.I16: "h",
    RawType.U32: "I",
    RawType.I32: "i",
    RawType.U64: "Q",
    RawType.I64: "q",
    RawType.F32: "f",
    RawType.F64: "d",
}


@dataclass(frozen=True, slots=True)
class Register:
    """Where a Modbus point stands: zero-based address, type, the bit that counts, bit patterns that mean "no value"."""

    address: int
    type: RawType
    bit: int | None = None
    invalid: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """The address behind its last word."""
        return self.address + self.type.words


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that a device measures. canonical value = raw * factor + offset; `low`..`high` is the measuring range.

    `unit`, `low` and `high` are the quantity's canonical unit. Exactly one of `register` and `node` is given.
    """

    name: str
    quantity: str
    unit: str
    zh: str
    en: str
    factor: float
    offset: float
    low: float
    high: float
    period_ms: int | None = None
    register: Register | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class MarkRegister:
    """A register whose codes are the HJ 212 data mark of the points it covers."""

    register: Register
    codes: Mapping[int, Mark]
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventKind:
    """An OPC UA event that becomes an event on the wire.

    `node` is the source below the device's root ("" is the root itself), `type` the id of the event type in the root's
    namespace, `fields` the body's keys with the event's property for each.
    """

    kind: str
    node: str
    type: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A device model. `function` is Modbus 3 (holding) or 4 (input); `max_gap` counts registers."""

    name: str
    zh: str
    en: str
    protocol: Protocol
    source: str
    points: tuple[Point, ...]
    function: int = 3
    word_order: Order = Order.BIG
    byte_order: Order = Order.BIG
    max_gap: int = 0
    marks: tuple[MarkRegister, ...] = ()
    events: tuple[EventKind, ...] = ()

    def point(self, name: str) -> Point:
        """The point of this name. Raises KeyError."""
        for point in self.points:
            if point.name == name:
                return point
        raise KeyError(name)

    @property
    def registers(self) -> tuple[Register, ...]:
        """Every register of points and marks, by address; those of bits repeat."""
        registers = [point.register for point in self.points if point.register is not None]
        return tuple(sorted((*registers, *(mark.register for mark in self.marks)), key=lambda at: at.address))

    @property
    def mapped(self) -> frozenset[int]:
        """The addresses of the maker's map."""
        return frozenset(address for at in self.registers for address in range(at.address, at.end))


def scaled(point: Point, ratio: float) -> Point:
    """The point behind a current or voltage transformer of this ratio: values and range are multiplied."""
    return replace(
        point, factor=point.factor * ratio, offset=point.offset * ratio, low=point.low * ratio, high=point.high * ratio
    )
