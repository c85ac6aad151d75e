"""park.toml and what it includes, read and checked as a whole: every fault at once, with file, key and remedy."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from park_platform.park_faults import find_faults
from park_platform.park_model import LISTS, ParkFile
from park_wire.errors import ConfigError, Fault

_REMEDIES: Final = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct how it is spelled",
    "literal_error": "use one of these",
    "string_pattern_mismatch": "use 1 to 32 characters of a-z, 0-9 and -",
}


@dataclass(slots=True)
class _Source:
    """The content of all files as one, and for each item of each list the file that it stands in."""

    main: str
    content: dict[str, Any] = field(default_factory=dict[str, Any])
    files: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def add(self, file: str, key: str, items: list[Any]) -> None:
        """More items of a list."""
        self.content.setdefault(key, []).extend(items)
        self.files.setdefault(key, []).extend([file] * len(items))


def load_park(path: Path) -> ParkFile:
    """Read park.toml and what it includes. Raises ConfigError with every fault."""
    faults: list[Fault] = []
    source = _read_all(path, faults)
    if faults:
        raise ConfigError(faults)
    try:
        park = ParkFile.model_validate(source.content)
    except ValidationError as error:
        raise ConfigError(_shape_faults(source, error)) from error
    faults = find_faults(park, source.main, source.files)
    if faults:
        raise ConfigError(faults)
    return park


def _read_all(path: Path, faults: list[Fault]) -> _Source:
    source = _Source(path.name)
    for key, items in _read(path, faults).items():
        if key in LISTS and isinstance(items, list):
            source.add(path.name, key, items)  # pyright: ignore[reportUnknownArgumentType]
        else:
            source.content[key] = items
    for name in _includes(source.content):
        for key, items in _read(path.parent / name, faults).items():
            if key in LISTS and isinstance(items, list) and isinstance(source.content.get(key, []), list):
                source.add(name, key, items)  # pyright: ignore[reportUnknownArgumentType]
            else:
                faults.append(Fault(name, key, "is not a list that may be included", f"use [[{']], [['.join(LISTS)}]]"))
    return source


def _read(path: Path, faults: list[Fault]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(
            Fault(path.name, "file", f"{path} can't be read: {error.strerror}", "check the path and its permissions")
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(Fault(path.name, "file", f"is not TOML: {error}", "correct the line that is named"))
    return {}


def _includes(content: dict[str, Any]) -> list[str]:
    try:
        return [name for name in content["park"]["include"] if isinstance(name, str)]
    except (KeyError, TypeError):
        return []  # the shape is judged with everything else


def _shape_faults(source: _Source, error: ValidationError) -> list[Fault]:
    faults: list[Fault] = []
    for item in error.errors():
        keys = list(item["loc"])
        found = "" if item["type"] == "missing" else f", found {str(item['input'])[:80]!r}"
        remedy = _REMEDIES.get(item["type"], "correct this value")
        faults.append(Fault(_file(source, keys), _where(source.content, keys), item["msg"].lower() + found, remedy))
    return faults


def _file(source: _Source, keys: Sequence[int | str]) -> str:
    match keys:
        case [str() as name, int() as number, *_] if name in source.files:
            return source.files[name][number]
        case _:
            return source.main


def _where(content: dict[str, Any], keys: Sequence[int | str]) -> str:
    """`rule "tank-hh".limit`: an item's own id says more than its number."""
    text = ""
    for depth, key in enumerate(keys):
        if isinstance(key, str):
            text += f".{key}" if text else key
            continue
        item: Any = content[str(keys[0])][key] if depth == 1 else None
        text += f' "{item["id"]}"' if isinstance(item, dict) and "id" in item else f"[{key}]"
    return text
