"""What people enter into a register or a form: its JSON schema, every fault at once in their words, and keys. Pure."""

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ValidationError

from park_sdk.form_words import words_for
from park_sdk.register import Label, Register, label_of
from park_wire.quantities import Text

Record: TypeAlias = Mapping[str, Any]
"""A row's fields as JSON has them."""
_Model = TypeVar("_Model", bound=BaseModel)

LONGEST_TEXT: Final = 10_000
LARGEST_NUMBER: Final = 2**63
_DEEPEST: Final = 8
_MOST_PARTS: Final = 1_000
_MOST_UNKNOWN: Final = 50
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field, for the person who filled it in. field "": with the record as a whole."""

    field: str
    message: Text


# the form -------------------------------------------------------------------------------------------------------------


def form_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of what a form asks: references resolved, with x-label, x-unit and x-values of each Label."""
    schema = model.model_json_schema(mode="validation")
    definitions: Mapping[str, Any] = schema.pop("$defs", {})
    whole: dict[str, Any] = _resolved(schema, definitions, ())
    properties: dict[str, dict[str, Any]] = whole.get("properties", {})
    for name, field in model.model_fields.items():
        label = label_of(field)
        if label is None or name not in properties:
            continue
        properties[name] |= {"x-label": {"zh": label.zh, "en": label.en}, "x-unit": label.unit}
        properties[name]["x-values"] = [list(value) for value in label.values]
    return whole


def unshown_fields(model: type[BaseModel]) -> list[str]:
    """The fields that no form has an input for, as sentences; people would have to write them as JSON."""
    schema = form_schema(model)
    return [
        f"field {name!r} is {problem}; a form asks texts, choices of texts, numbers, yes or no, dates, times and lists "
        "of texts"
        for name, part in schema.get("properties", {}).items()
        if (problem := _unshown(part))
    ]


def _unshown(part: Mapping[str, Any]) -> str | None:
    members: list[Mapping[str, Any]] = [each for each in part.get("anyOf", ()) if each.get("type") != "null"]
    if len(members) > 1 or "oneOf" in part:
        return "of several types"
    shape = members[0] if members else part
    choices: list[Any] = [shape["const"]] if "const" in shape else shape.get("enum", [])
    if any(not isinstance(choice, str) for choice in choices):
        return "a choice of values that are no texts"
    match shape.get("type"):
        case "array" if shape.get("items", {}).get("type") == "string":
            return None
        case "string" | "number" | "integer" | "boolean":
            return None
        case None if choices:
            return None
        case kind:
            return f"of the type {kind or 'any'}"


