"""Reports: what a system asks for, and the document that it builds from it. One definition, every format.

A report names its needs first; the platform fetches them within what the reader may see, and `build` is pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from park_sdk.derivation import AssetView
from park_sdk.frame import Floats, Int64s, Rows
from park_sdk.register import EVERYBODY, Role, Row
from park_wire.quantities import Text

NEWEST: Final = 4_102_444_800_000_000
"""As of when to ask for a register whose rows say themselves on which days they hold: as people have left it (2100)."""


@dataclass(frozen=True, slots=True)
class TotalsNeed:
    """Sums over [start, end) (µs UTC) of counters of these quantities, point by point, in steps.

    step_us: width of a step; 0: the whole stretch as one. enterprise: only its points. kinds: only of these assets.
    """

    quantities: tuple[str, ...]
    start: int
    end: int
    enterprise: str | None = None
    kinds: tuple[str, ...] = ()
    step_us: int = 0


@dataclass(frozen=True, slots=True)
class RegisterNeed:
    """The rows of any system's register that are in force at `as_of` (µs UTC). Absent and optional: no rows.

    A row that is entered later counts from then on, unless its author says otherwise: see NEWEST. enterprise: only its
    rows.
    """

    register: str
    as_of: int
    optional: bool = False
    enterprise: str | None = None


@dataclass(frozen=True, slots=True)
class AlarmsNeed:
    """Alarms raised in [start, end) (µs UTC)."""

    start: int
    end: int
    enterprise: str | None = None


@dataclass(frozen=True, slots=True)
class CountsNeed:
    """How many readings there should be and are, of counters of these quantities, between each two `edges`.

    edges: µs UTC, whole minutes that ascend, two at least; days of the park are not all of 24 hours. enterprise, kinds:
    as in TotalsNeed.
    """

    quantities: tuple[str, ...]
    edges: tuple[int, ...]
    enterprise: str | None = None
    kinds: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """The first edge."""
        return self.edges[0]

    @property
    def end(self) -> int:
        """The last edge."""
        return self.edges[-1]


Need: TypeAlias = TotalsNeed | RegisterNeed | AlarmsNeed | CountsNeed


@dataclass(frozen=True, slots=True)
class PointView:
    """A point as a report names it. `key`: gateway/device/name."""

    id: int
    key: str
    quantity: str
    unit: str
    asset: AssetView
    asset_name: Text


@dataclass(frozen=True, slots=True)
class Totals:
    """p points in s steps.

    start: i64[s], µs. value: f64[p, s], in the point's unit. covered: f64[p, s], 0 to 1: the share of the step that
    readings of good quality cover. estimated: f64[p, s], the share of the value that no reading but an assumption
    stands for (a reset, an exchange of the meter).
    """

    points: tuple[PointView, ...]
    start: Rows
    value: Floats
    covered: Floats
    estimated: Floats


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings of p points in s stretches, f64[p, s]: that should be, that came, and that were good.

    edges: i64[s + 1], µs. first, last: i64[p, s], µs, the first and the last reading of a stretch that is not bad;
    NEVER where none is. Stretches that are not over count as far as they are over.
    """

    points: tuple[PointView, ...]
    edges: Int64s
    expected: Floats
    received: Floats
    good: Floats
    first: Int64s
    last: Int64s


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm as a report counts it. Times in µs UTC."""

    rule: str
    priority: str
    asset: str | None
    raised_at: int
    acked_at: int | None
    closed_at: int | None


@dataclass(frozen=True, slots=True)
class Data:
    """What was fetched, by the name of the need; and the park it is about, with the assets that the reader may see."""

    totals: Mapping[str, Totals]
    registers: Mapping[str, Sequence[Row]]
    alarms: Mapping[str, Sequence[AlarmView]]
    enterprises: Mapping[str, Text]
    park: Text
    time_zone: ZoneInfo
    settings: BaseModel
    now: int
    assets: tuple[AssetView, ...] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict[str, Counts])


# the document ---------------------------------------------------------------------------------------------------------

Cell: TypeAlias = str | float | int | Text | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `unit` of its numbers, `digits` after the point that people want to see."""

    id: str
    name: Text
    unit: str = ""
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns. A cell that is None is not known, which is not zero."""

    id: str
    name: Text
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure with what it rests on: standard and edition, meters, or the register's row.

    source: a sentence in both languages; a bare str is a name that both share, such as the key of a point.
    """

    id: str
    name: Text
    value: Cell
    unit: str = ""
    source: Text | str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A report as it will be shown. start, end: µs UTC of what it is about."""

    title: Text
    start: int
    end: int
    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportDef:
    """A report: its parameters (a pydantic model, fields with a Label), its needs, and how it is built."""

    id: str
    name: Text
    params: type[BaseModel]
    needs: Callable[[Any, ZoneInfo], Mapping[str, Need]]
    build: Callable[[Any, Data], Document]
    readers: frozenset[Role] = EVERYBODY
    registers: tuple[str, ...] = ()
