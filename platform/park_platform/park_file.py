"""park.toml and what it includes, read and checked as a whole: every fault at once, with file, key and remedy."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from park_platform.park_draft import Place, Sketch, as_word, label
from park_platform.park_faults import find_faults
from park_platform.park_model import LISTS, ParkFile
from park_sdk.register import Register
from park_sdk.register_csv import read_csv
from park_sdk.register_form import FieldFault
from park_sdk.system import System
from park_wire.errors import ConfigError, Fault
from park_wire.quantities import Text

_REMEDIES: Final = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct how it is spelled",
    "literal_error": "use one of these",
    "enum": "use one of these",
    "string_pattern_mismatch": "use 1 to 32 characters of a-z, 0-9 and -",
}


@dataclass(slots=True)
class _Source:
    """The content of all files as one, and for each item of each list the file that it stands in."""

    main: str
    content: dict[str, Any] = field(default_factory=dict[str, Any])
    files: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    faults: list[Fault] = field(default_factory=list[Fault])

    def add(self, file: str, key: str, items: list[Any]) -> None:
        """More items of a list."""
        self.content.setdefault(key, []).extend(items)
        self.files.setdefault(key, []).extend([file] * len(items))

    def is_whole(self) -> bool:
        """Whether every file was read and every list is one: what is named and not found is nowhere then."""
        return not self.faults and all(key in self.files for key in LISTS if key in self.content)


def load_park(path: Path, systems: Mapping[str, System], refused: Collection[str] = ()) -> ParkFile:
    """Read park.toml and what it includes. Raises ConfigError with every fault.

    systems: what is installed, for what the park wants of it. refused: systems whose package can't be used; what the
    park wants of them is passed over.
    """
    source = _read_all(path)
    _pass_over(source, refused)
    _read_registers(source, path.parent, systems)
    faults = list(source.faults)
    places: list[Place] = []
    park = None
    try:
        park = ParkFile.model_validate(source.content)
    except ValidationError as error:
        # Without park.toml itself every other fault would only say that it is missing.
        if source.content or not faults:
            faults += _shape_faults(source, error)
        places = [item["loc"] for item in error.errors()]
    sketch = Sketch(source.main, source.is_whole(), source.content, source.files, places)
    faults += find_faults(sketch.draft(), systems)
    if faults or park is None:
        raise ConfigError(faults)
    return park


def _read_all(path: Path) -> _Source:
    source = _Source(path.name)
    for key, items in _read(path, source.faults).items():
        if key in LISTS and isinstance(items, list):
            source.add(path.name, key, items)  # pyright: ignore[reportUnknownArgumentType]
        else:
            source.content[key] = items
    for name in _includes(source.content):
        for key, items in _read(path.parent / name, source.faults).items():
            if key not in LISTS or not isinstance(items, list):
                remedy = f"use [[{']], [['.join(LISTS)}]]"
                source.faults.append(Fault(name, as_word(key), "is not a list that may be included", remedy))
            elif isinstance(source.content.get(key, []), list):
                source.add(name, key, items)  # pyright: ignore[reportUnknownArgumentType]
    return source


def _pass_over(source: _Source, refused: Collection[str]) -> None:
    for key in ("system", "registers"):
        part: Any = source.content.get(key)
        if isinstance(part, dict):
            named: dict[str, Any] = part  # pyright: ignore[reportUnknownVariableType]
            source.content[key] = {name: each for name, each in named.items() if name.split(".")[0] not in refused}


def _read_registers(source: _Source, folder: Path, systems: Mapping[str, System]) -> None:
    """In place of each CSV file its rows."""
    wanted: Any = source.content.get("registers", {})
    if not isinstance(wanted, dict):
        return
    names: dict[str, Any] = wanted  # pyright: ignore[reportUnknownVariableType]
    registers = {f"{system.id}.{each.id}": each for system in systems.values() for each in system.registers}
    # A name is nowhere only when all files were read.
    known = {kind: _ids(source, kind) for kind in ("enterprise", "asset")} if source.is_whole() else None
    found: dict[str, Any] = {}
    for name, file in names.items():
        key = f"registers.{as_word(name)}"
        register = registers.get(name)
        if register is None:
            there = ", ".join(registers) or "none"
            source.faults.append(Fault(source.main, key, "is no register of an installed system", f"known: {there}"))
        elif not isinstance(file, str):
            source.faults.append(Fault(source.main, key, "is not the name of a CSV file", 'write "file.csv"'))
        else:
            found[name] = {"file": file, "rows": _csv_rows(folder / file, register, known, source.faults)}
    source.content["registers"] = found


def _csv_rows(
    path: Path, register: Register, known: Mapping[str, frozenset[Any]] | None, faults: list[Fault]
) -> list[Any]:
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        remedy = "check the path and its permissions"
        faults.append(Fault(as_word(path.name), "file", f"can't be read: {error}", remedy))
        return []
    reading = read_csv(register, content, check=lambda record: _unknown(register, record, known))
    for fault in reading.faults:
        where = f"line {fault.line}" + (f", {fault.field}" if fault.field else "")
        faults.append(Fault(as_word(path.name), where, fault.message.en, "correct this line"))
    return [dict(row.record) for row in reading.rows]


def _ids(source: _Source, kind: str) -> frozenset[Any]:
    items: list[Any] = source.content.get(kind, [])
    return frozenset(item.get("id") for item in items if isinstance(item, dict) and isinstance(item.get("id"), str))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _unknown(
    register: Register, record: Mapping[str, Any], known: Mapping[str, frozenset[Any]] | None
) -> list[FieldFault]:
    """What of the enterprise and the assets that a row names is not in the park."""
    fields = [] if register.enterprise is None else [(register.enterprise, "enterprise")]
    fields += [(name, "asset") for name in register.assets]
    return [
        FieldFault(name, Text(f"园区没有“{record[name]}”", f"there is no {kind} {record[name]!r} in the park"))
        for name, kind in fields
        if known is not None and isinstance(record.get(name), str) and record[name] and record[name] not in known[kind]
    ]


def _read(path: Path, faults: list[Fault]) -> dict[str, Any]:
    name = as_word(path.name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem, remedy = f"{path.parent / name} can't be read: {error.strerror}", "check the path and its permissions"
    except UnicodeDecodeError as error:
        problem, remedy = f"is not UTF-8: {error.reason} at byte {error.start}", "save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem, remedy = f"is not TOML: {error}", "correct the line that is named"
    except RecursionError:
        problem, remedy = "brackets are nested too deeply", "look for a [ or { that stands there many times"
    except ValueError as error:
        # A file name with NUL, a number of thousands of digits: Python's own limits.
        problem, remedy = f"can't be taken: {str(error).partition(';')[0]}", "correct the name or the number"
    faults.append(Fault(name, "file", problem, remedy))
    return {}


def _includes(content: dict[str, Any]) -> list[str]:
    try:
        return [name for name in content["park"]["include"] if isinstance(name, str)]
    except (KeyError, TypeError):
        return []  # the shape is judged with everything else


def _shape_faults(source: _Source, error: ValidationError) -> list[Fault]:
    faults: list[Fault] = []
    for item in error.errors():
        # The rest of the sentence stays: the allowed values are spelled there.
        problem = item["msg"][:1].lower() + item["msg"][1:]
        found = "" if item["type"] == "missing" else f", found {_shown(item['input'])}"
        remedy = _REMEDIES.get(item["type"], "correct this value")
        faults.append(Fault(_file(source, item["loc"]), label(source.content, item["loc"]), problem + found, remedy))
    return faults


def _shown(value: object) -> str:
    """What was found, in a few words; a text of it may be endless, or need more levels than Python has."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case int() if value.bit_length() > 64:
            return "a number of more than 64 bits"
        case _:
            return repr(str(value)[:80])


def _file(source: _Source, place: Place) -> str:
    match place:
        case (str() as name, int() as number, *_) if name in source.files:
            return source.files[name][number]
        case _:
            return source.main
