"""A page's widgets as answers: what a system declared (park_sdk/page.py), with the points that its selectors find.

A widget names points that need not exist in this park; then it says so in `missing`, and shows what there is. One whose
declaration is of a wrong shape becomes a `fault` in its place; the others are shown all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationError

from park_platform.api.answers import Answer, AskedText, Both
from park_platform.api.points import PointAnswer, point_answer
from park_platform.storage.connect import Connection
from park_platform.storage.points import PointRow, selected_points
from park_platform.storage.scope import Scope
from park_sdk import page
from park_sdk.page import Points
from park_wire.quantities import QUANTITIES, Text

MOST_POINTS: Final = 1_000
"""How many points a widget shows."""
_PLACE: Final = ("longitude", "latitude")


class SelectorAnswer(Answer):
    """Which points a widget shows: those that match every field that is not empty."""

    quantities: tuple[AskedText, ...]
    kinds: tuple[AskedText, ...]
    keys: tuple[AskedText, ...]
    names: tuple[AskedText, ...]


class _Widget(Answer):
    title: Both


class _Showing(_Widget):
    """`found` are the points that the reader may see; `missing` says what was asked for and is not there."""

    found: list[PointAnswer]
    missing: list[Both]


class _Selecting(_Showing):
    points: SelectorAnswer


class ValuesAnswer(_Selecting):
    """Live values: a row an asset, a column a quantity."""

    kind: Literal["values"]


class TrendAnswer(_Selecting):
    """Lines over the last hours."""

    kind: Literal["trend"]
    hours: float


class BarsAnswer(_Selecting):
    """What was counted in each of the last `steps` hours or days."""

    kind: Literal["bars"]
    step: str = Field(examples=["hour"])
    steps: int


class GaugesAnswer(_Selecting):
    """Values as bars between low and high, with the limits of their rules."""

    kind: Literal["gauges"]
    low: float
    high: float
    warn: float | None
    alarm: float | None


class MapAnswer(_Showing):
    """The park's plan with what moves on it: `found` are longitudes and latitudes of assets of these kinds."""

    kind: Literal["map"]
    kinds: tuple[AskedText, ...]


class AlarmsAnswer(_Widget):
    """Open alarms on points of these quantities; empty: of the whole system."""

    kind: Literal["alarms"]
    quantities: tuple[AskedText, ...]


class EventsAnswer(_Widget):
    """The last events of a kind. `event` is that kind; `columns` are fields of the events' bodies with their names."""

    kind: Literal["events"]
    event: str = Field(examples=["weigh-ticket"])
    columns: tuple[tuple[str, Both], ...]


class RegisterTableAnswer(_Widget):
    """A register of this system, with its form."""

    # "register" is a method of every class.
    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["register"]
    register_id: str = Field(alias="register")


class ReportFormAnswer(_Widget):
    """A report of this system: its parameters, the document, and downloads."""

    kind: Literal["report"]
    report: str


class FaultAnswer(_Widget):
    """A widget that can't be shown because its system declares it wrongly."""

    kind: Literal["fault"]
    fault: Both


WidgetAnswer: TypeAlias = Annotated[
    ValuesAnswer
    | TrendAnswer
    | BarsAnswer
    | GaugesAnswer
    | MapAnswer
    | AlarmsAnswer
    | EventsAnswer
    | RegisterTableAnswer
    | ReportFormAnswer
    | FaultAnswer,
    Field(discriminator="kind"),
]

_KINDS: Final[Mapping[type[Any], tuple[str, type[_Widget]]]] = {
    page.Values: ("values", ValuesAnswer),
    page.Trend: ("trend", TrendAnswer),
    page.Bars: ("bars", BarsAnswer),
    page.Gauges: ("gauges", GaugesAnswer),
    page.Map: ("map", MapAnswer),
    page.Alarms: ("alarms", AlarmsAnswer),
    page.Events: ("events", EventsAnswer),
    page.RegisterTable: ("register", RegisterTableAnswer),
    page.ReportForm: ("report", ReportFormAnswer),
}


class WidgetWrong(ValueError):
    """A widget's declaration has not the shape of any widget; the text says what is wrong."""


def widget_answer(connection: Connection, scope: Scope, widget: object) -> WidgetAnswer:
    """A widget with the points that it shows to this scope. Runs inside `scoped`. Raises WidgetWrong."""
    if type(widget) not in _KINDS or not is_dataclass(widget):
        raise WidgetWrong(f"a {type(widget).__name__} is no widget of park_sdk.page")
    kind, model = _KINDS[type(widget)]
    declared = {field.name: getattr(widget, field.name) for field in fields(widget)}
    declared["kind"] = kind
    shows = issubclass(model, _Showing)
    try:
        # What was declared is looked at first: a selector of a wrong shape must not reach the database.
        model.model_validate({**declared, "found": [], "missing": []} if shows else declared)
        if shows:
            found, missing = _look(connection, scope, widget)
            declared |= {"found": found, "missing": missing}
        return model.model_validate(declared)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise WidgetWrong("; ".join(faults)) from error


def fault_of(widget: object) -> FaultAnswer:
    """What stands where a widget is wrong."""
    title = getattr(widget, "title", None)
    named = Both(zh=title.zh, en=title.en) if isinstance(title, Text) else Both(zh="部件", en="Widget")
    return FaultAnswer(
        kind="fault",
        title=named,
        fault=Both(
            zh="此部件的定义有误，无法显示；原因已记录，其余部件不受影响。",
            en="This widget is declared wrongly and can't be shown; the reason is logged, the others are not affected.",
        ),
    )


def _look(connection: Connection, scope: Scope, widget: object) -> tuple[list[PointAnswer], list[Both]]:
    asked = getattr(widget, "points", None)
    if isinstance(widget, page.Map):
        asked = Points(quantities=_PLACE, kinds=widget.kinds)
    if not isinstance(asked, Points):
        return [], []
    rows = selected_points(connection, scope, asked, MOST_POINTS + 1)
    return [point_answer(row) for row in rows[:MOST_POINTS]], _missing(asked, rows)


def _missing(asked: Points, rows: Sequence[PointRow]) -> list[Both]:
    """What a selector asked for and did not find, as sentences."""
    if len(rows) > MOST_POINTS:
        zh, en = f"测点过多，只显示前 {MOST_POINTS} 个。", f"Too many points: the first {MOST_POINTS} are shown."
        return [Both(zh=zh, en=en)]
    there = {row.key for row in rows}
    lost = [
        Both(zh=f"没有测点 {key}，或您无权查看。", en=f"There is no point {key}, or you may not see it.")
        for key in asked.keys
        if key not in there
    ]
    if rows or lost:
        return lost
    return [
        Both(
            zh=f"没有符合条件的测点（{_conditions(asked, 'zh')}），或您无权查看。",
            en=f"No point matches ({_conditions(asked, 'en')}), or you may not see it.",
        )
    ]


def _conditions(asked: Points, language: Literal["zh", "en"]) -> str:
    quantities = [getattr(QUANTITIES.get(name), language, name) for name in asked.quantities]
    is_zh = language == "zh"
    parts = [
        ("物理量" if is_zh else "quantity", quantities),
        ("资产类型" if is_zh else "kind of asset", asked.kinds),
        ("测点名" if is_zh else "name", asked.names),
    ]
    comma, colon, semicolon = ("、", "：", "；") if is_zh else (", ", ": ", "; ")
    said = [f"{name}{colon}{comma.join(values)}" for name, values in parts if values]
    return semicolon.join(said) or ("任意" if is_zh else "any")
