"""Pages: what a system shows, as data. The console knows how to draw each widget; a system brings no JavaScript."""

from dataclasses import dataclass
from typing import TypeAlias

from park_sdk.register import EVERYBODY, Role
from park_wire.quantities import Text


@dataclass(frozen=True, slots=True)
class Points:
    """Points that match every given field, and that the reader may see. `keys`: gateway/device/name."""

    quantities: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Values:
    """Live values: a row an asset, a column a quantity, each with its unit, quality and age."""

    title: Text
    points: Points


@dataclass(frozen=True, slots=True)
class Trend:
    """Lines over the last hours."""

    title: Text
    points: Points
    hours: float = 1.0


@dataclass(frozen=True, slots=True)
class Bars:
    """What was counted in each of the last hours or days, stacked by asset."""

    title: Text
    points: Points
    step: str = "hour"
    steps: int = 24


@dataclass(frozen=True, slots=True)
class Gauges:
    """Values as bars between the limits of their rules: how far is it to the alarm."""

    title: Text
    points: Points
    low: float
    high: float
    warn: float | None = None
    alarm: float | None = None


@dataclass(frozen=True, slots=True)
class Map:
    """The park's plan with what moves on it: points of longitude and latitude by asset."""

    title: Text
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alarms:
    """Open alarms on points of these quantities (empty: of the whole system)."""

    title: Text
    quantities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Events:
    """The last events of a kind (`event`), with fields of their bodies as columns."""

    title: Text
    event: str
    columns: tuple[tuple[str, Text], ...]


@dataclass(frozen=True, slots=True)
class RegisterTable:
    """A register of this system, with its form."""

    title: Text
    register: str


@dataclass(frozen=True, slots=True)
class ReportForm:
    """A report of this system: its parameters, the document, and downloads."""

    title: Text
    report: str


Widget: TypeAlias = Values | Trend | Bars | Gauges | Map | Alarms | Events | RegisterTable | ReportForm


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a system. `readers`: whose menu has it."""

    id: str
    name: Text
    widgets: tuple[Widget, ...]
    readers: frozenset[Role] = EVERYBODY
