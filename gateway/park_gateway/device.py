"""Device models by name, and what a simulated device of a model shows.

This module, with the vocabulary of `point` and the files of `model_file`, is all that the simulated field knows of the
gateway.
"""

import functools
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from park_gateway.model_file import load_model_file
from park_gateway.point import DeviceModel, Order, Point, RawType, Register
from park_gateway.tables import did_you_mean
from park_wire.errors import ConfigError, Fault
from park_wire.quality import Mark

SAMPLE_WORDS: Final = 2
"""A simulated device ends each request with its own u32 ordinal: the last words asked for, big-endian, whatever the
model's order. They lie outside the maker's map (`DeviceModel.mapped`)."""
SAMPLE_NODE: Final = "Sample"
"""An OPC UA device has this counter below its root; it is written with every update of the others."""
OPCUA_BLOCK: Final = "ua"
"""The block of an OPC UA device's `Sample` counter; it has one only."""

_FOLDER: Final = Path(__file__).parent / "devices"


def models() -> tuple[str, ...]:
    """The names of the models that come with the gateway."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@functools.cache
def load_model(name: str) -> DeviceModel:
    """The model of this name among those that come with the gateway. Raises ConfigError."""
    if name not in models():
        raise ConfigError([Fault("devices", "model", f"{name!r} is not a device model", did_you_mean(name, models()))])
    return load_model_file(_FOLDER / f"{name}.toml")


def block_name(function: int, address: int) -> str:
    """The name of the request block that begins here: `h20`, or `i0` for input registers."""
    return f"{'h' if function == 3 else 'i'}{address}"


def node_id(root: str, node: str) -> str:
    """The node id below a device's root: `ns=2;s=tank-1` and `Pressure` give `ns=2;s=tank-1.Pressure`.

    A `node` that is a node id itself stays as it is; an empty one is the root.
    """
    if not node:
        return root
    return node if "=" in node else f"{root}.{node}"


def words_of(value: float, kind: RawType, word_order: Order = Order.BIG, byte_order: Order = Order.BIG) -> list[int]:
    """The registers that hold a raw value. An integer type rounds and clamps; NaN in one raises ValueError."""
    if kind in (RawType.F32, RawType.F64):
        raw = struct.pack(">" + kind.letter, value)
    else:
        bits = kind.words * 16
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.value.startswith("i") else (0, (1 << bits) - 1)
        raw = struct.pack(">" + kind.letter, min(max(round(value), low), high) if math.isfinite(value) else int(value))
    return _ordered(raw, word_order, byte_order)


def _ordered(raw: bytes, word_order: Order, byte_order: Order) -> list[int]:
    words = [int.from_bytes(raw[at : at + 2], byte_order.value) for at in range(0, len(raw), 2)]
    return words[::-1] if word_order is Order.LITTLE else words


def image(model: DeviceModel, values: Mapping[str, float], mark: Mark | None = None) -> dict[int, int]:
    """The registers by which a Modbus device would show these canonical values, address to word.

    Points left out read 0. A value that is not finite shows as the point's first "no value" pattern, else as NaN where
    the type knows one, else as the type's largest number. `mark` goes to every mark register.
    """
    words: dict[int, int] = {}
    for point in model.points:
        if point.register is not None:
            _show(model, point, point.register, values.get(point.name), words)
    for register in model.marks:
        code = next((code for code, meant in register.codes.items() if meant is mark), 0)
        shown = words_of(code, register.register.type, model.word_order, model.byte_order)
        words.update(enumerate(shown, register.register.address))
    return words


def _show(model: DeviceModel, point: Point, at: Register, value: float | None, words: dict[int, int]) -> None:
    orders = (model.word_order, model.byte_order)
    raw = 0.0 if value is None else (value - point.offset) / point.factor
    if at.bit is not None:
        # Several points share such a register.
        bit = words_of((1 << at.bit) if raw else 0, at.type, *orders)
        for address, word in enumerate(bit, at.address):
            words[address] = words.get(address, 0) | word
        return
    if math.isfinite(raw):
        shown = words_of(raw, at.type, *orders)
    elif at.invalid:
        shown = _ordered(at.invalid[0].to_bytes(at.type.words * 2, "big"), *orders)
    elif at.type in (RawType.F32, RawType.F64):
        shown = words_of(raw, at.type, *orders)
    else:
        shown = words_of(2**64, at.type, *orders)
    words.update(enumerate(shown, at.address))
