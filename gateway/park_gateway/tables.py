"""Tables of a TOML file checked by pydantic, their mistakes as faults: all of a file at once, each with a remedy.

Every field of a table carries a `description` that completes "expected …"; it is the remedy of the field's faults.
"""

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from park_wire.errors import ConfigError, Fault


class Table(BaseModel):
    """A TOML table: nothing is converted, unknown keys are faults.

    The fields in `required` are None only after a fault was noted, so that the rest of the table can still be checked.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    required: ClassVar[tuple[str, ...]] = ()


T = TypeVar("T", bound=Table)

_MOST_DEPTH: Final = 20
_DEPTH_REMEDY: Final = "write tables and lists as docs/gateway.md shows them"


@dataclass(slots=True)
class Faults:
    """The faults of one file, gathered."""

    file: str
    found: list[Fault] = field(default_factory=list[Fault])

    def add(self, key: str, problem: str, remedy: str) -> None:
        """Note one fault."""
        self.found.append(Fault(self.file, key, problem, remedy))

    def check(self) -> None:
        """Raise ConfigError when there are faults."""
        if self.found:
            raise ConfigError(self.found)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises ConfigError when it can't be read, is no TOML or is nested without end."""
    deep = f"is nested more than {_MOST_DEPTH} deep"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        if _is_shallow(content):
            return content
        fault = Fault(str(path), "file", deep, _DEPTH_REMEDY)
    except RecursionError:
        fault = Fault(str(path), "file", deep, _DEPTH_REMEDY)
    except OSError as error:
        fault = Fault(str(path), "file", f"can't be read: {error.strerror}", "check the path and its permissions")
    except UnicodeDecodeError as error:
        fault = Fault(str(path), "file", f"is not UTF-8: {error.reason} at byte {error.start}", "save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        fault = Fault(str(path), "file", f"is no TOML: {error}", "correct the line; https://toml.io has the grammar")
    except ValueError as error:
        # A number with thousands of digits, for one.
        fault = Fault(str(path), "file", f"holds a value that can't be read: {error}", "correct the value")
    # Not from the error: that of a nesting without end is as long as the nesting.
    raise ConfigError([fault])


def _is_shallow(content: dict[str, Any]) -> bool:
    level: list[Any] = [content]
    for _ in range(_MOST_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        if not inner:
            return True
        level = inner
    return False


def check_table(kind: type[T], value: object, key: str, faults: Faults) -> T | None:
    """`value` as a table of this kind; its faults are noted under `key` and what is faulty is left out.

    None when it is no table at all.
    """
    if not isinstance(value, dict):
        faults.add(key, f"{shown(value)} is not a table", f"write it with the keys {', '.join(kind.model_fields)}")
        return None
    content: dict[str, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
    for name in kind.required:
        if name not in content:
            faults.add(_joined(key, name), "is missing", f"add it: {kind.model_fields[name].description}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(kind, detail, key, faults)
            content.pop(str(detail["loc"][0]), None)
    return kind.model_validate(content)


def tables_of(content: dict[str, Any], name: str, faults: Faults) -> list[Any]:
    """The tables under `[[name]]`, unchecked; empty when there are none."""
    value: Any = content.get(name, [])
    if isinstance(value, list):
        return value  # pyright: ignore[reportUnknownVariableType]
    faults.add(name, "is not a list of tables", f"write it as [[{name}]]")
    return []


def key_of(kind: str, table: object, name: str, number: int) -> str:
    """How a fault names an entry of a list of tables: by its own name, else by its number, counted from 1."""
    own: Any = table.get(name) if isinstance(table, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return f"{kind}.{own}" if isinstance(own, str) and own else f"{kind} #{number}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy for a word that is none of the known ones."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(words)}"


def _note(kind: type[Table], detail: ErrorDetails, key: str, faults: Faults) -> None:
    where = _joined(key, *map(str, detail["loc"]))
    first = str(detail["loc"][0])
    expected = kind.model_fields[first].description if first in kind.model_fields else None
    match detail["type"]:
        case "extra_forbidden":
            remedy = did_you_mean(first, kind.model_fields) if expected is None else f"expected {expected}"
            faults.add(where, "is not a known key", remedy)
        case "missing":
            faults.add(where, "is missing", f"expected {expected}")
        case _:
            said = detail["msg"][:1].lower() + detail["msg"][1:]
            faults.add(where, f"{shown(detail['input'])}: {said}", f"expected {expected}")


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def shown(value: object) -> str:
    """A value as a fault quotes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
