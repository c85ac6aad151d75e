"""Registers (台账): tables that people keep, declared by a system as a pydantic model.

The platform stores every version of a row, shows table and form from the model's JSON schema, reads and writes CSV, and
gives the rows in force to derivations and reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from park_wire.quantities import Text

Role: TypeAlias = Literal["administrator", "operator", "safety", "enterprise", "regulator", "auditor"]
EVERYBODY: Final[frozenset[Role]] = frozenset(
    {"administrator", "operator", "safety", "enterprise", "regulator", "auditor"}
)


@dataclass(frozen=True, slots=True)
class Label:
    """What a column is called, the unit of its numbers and, for an enumeration, what its values mean.

    Stands in a field's annotation: `heat: Annotated[float, Field(gt=0), Label("热值", "Heat", unit="kJ/kg")]`.
    """

    zh: str
    en: str
    unit: str = ""
    values: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row in force, as derivations and reports get it. record: of the register's model. Times in µs UTC."""

    record: Any
    state: str | None = None
    valid_from: int = 0
    recorded_at: int = 0
    enterprise: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A move of a row's state by a person: return for correction, accept, close.

    check: what stands against it, as sentences in both languages; gets the record as it is and the time by the park's
    clock, whose tzinfo is the park's zone.
    note: whether the person must say why.
    """

    id: str
    name: Text
    from_: tuple[str, ...]
    to: str
    roles: frozenset[Role]
    check: Callable[[Any, datetime], Sequence[Text]] = lambda record, now: ()
    note: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """A table that people keep.

    model: a row; every field carries a Label. key: the fields that name a row; together they are unique, and texts that
    differ only in blanks around them or in how Unicode composes them are the same. enterprise: the field that says
    whose row it is; rows of a register without one belong to the park. assets: the fields that name an asset of the
    park, which must exist (None: no asset). readers, writers: who may see and who may change it (an enterprise only its
    own rows). states: of a row, the first is that of a new one; empty when rows have no states. editable: the states in
    which a row may be changed. due: when a row wants attention, by the system's settings and the park's zone. first:
    rows that the system brings along, each with its source.
    """

    id: str
    name: Text
    model: type[BaseModel]
    key: tuple[str, ...]
    enterprise: str | None = None
    assets: tuple[str, ...] = ()
    readers: frozenset[Role] = EVERYBODY
    writers: frozenset[Role] = frozenset[Role]({"administrator", "operator"})
    states: tuple[tuple[str, Text], ...] = ()
    editable: frozenset[str] = frozenset[str]()
    steps: tuple[Step, ...] = ()
    due: Callable[[Row, Any, ZoneInfo], datetime | None] | None = None
    first: tuple[BaseModel, ...] = ()


def label_of(field: FieldInfo) -> Label | None:
    """The Label in a field's annotation."""
    return next((item for item in field.metadata if isinstance(item, Label)), None)
