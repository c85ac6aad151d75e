"""Reading a device model file: every fault of the file at once.

A model file is TOML: the head, then one line a point; every file under devices/ is an example. The wire always carries
the quantity's canonical unit: a register's `scale` and the unit's factor are folded into one factor and offset here.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from park_gateway.address import NODE_RULE, is_node_id
from park_gateway.point import DeviceModel, EventKind, MarkRegister, Order, Point, Protocol, RawType, Register
from park_gateway.tables import Faults, Table, check_table, did_you_mean, key_of, read_toml, shown, tables_of
from park_wire.errors import WireError
from park_wire.quality import MARK_LETTERS
from park_wire.quantities import quantity
from park_wire.topics import ID_RULE, is_id


class _Text(Table):
    zh: str = Field(min_length=1, description="the Chinese name")
    en: str = Field(min_length=1, description="the English name")


_ORDERS = Literal["big", "little"]
_ADDRESS = Annotated[int, Field(ge=0, le=65_535)]
_TYPES = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]


class _Device(Table):
    required = ("model", "name", "protocol", "source")
    model: str = Field("", min_length=1, description=f"the model's name, {ID_RULE}, as the file is called")
    name: _Text = Field(_Text.model_construct(zh="", en=""), description='{ zh = "…", en = "…" }')
    protocol: Literal["modbus", "opcua"] | None = Field(None, description='"modbus" or "opcua"')
    source: str = Field("", min_length=1, description="a sentence that says where the map comes from")
    function: Literal[3, 4] = Field(3, description="3 (holding registers) or 4 (input registers)")
    word_order: _ORDERS = Field("big", description='"big" or "little"')
    byte_order: _ORDERS = Field("big", description='"big" or "little"')
    max_gap: int = Field(0, ge=0, le=123, description="a number of registers from 0 to 123")


class _Point(Table):
    required = ("name", "quantity", "unit", "zh", "en")
    name: str = Field("", min_length=1, description=f"a name that is unique in the model, {ID_RULE}")
    quantity: str = Field("", min_length=1, description="the id of a quantity in park_wire's catalogue")
    unit: str = Field("", min_length=1, description="one of the quantity's units")
    zh: str = Field("", min_length=1, description="the Chinese name")
    en: str = Field("", min_length=1, description="the English name")
    address: _ADDRESS | None = Field(None, description="a zero-based register address from 0 to 65535")
    type: _TYPES | None = Field(None, description="one of u16 i16 u32 i32 u64 i64 f32 f64")
    node: str | None = Field(None, min_length=1, description="the node's id below the device's root")
    scale: float = Field(1.0, allow_inf_nan=False, description="a number that is not 0: raw * scale is in `unit`")
    bit: int | None = Field(None, ge=0, le=63, description="the number of a bit of the register, 0 is the lowest")
    invalid: list[int] = Field([], description='a list of bit patterns that mean "no value", such as [0x7FFF]')
    low: float | None = Field(None, allow_inf_nan=False, description="the measuring range's lower end in `unit`")
    high: float | None = Field(None, allow_inf_nan=False, description="the measuring range's upper end in `unit`")
    period_ms: int | None = Field(None, ge=10, le=86_400_000, description="ms from 10 to 86400000")


class _Mark(Table):
    required = ("address", "codes")
    address: _ADDRESS | None = Field(None, description="a zero-based register address from 0 to 65535")
    type: Literal["u16", "u32"] = Field("u16", description="u16 or u32")
    codes: dict[str, str] = Field({}, min_length=1, description='the meaning of each code: { 0 = "N", 1 = "F" }')
    points: list[str] | None = Field(None, min_length=1, description="names of points; left out it covers all")


class _Event(Table):
    required = ("kind", "type", "fields")
    kind: str = Field("", min_length=1, description=f"the event's kind, {ID_RULE}")
    node: str = Field("", description="the source's id below the device's root; left out it is the root")
    type: str = Field("", min_length=1, description="the event type's id in the root's namespace")
    fields: dict[str, str] = Field({}, min_length=1, description="the body's keys with the event's property for each")


def load_model_file(path: Path) -> DeviceModel:
    """Read a model file. Raises ConfigError with every fault of the file."""
    content = read_toml(path)
    faults = Faults(str(path))
    head = {key: value for key, value in content.items() if key not in ("point", "mark", "event")}
    device = check_table(_Device, head, "", faults)
    if device is not None and device.model and (device.model != path.stem or not is_id(device.model)):
        remedy = f"call model and file alike, {ID_RULE}"
        faults.add("model", f"{device.model!r} does not name the file {path.name}", remedy)
    protocol = None if device is None or device.protocol is None else Protocol(device.protocol)
    points = _points(content, protocol, faults)
    marks = _marks(content, protocol, points, faults)
    events = _events(content, protocol, faults)
    _check_overlaps(points, marks, faults)
    if not content.get("point") and not content.get("event"):
        faults.add("point", "there is none", "add [[point]] or, for OPC UA, [[event]]")
    faults.check()
    assert device is not None and protocol is not None  # noqa: S101, PT018  # either would be a fault
    return DeviceModel(
        name=device.model,
        zh=device.name.zh,
        en=device.name.en,
        protocol=protocol,
        source=device.source,
        points=tuple(points),
        function=device.function,
        word_order=Order(device.word_order),
        byte_order=Order(device.byte_order),
        max_gap=device.max_gap,
        marks=tuple(marks),
        events=tuple(events),
    )


def _points(content: dict[str, Any], protocol: Protocol | None, faults: Faults) -> list[Point]:
    points: list[Point] = []
    names: set[str] = set()
    for number, entry in enumerate(tables_of(content, "point", faults), 1):
        key = key_of("point", entry, "name", number)
        table = check_table(_Point, entry, key, faults)
        if table is None:
            continue
        if table.name and not is_id(table.name):
            faults.add(f"{key}.name", f"{table.name!r} is not a name", f"use {ID_RULE}")
        if table.name and table.name in names:
            faults.add(f"{key}.name", "stands twice", "give each point its own name")
        names.add(table.name)
        # What was written wrongly is not missing as well.
        register = _register(table, set(entry), protocol, key, faults)
        point = _measured(table, register, key, faults)
        if point is not None:
            points.append(point)
    return points


def _register(table: _Point, written: set[str], protocol: Protocol | None, key: str, faults: Faults) -> Register | None:
    """Check the half of a point that depends on the protocol."""
    if protocol is Protocol.OPCUA:
        for name in ("address", "type", "bit", "invalid"):
            if getattr(table, name) not in (None, []):
                faults.add(f"{key}.{name}", "has no meaning in an OPC UA model", "remove it")
        if "node" not in written:
            faults.add(f"{key}.node", "is missing", "add the node's id below the device's root")
        elif table.node is not None:
            _check_node(table.node, key, faults)
        return None
    if protocol is Protocol.MODBUS and table.node is not None:
        faults.add(f"{key}.node", "has no meaning in a Modbus model", "remove it")
    if table.address is None or table.type is None:
        for name in ("address", "type"):
            if protocol is Protocol.MODBUS and name not in written:
                faults.add(f"{key}.{name}", "is missing", f"add it: {_Point.model_fields[name].description}")
        return None
    _check_raw(table, RawType(table.type), table.address, key, faults)
    return Register(table.address, RawType(table.type), table.bit, tuple(table.invalid))


def _check_node(node: str, key: str, faults: Faults) -> None:
    # What holds a "=" stands for itself, anything else is put behind the device's root.
    if not is_node_id(node if "=" in node else f"s={node}"):
        faults.add(f"{key}.node", f"{shown(node)} is not a node's id", NODE_RULE)


def _check_raw(table: _Point, kind: RawType, address: int, key: str, faults: Faults) -> None:
    bits = kind.words * 16
    if address + kind.words > 65_536:
        faults.add(f"{key}.address", f"{address} leaves no room for {kind}", "use a lower address")
    if table.bit is not None and (kind not in (RawType.U16, RawType.U32, RawType.U64) or table.bit >= bits):
        faults.add(f"{key}.bit", f"{kind} has no bit {table.bit} to ask for", "use u16 with a bit from 0 to 15")
    if table.bit is not None and table.invalid:
        faults.add(f"{key}.invalid", "has no meaning beside `bit`", "remove it")
    if any(not 0 <= pattern < 1 << bits for pattern in table.invalid):
        faults.add(f"{key}.invalid", f"holds a pattern that {kind} can't show", f"write the {bits} bits as one number")


def _measured(table: _Point, register: Register | None, key: str, faults: Faults) -> Point | None:
    """Fold scale and unit into one factor and offset; the range into the canonical unit."""
    if not table.quantity:
        return None
    try:
        what = quantity(table.quantity)
    except WireError as error:
        faults.add(f"{key}.quantity", f"{table.quantity!r} is not a quantity", str(error).partition("; ")[2])
        return None
    if not table.unit:
        return None
    if table.unit not in what.units:
        remedy = f"use one of {', '.join(what.units)}"
        faults.add(f"{key}.unit", f"{table.unit!r} is not a unit of {what.id}", remedy)
        return None
    if table.scale == 0:
        faults.add(f"{key}.scale", "is 0", "use a number such as 0.1: raw * scale is in `unit`")
        return None
    factor, offset = what.conversion(table.unit)
    low = what.low if table.low is None else table.low * factor + offset
    high = what.high if table.high is None else table.high * factor + offset
    if low >= high:
        faults.add(f"{key}.low", f"{low} {what.unit} does not lie below high, {high} {what.unit}", "correct the range")
    return Point(
        name=table.name,
        quantity=what.id,
        unit=what.unit,
        zh=table.zh,
        en=table.en,
        factor=table.scale * factor,
        offset=offset,
        low=low,
        high=high,
        period_ms=table.period_ms,
        register=register,
        node=table.node,
    )


def _marks(
    content: dict[str, Any], protocol: Protocol | None, points: Iterable[Point], faults: Faults
) -> list[MarkRegister]:
    # One [mark] or several [[mark]]: a station with two instruments has two.
    entries: list[Any] = (
        [content["mark"]] if isinstance(content.get("mark"), dict) else tables_of(content, "mark", faults)
    )
    names = [point.name for point in points]
    marks: list[MarkRegister] = []
    for number, entry in enumerate(entries, 1):
        key = "mark" if len(entries) == 1 else f"mark #{number}"
        table = check_table(_Mark, entry, key, faults)
        if table is None:
            continue
        if protocol is Protocol.OPCUA:
            faults.add(key, "has no meaning in an OPC UA model", "remove it")
        for code, letter in table.codes.items():
            if not code.isdecimal() or letter not in MARK_LETTERS:
                remedy = f"write a number = one of {' '.join(MARK_LETTERS)}"
                faults.add(f"{key}.codes.{code}", f"{letter!r} is not the mark of a code", remedy)
        for name in table.points or ():
            if name not in names:
                faults.add(f"{key}.points", f"{name!r} is not a point of this model", did_you_mean(name, names))
        if table.address is None:
            continue
        register = Register(table.address, RawType(table.type))
        codes = {
            int(code): MARK_LETTERS[letter]
            for code, letter in table.codes.items()
            if code.isdecimal() and letter in MARK_LETTERS
        }
        marks.append(MarkRegister(register, codes, tuple(table.points or names)))
    covered = [name for mark in marks for name in mark.points]
    for name in sorted({name for name in covered if covered.count(name) > 1}):
        faults.add("mark", f"point {name!r} has two marks", "name each point in the `points` of one mark only")
    return marks


def _events(content: dict[str, Any], protocol: Protocol | None, faults: Faults) -> list[EventKind]:
    events: list[EventKind] = []
    for number, entry in enumerate(tables_of(content, "event", faults), 1):
        key = key_of("event", entry, "kind", number)
        table = check_table(_Event, entry, key, faults)
        if table is None:
            continue
        if protocol is Protocol.MODBUS:
            faults.add(key, "has no meaning in a Modbus model", "remove it")
        if table.kind and not is_id(table.kind):
            faults.add(f"{key}.kind", f"{table.kind!r} is not a name", f"use {ID_RULE}")
        if table.node:
            _check_node(table.node, key, faults)
        events.append(EventKind(table.kind, table.node, table.type, table.fields))
    return events


def _check_overlaps(points: Iterable[Point], marks: Iterable[MarkRegister], faults: Faults) -> None:
    taken = [(point.register, f"point.{point.name}") for point in points if point.register is not None]
    taken += [(mark.register, "mark") for mark in marks]
    taken.sort(key=lambda item: item[0].address)
    for (left, left_key), (right, right_key) in itertools.pairwise(taken):
        shared = (left.address, left.type) == (right.address, right.type)
        if shared and None not in (left.bit, right.bit) and left.bit != right.bit:
            continue
        if right.address < left.end:
            problem = f"{right.address} lies within {left_key}, registers {left.address} to {left.end - 1}"
            faults.add(
                f"{right_key}.address", problem, "correct address or type; points share a register only by `bit`"
            )
