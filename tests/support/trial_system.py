"""A small system for tests of pages and reports: sound parts, and parts that are wrong in every way that one can be.

`happened` lists the alarms that the reader may see, so that it shows whose they are; `month` sums meters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, model_validator

from park_sdk.page import Alarms, Bars, Events, Gauges, Map, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_sdk.register import EVERYBODY, Label, Register, Role
from park_sdk.report import (
    AlarmsNeed,
    Column,
    Data,
    Document,
    Fact,
    Need,
    RegisterNeed,
    ReportDef,
    Table,
    TotalsNeed,
)
from park_sdk.system import CONTRACT, System
from park_wire.quantities import Text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_2100_US = 4_102_444_800_000_000
PARK: frozenset[Role] = frozenset({"administrator", "operator", "safety", "auditor"})
MISSING_KEY = "gw-9/no-device/pressure"
FORMULA = "=HYPERLINK(1)"


class TrialSettings(BaseModel):
    """`unit_price` stands in the month's report."""

    unit_price: float = 0.5


class Factor(BaseModel):
    """What a unit of energy weighs."""

    medium: Annotated[str, Label("介质", "Medium")]
    value: Annotated[float, Field(gt=0), Label("系数", "Factor", unit="kg/kWh")]


class Month(BaseModel):
    """A month of an enterprise (none: of everything that the reader may see), local time."""

    year: Annotated[int, Field(ge=2000, le=2100), Label("年", "Year")]
    month: Annotated[int, Field(ge=1, le=12), Label("月", "Month")]
    enterprise: Annotated[str | None, Label("企业", "Enterprise")] = None
    kinds: Annotated[tuple[str, ...], Label("资产类型", "Kinds of asset")] = ()
    by: Annotated[Literal["day", "month"], Label("步长", "Step")] = "month"

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if self.kinds and self.by == "day" and self.enterprise is None:
            raise ValueError(Text("按日且限定资产类型时须给出企业", "by day and by kind it is of one enterprise"))
        return self


