"""The quantity catalogue: what a point can measure, in which units, under which name in Chinese and English.

The entries are data (quantities.toml). Reading the file costs some milliseconds, so it is read at the first look-up.
A quantity knows no alarm limit: its range only tells a reading from a wrong register or a broken wire.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from park_wire.errors import WireError

SYSTEMS: Final = ("economy", "energy", "safety", "environment", "logistics", "services")


class Kind(StrEnum):
    """Gauge: a value at an instant. Counter: a register that only grows between resets. State: one of few values."""

    GAUGE = "gauge"
    COUNTER = "counter"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Text:
    """A name or sentence in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Unit:
    """How a raw value becomes a canonical one: raw * factor + offset."""

    factor: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """One entry of the catalogue.

    `unit` is the canonical unit, in which readings are stored; `units` are all that are accepted, itself included.
    `low` and `high` are the plausible range in the canonical unit. `hj212` is the code of HJ 212-2017 where there is
    one, meant under the system code `hj212_st`. `states` says what each value of a state means, and is empty otherwise.
    """

    id: str
    system: str
    zh: str
    en: str
    unit: str
    units: Mapping[str, Unit]
    kind: Kind
    low: float
    high: float
    hj212: str | None
    hj212_st: int | None
    states: Mapping[int, Text]

    def conversion(self, unit: str) -> tuple[float, float]:
        """Factor and offset, so that canonical = raw * factor + offset. Raises WireError for a unit not accepted."""
        known = self.units.get(unit)
        if known is None:
            raise WireError(f"quantity {self.id!r} is not measured in {unit!r}; use one of {', '.join(self.units)}")
        return known.factor, known.offset


class _Catalogue(Mapping[str, Quantity]):
    """All quantities by id, read from the package's file at the first look-up."""

    def __getitem__(self, key: str) -> Quantity:
        return _entries()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_entries())

    def __len__(self) -> int:
        return len(_entries())


QUANTITIES: Final[Mapping[str, Quantity]] = _Catalogue()


def quantity(id_: str) -> Quantity:
    """The quantity of this id. Raises WireError that names the nearest ids."""
    try:
        return QUANTITIES[id_]
    except KeyError:
        near = difflib.get_close_matches(id_, QUANTITIES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "see park_wire/quantities.toml for all"
        raise WireError(f"there is no quantity {id_!r}; {hint}") from None


@cache
def _entries() -> Mapping[str, Quantity]:
    text = files("park_wire").joinpath("quantities.toml").read_text("utf-8")
    document = tomllib.loads(text)
    families = {unit: _family(unit, others) for unit, others in document["units"].items()}
    entries: dict[str, Quantity] = {}
    for system in SYSTEMS:
        for id_, fields in document[system].items():
            if id_ in entries:
                raise WireError(f"quantities.toml: {id_} stands in {entries[id_].system} and in {system}")
            entries[id_] = _read(id_, system, fields, families[fields["unit"]])
    return MappingProxyType(entries)


def _family(canonical: str, others: dict[str, float | list[float]]) -> dict[str, Unit]:
    units = {canonical: Unit(1.0)}
    for name, rule in others.items():
        units[name] = Unit(*map(float, rule)) if isinstance(rule, list) else Unit(float(rule))
    return units


def _read(id_: str, system: str, fields: dict[str, Any], family: dict[str, Unit]) -> Quantity:
    also: dict[str, float] = fields.get("also", {})
    units = family | {name: Unit(factor) for name, factor in also.items()}
    states = {int(value): Text(zh, en) for value, (zh, en) in fields.get("states", {}).items()}
    return Quantity(
        id=id_,
        system=system,
        zh=fields["zh"],
        en=fields["en"],
        unit=fields["unit"],
        units=MappingProxyType(units),
        kind=Kind(fields["kind"]),
        low=float(min(states) if states else fields["low"]),
        high=float(max(states) if states else fields["high"]),
        hj212=fields.get("hj212"),
        hj212_st=fields.get("hj212_st"),
        states=MappingProxyType(states),
    )
