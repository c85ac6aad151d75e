"""Words -> readings: one compiled struct per block, lists and arrays, no object per reading. Pure.

Byte order needs no work per value: swapping the bytes of all registers at once, or not, and then reading the block big-
or little-endian gives each of the four orders ABCD, CDAB, BADC and DCBA.
"""

import math
import operator
import struct
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from park_gateway.device import SAMPLE_WORDS
from park_gateway.plan import Request
from park_gateway.point import DeviceModel, MarkRegister, Order, Point, RawType, Register
from park_wire.quality import Mark, Quality

_NAN: Final = float("nan")
Raw: TypeAlias = int | float


@dataclass(slots=True)
class Decoded:
    """Columns of one block: point index u32, value f64, quality u8, mark u8; and the sample's ordinal."""

    index: "array[int]"
    value: list[float]
    quality: bytes
    mark: bytes
    ordinal: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A request with everything that is known beforehand about decoding its answer. Made by `compile_block`.

    `unit` and `timeout_s` are for whoever asks. `index` holds the points' indices, the sample's last; the tuples have
    one entry per point, without the sample. `bits`, `invalid` and `marks` name positions of raw values, so that a block
    without any costs nothing.
    """

    device: str
    unit: int
    timeout_s: float
    request: Request
    index: "array[int]"
    unpack: Callable[[bytes], tuple[Raw, ...]]
    swap: bool
    factors: tuple[float, ...]
    offsets: tuple[float, ...] | None
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    pick: Callable[[tuple[Raw, ...]], tuple[Raw, ...]] | None
    bits: tuple[tuple[int, int], ...]
    invalid: tuple[tuple[int, frozenset[Raw]], ...]
    marks: tuple[tuple[int, Mapping[int, Mark], tuple[int, ...]], ...]
    good: bytes
    unmarked: bytes


def compile_block(
    model: DeviceModel,
    request: Request,
    index: Mapping[str, int],
    *,
    device: str,
    unit: int = 1,
    timeout_s: float = 1.0,
) -> Block:
    """Prepare the decoding of a request's answer.

    `index` has the index of each point and of the sample, `sample-<request.name>`.
    """
    chosen = [model.point(name) for name in request.points]
    registers = [_register(point) for point in chosen]
    end = request.address + request.count - (SAMPLE_WORDS if request.sample else 0)
    marks = [mark for mark in model.marks if request.address <= mark.register.address < end]
    fields = sorted(
        {(at.address, at.type) for at in registers} | {(mark.register.address, mark.register.type) for mark in marks}
    )
    where = {field: position for position, field in enumerate(fields)}
    positions = [where[at.address, at.type] for at in registers]
    endian = "<" if model.word_order is Order.LITTLE else ">"
    names = [*request.points, *([f"sample-{request.name}"] if request.sample else [])]
    offsets = tuple(point.offset for point in chosen)
    return Block(
        device=device,
        unit=unit,
        timeout_s=timeout_s,
        request=request,
        index=array("I", [index[name] for name in names]),
        unpack=struct.Struct(endian + _layout(request, fields)).unpack,
        # After a swap of all registers' bytes, little words of big bytes are little-endian values, and so on.
        swap=model.word_order is not model.byte_order,
        factors=tuple(point.factor for point in chosen),
        offsets=offsets if any(offsets) else None,
        lows=tuple(point.low for point in chosen),
        highs=tuple(point.high for point in chosen),
        pick=None if positions == list(range(len(fields))) else _picker(positions),
        bits=tuple((at, register.bit) for at, register in enumerate(registers) if register.bit is not None),
        invalid=tuple((at, _patterns(register)) for at, register in enumerate(registers) if register.invalid),
        marks=tuple(_mark(mark, where, request) for mark in marks),
        good=bytes(len(names)),
        unmarked=bytes(len(names)),
    )


def decode_block(block: Block, words: bytes) -> Decoded:
    """The readings in a block's answer, `words` as they came over the wire.

    A value that is none (NaN, infinite, a "no value" pattern) is NaN with BAD_NONSENSE, never the last good one; a
    value outside its measuring range is kept and UNCERTAIN_RANGE_EXCEEDED. Raises struct.error when the length is not
    that of the request.
    """
    ordinal = int.from_bytes(words[-2 * SAMPLE_WORDS :], "big") if block.request.sample else None
    if block.swap:
        registers = array("H", words)
        registers.byteswap()
        words = registers.tobytes()
    fields = block.unpack(words)
    raw = fields if block.pick is None else block.pick(fields)
    if block.bits:
        changed = list(raw)
        for at, bit in block.bits:
            changed[at] = int(raw[at]) >> bit & 1
        raw = tuple(changed)
    values = list(map(operator.mul, raw, block.factors))
    if block.offsets is not None:
        values = list(map(operator.add, values, block.offsets))
    quality = block.good
    # NaN compares false, so one look at the range finds what is no number too.
    if not (all(map(operator.le, block.lows, values)) and all(map(operator.ge, block.highs, values))):
        quality = _judge(block, values)
    for at, patterns in block.invalid:
        if raw[at] in patterns:
            values[at] = _NAN
            quality = quality[:at] + bytes((Quality.BAD_NONSENSE,)) + quality[at + 1 :]
    mark = block.unmarked
    if block.marks:
        mark = _marks(block, fields)
    if ordinal is not None:
        values.append(float(ordinal))
    return Decoded(block.index, values, quality, mark, ordinal)


def _judge(block: Block, values: list[float]) -> bytes:
    quality = bytearray(block.good)
    for at, value in enumerate(values):
        if not math.isfinite(value):
            values[at] = _NAN
            quality[at] = Quality.BAD_NONSENSE
        elif not block.lows[at] <= value <= block.highs[at]:
            quality[at] = Quality.UNCERTAIN_RANGE_EXCEEDED
    return bytes(quality)


def _marks(block: Block, fields: tuple[Raw, ...]) -> bytes:
    marks = bytearray(block.unmarked)
    for position, codes, covered in block.marks:
        # A code that the model does not know must not pass for "normal".
        mark = codes.get(int(fields[position]), Mark.INSTRUMENT_FAULT)
        for at in covered:
            marks[at] = mark
    return bytes(marks)


def _register(point: Point) -> Register:
    assert point.register is not None  # noqa: S101  # a Modbus model's points all have one
    return point.register


def _picker(positions: list[int]) -> Callable[[tuple[Raw, ...]], tuple[Raw, ...]]:
    if len(positions) == 1:
        only = positions[0]
        return lambda fields: (fields[only],)
    return operator.itemgetter(*positions)


def _layout(request: Request, fields: list[tuple[int, RawType]]) -> str:
    """The struct format of a whole answer: gaps and the sample are pad bytes."""
    layout: list[str] = []
    at = request.address
    for address, kind in fields:
        layout.append(f"{2 * (address - at)}x{kind.letter}")
        at = address + kind.words
    return "".join(layout) + f"{2 * (request.address + request.count - at)}x"


def _patterns(register: Register) -> frozenset[Raw]:
    """The raw values behind bit patterns; a pattern that is NaN is found without."""
    kind = register.type
    raws = [
        struct.unpack(">" + kind.letter, pattern.to_bytes(2 * kind.words, "big"))[0] for pattern in register.invalid
    ]
    return frozenset(raws)


def _mark(
    mark: MarkRegister, where: Mapping[tuple[int, RawType], int], request: Request
) -> tuple[int, Mapping[int, Mark], tuple[int, ...]]:
    covered = tuple(at for at, name in enumerate(request.points) if name in mark.points)
    return where[mark.register.address, mark.register.type], mark.codes, covered