class Nothing(BaseModel):
    """No parameters."""


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def month_bounds(params: Month, zone: ZoneInfo) -> tuple[int, int]:
    """Begin and end of the month in the zone, µs."""
    start = datetime(params.year, params.month, 1, tzinfo=zone)
    end = datetime(params.year + params.month // 12, params.month % 12 + 1, 1, tzinfo=zone)
    return _us(start), _us(end)


def _month_needs(params: Month, zone: ZoneInfo) -> Mapping[str, Need]:
    start, end = month_bounds(params, zone)
    step = 86_400_000_000 if params.by == "day" else 0
    return {
        "energy": TotalsNeed(("active-energy",), start, end, params.enterprise, params.kinds, step),
        "factors": RegisterNeed("trial.factors", end),
        "absent": RegisterNeed("absent.register", end, optional=True),
    }


def _month(params: Month, data: Data) -> Document:
    start, end = month_bounds(params, data.time_zone)
    totals, settings = data.totals["energy"], data.settings
    assert isinstance(settings, TrialSettings)
    rows = [
        (
            point.asset_name,
            point.key,
            point.asset.enterprise,
            totals.value[number].sum(),
            float(totals.covered[number].mean()),
            totals.value.shape[1],
        )
        for number, point in enumerate(totals.points)
    ]
    columns = (
        Column("meter", Text("电表", "Meter")),
        Column("key", Text("测点", "Point")),
        Column("enterprise", Text("企业", "Enterprise")),
        Column("energy", Text("电量", "Energy"), "kWh", 1),
        Column("covered", Text("覆盖率", "Coverage"), "%", 1),
        Column("steps", Text("步数", "Steps")),
    )
    factors = [row.record for row in data.registers["factors"]]
    facts = [
        Fact("total", Text("总电量", "Total energy"), totals.value.sum(), "kWh", FORMULA),
        Fact("unknown", Text("未知", "Not known"), float("nan")),
        Fact("price", Text("单价", "Price"), settings.unit_price, "CNY/kWh"),
        *(Fact(each.medium, Text(each.medium, each.medium), each.value, "kg/kWh", "trial.factors") for each in factors),
    ]
    assert data.registers["absent"] == ()
    title = Text(f"{data.park.zh}月报", f"Month of {', '.join(data.enterprises)}")
    return Document(title, start, end, tuple(facts), (Table("meters", Text("电表", "Meters"), columns, rows),))


def _happened(params: Nothing, data: Data) -> Document:
    del params
    columns = (Column("asset", Text("资产", "Asset")), Column("rule", Text("规则", "Rule")))
    rows = [(alarm.asset, alarm.rule) for alarm in data.alarms["all"]]
    note = Text("全部报警。", "All alarms.")
    return Document(
        Text("报警", "Alarms"), 0, _2100_US, (), (Table("alarms", Text("报警", "Alarms"), columns, rows),), (note,)
    )


def _raise(*_: Any) -> Any:
    raise ZeroDivisionError("a secret of this report")


def _endless(*_: Any) -> Any:
    while True:
        pass


def _document(rows: Any) -> Document:
    columns = (Column("a", Text("甲", "A")), Column("b", Text("乙", "B")))
    return Document(Text("题", "Title"), 0, 1, (), (Table("t", Text("表", "Table"), columns, rows),))


def _now(given: Any, default: Any) -> Any:
    if given is None:
        return default
    return given() if callable(given) else given


def _report(id_: str, *, needs: Any = None, document: Any = None, readers: frozenset[Role] = EVERYBODY) -> ReportDef:
    """A report without parameters that always asks for these needs and gives this document; what can be called is."""

    def ask(params: Nothing, zone: ZoneInfo) -> Mapping[str, Need]:
        del params, zone
        return _now(needs, {})

    def build(params: Nothing, data: Data) -> Document:
        del params, data
        return _now(document, _document([(1, 2)]))

    return ReportDef(id_, Text(f"报表{id_}", f"Report {id_}"), Nothing, ask, build, readers)


WRONG_REPORTS = (
    _report("raises", document=_raise),
    _report("needs-raise", needs=_raise),
    _report("needs-list", needs=[]),
    _report("needs-odd", needs={"x": 5}),
    _report("gauge", needs={"x": TotalsNeed(("pressure",), 0, 60_000_000)}),
    _report("half-minute", needs={"x": TotalsNeed(("active-energy",), 0, 90_000_000)}),
    _report("backwards", needs={"x": TotalsNeed(("active-energy",), 60_000_000, 0)}),
    _report("no-time", needs={"x": AlarmsNeed(0, "today")}),  # pyright: ignore[reportArgumentType]
    _report("no-register", needs={"x": RegisterNeed("absent.register", 0)}),
    _report("no-document", document={"title": "x"}),
    _report("short-row", document=_document([(1, 2), (1,)])),
    _report("odd-cell", document=_document([(1, [2])])),
    _report("surrogate", document=_document([(1, "\ud800")])),
    _report("rows-missing", document=_document(5)),
)
"""Each must end as "report-failed"."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No widget of the contract."""

    title: Text


_TITLE = Text("标题", "Title")
PRESSURES = Points(quantities=("pressure",))
PAGES = (
    Page(
        "overview",
        Text("总览", "Overview"),
        (
            Values(_TITLE, PRESSURES),
            Trend(_TITLE, Points(keys=("alpha/plc-canary-alpha/pressure", MISSING_KEY)), hours=2.0),
            Bars(_TITLE, Points(quantities=("active-energy",), kinds=("steam-meter",), names=("total",)), "day", 7),
            Gauges(_TITLE, Points(kinds=("pressure-vessel",), names=("pressure",)), 0.0, 4.0, alarm=1.6),
            Map(_TITLE, ("truck",)),
            Alarms(_TITLE, ("pressure",)),
            Events(_TITLE, "notice", (("text", Text("内容", "Text")),)),
            RegisterTable(_TITLE, "factors"),
            ReportForm(_TITLE, "month"),
        ),
    ),
    Page("inner", Text("内部", "Inner"), (Values(_TITLE, PRESSURES),), PARK),
    Page(
        "crooked",
        Text("歪斜", "Crooked"),
        (
            Trend(_TITLE, PRESSURES, hours="long"),  # pyright: ignore[reportArgumentType]
            Values(_TITLE, None),  # pyright: ignore[reportArgumentType]
            Values(_TITLE, Points(names=("pressure", 5))),  # pyright: ignore[reportArgumentType]
            Unknown(_TITLE),  # pyright: ignore[reportArgumentType]
            Values(_TITLE, PRESSURES),
        ),
    ),
)

TRIAL = System(
    id="trial",
    contract=CONTRACT,
    name=Text("试用系统", "Trial system"),
    settings=TrialSettings,
    rules=lambda settings: (),
    registers=(
        Register(
            "factors",
            Text("系数", "Factors"),
            Factor,
            ("medium",),
            first=(Factor(medium="electricity", value=0.1229),),
        ),
    ),
    reports=(
        ReportDef("month", Text("月报", "Month"), Month, _month_needs, _month, registers=("trial.factors",)),
        ReportDef(
            "happened",
            Text("报警清单", "Alarms"),
            Nothing,
            lambda params, zone: {"all": AlarmsNeed(0, _2100_US)},
            _happened,
        ),
        _report("inner", readers=PARK),
        _report("endless", document=_endless),
        _report("endless-needs", needs=_endless),
        *(
            _report(f"rows-of-{whose}", needs={"x": RegisterNeed("trial.factors", 0, enterprise=whose)})
            for whose in ("alpha", "beta", "nobody")
        ),
        *WRONG_REPORTS,
    ),
    pages=PAGES,
)