def _resolved(part: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(part, list):
        return [_resolved(each, definitions, within) for each in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    given = cast("dict[str, Any]", part)  # JSON knows no other keys
    name = str(given.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions:
        if name in within:
            # A model that holds itself: a form asks only so deep.
            return {"type": "object"}
        beside = {key: value for key, value in given.items() if key != "$ref"}
        return _resolved(definitions[name], definitions, (*within, name)) | beside
    return {key: _resolved(value, definitions, within) for key, value in given.items()}


# what was entered -----------------------------------------------------------------------------------------------------


def read_form(model: type[_Model], raw: Record) -> tuple[_Model | None, list[FieldFault]]:
    """What was entered as the model, or everything that is wrong with it."""
    fields = model.model_fields
    faults = [FieldFault(_shown(name), _UNKNOWN) for name in [name for name in raw if name not in fields]]
    del faults[_MOST_UNKNOWN:]
    faults += [FieldFault(name, problem) for name in fields if name in raw and (problem := _unfit(raw[name]))]
    blocked = {fault.field for fault in faults}
    sound = {name: value for name, value in raw.items() if name in fields and name not in blocked}
    try:
        read = model.model_validate_json(json.dumps(sound))
    except ValidationError as error:
        faults += [fault for fault in _mistakes(model, sound, error) if fault.field.split(".")[0] not in blocked]
        return None, faults
    except Exception as error:  # noqa: BLE001 - a system's own check: what it raises is said, and the row is refused
        return None, [*faults, FieldFault("", _broken(error))]
    # A number may be written as text: "inf" is found only now.
    faults += [FieldFault(name, problem) for name, value in plain(read).items() if (problem := _unfit(value))]
    return (None, faults) if faults else (read, [])


def read_record(register: Register, raw: Record) -> tuple[BaseModel | None, list[FieldFault]]:
    """A row of a register that somebody entered, or everything that is wrong with it."""
    read, faults = read_form(register.model, raw)
    named = {fault.field for fault in faults}
    for name in register.key:
        if name not in named and _is_blank(raw.get(name) if read is None else getattr(read, name)):
            faults.append(FieldFault(name, _NEEDED))
    return (None, faults) if faults else (read, [])


def read_stored(register: Register, record: Record) -> tuple[BaseModel | None, list[FieldFault]]:
    """A stored row as the register's model. Fields that the model no longer has are passed over."""
    return read_form(
        register.model, {name: value for name, value in record.items() if name in register.model.model_fields}
    )


def plain(record: BaseModel) -> dict[str, Any]:
    """A record as it is stored and sent: JSON values by field."""
    return record.model_dump(mode="json")


def key_text(register: Register, record: Record) -> str:
    """What names a row within its register: the key fields' values as a JSON list.

    Texts are composed and without the blanks around them: what looks the same is the same row.
    """
    values = [record.get(name) for name in register.key]
    alike = [unicodedata.normalize("NFC", each).strip() if isinstance(each, str) else each for each in values]
    return json.dumps(alike, ensure_ascii=False, separators=(",", ":"))


def key_words(key: str) -> str:
    """A key as people read it; a field without a value is left out."""
    values = [value for value in json.loads(key) if value is not None]
    return " / ".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def _is_blank(value: Any) -> bool:
    # None is for the model to judge: a limit without an asset is one for all assets.
    return isinstance(value, str) and not value.strip()


# faults ---------------------------------------------------------------------------------------------------------------

_UNKNOWN: Final = Text("没有此字段", "there is no such field")
_NEEDED: Final = Text("必填", "must be filled in")


def _mistakes(model: type[BaseModel], raw: Record, error: ValidationError) -> Iterator[FieldFault]:
    """One fault a field: of the members of a union the first says enough."""
    seen: set[str] = set()
    for item in error.errors(include_url=False):
        path = _path(raw, item["loc"])
        if path in seen:
            continue
        seen.add(path)
        field = model.model_fields.get(path)
        label = None if field is None else label_of(field)
        yield FieldFault(path, words_for(item["type"], item.get("ctx", {}), item["msg"], _values(label)))


def _path(raw: Any, loc: Sequence[int | str]) -> str:
    """Where in what was entered: without the names of union members that stand between."""
    parts: list[str] = []
    here = raw
    for number, part in enumerate(loc):
        if isinstance(here, list) and isinstance(part, int) and part < len(here):  # pyright: ignore[reportUnknownArgumentType]
            here = here[part]  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(here, dict) and (part in here or number == len(loc) - 1):
            here = here.get(part)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        elif number:
            continue
        parts.append(str(part))
    return ".".join(parts)


def _values(label: Label | None) -> tuple[tuple[str, str, str], ...]:
    return () if label is None else label.values


def _broken(error: Exception) -> Text:
    kind = type(error).__name__
    return Text(
        f"台账自身的校验出错（{kind}），请联系系统的维护者",
        f"the register's own check failed ({kind}); tell whoever maintains the system",
    )


# what can be stored ---------------------------------------------------------------------------------------------------


def _unfit(value: Any, depth: int = 0) -> Text | None:
    """Why a value can't be kept in a database or sent as JSON; None when it can."""
    match value:
        case str():
            return _unfit_text(value)
        case int() | float():
            return _unfit_number(value)
        case dict() | list():
            given = cast("dict[Any, Any] | list[Any]", value)  # what JSON gives
            parts = [*given, *given.values()] if isinstance(given, dict) else given
            if depth >= _DEEPEST or len(parts) > _MOST_PARTS:
                return Text("内容过多或嵌套过深", "holds too much, or is nested too deep")
            return next((problem for part in parts if (problem := _unfit(part, depth + 1))), None)
        case _:
            return None


def _unfit_text(value: str) -> Text | None:
    if len(value) > LONGEST_TEXT:
        return Text(f"不得超过 {LONGEST_TEXT} 个字符", f"must have at most {LONGEST_TEXT} characters")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return Text("含有无法保存的字符", "holds characters that can't be stored")
    return None


def _unfit_number(value: float) -> Text | None:
    if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
        return Text("数字过大", "the number is too large")
    if not math.isfinite(value):
        return Text("须为有限的数字", "must be a finite number")
    return None


def _shown(name: str) -> str:
    """The name of a field that nobody knows, fit to be sent back."""
    return name[:_LONGEST_NAME].encode("utf-8", "replace").decode()
