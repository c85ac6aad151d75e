"""Cooling: how far vessels are from the temperature that they are designed for, and when their coolers are cleaned."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from park_sdk.alarm_rule import AlarmRule, Selector, Strict
from park_sdk.days import Day, day_begins, day_ends, due_by
from park_sdk.derivation import Columns, Input, Params, State, StreamDerivation, Window
from park_sdk.page import Alarms, Gauges, Page, Points, RegisterTable, ReportForm, Trend
from park_sdk.register import Label, Register, Row
from park_sdk.report import Column, Data, Document, Fact, Need, RegisterNeed, ReportDef, Table
from park_sdk.rules import Priority
from park_sdk.system import System
from park_wire.quantities import Text

VESSELS = ("reactor", "boiler-drum")


class Settings(Strict):
    """What a park may set under [system.cooling]: how small a margin is too small (K)."""

    least_margin: Annotated[float, Field(gt=0)] = 20.0


def compute_margin(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """Design temperature less temperature, K. A bad reading is NaN, and so is its margin."""
    design = params.design("temperature")[window.asset]
    return {"temperature-margin": design - window.values["temperature"]}, state


MARGIN = StreamDerivation(
    id="margin",
    kinds=VESSELS,
    inputs=(Input("temperature", "temperature"),),
    outputs=("temperature-margin",),
    compute=compute_margin,
    design=("temperature",),
)


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """One rule: the margin is too small, for ten seconds."""
    return [
        AlarmRule(
            id="margin-small",
            name=Text("温度裕度不足", "Margin to the design temperature small"),
            kind="L",
            on=Selector(quantity="temperature-margin"),
            limit=settings.least_margin,
            deadband=2.0,
            on_delay_s=10.0,
            priority=Priority.MEDIUM,
            cause=Text("冷却器结垢或冷却水不足", "A fouled cooler, or too little cooling water"),
            consequence=Text("温度继续上升将触发联锁停车", "If it goes on, the interlock shuts the vessel down"),
            action=Text("检查冷却水流量，降低负荷", "Check the flow of cooling water, reduce the load"),
            respond_s=600,
            source="the park's own setting",
        )
    ]


class Cooler(Strict):
    """A cooler, and when it was last cleaned."""

    name: Annotated[str, Field(min_length=1, max_length=64), Label("冷却器", "Cooler")]
    asset: Annotated[str, Field(max_length=32), Label("所属设备", "Vessel")]
    cleaned: Annotated[Day, Label("上次清洗日期", "Last cleaned")]
    every: Annotated[int, Field(ge=1, le=3650), Label("清洗周期", "To be cleaned every", unit="d")] = 180


def cleaning_day(cooler: Cooler) -> date:
    """The day by which it is to be cleaned again."""
    return cooler.cleaned + timedelta(days=cooler.every)


def cleaning_due(row: Row, settings: Settings, zone: ZoneInfo) -> datetime:
    """The end of that day, by the park's clock."""
    return due_by(cleaning_day(row.record), zone)


COOLERS = Register(
    id="coolers",
    name=Text("冷却器台账", "Coolers"),
    model=Cooler,
    key=("name",),
    assets=("asset",),
    due=cleaning_due,
)


class CleaningParams(Strict):
    """The report's one question."""

    day: Annotated[Day, Label("日期", "Day")]


def cleaning_needs(params: CleaningParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The register as it stood when the day began."""
    return {"coolers": RegisterNeed("cooling.coolers", as_of=day_begins(params.day, zone))}


def build_cleaning(params: CleaningParams, data: Data) -> Document:
    """Every cooler with the days until it is to be cleaned; negative when that day has passed."""
    coolers: list[Cooler] = [row.record for row in data.registers["coolers"]]
    left = [(cleaning_day(cooler) - params.day).days for cooler in coolers]
    rows = [(cooler.name, cooler.asset, days) for cooler, days in zip(coolers, left, strict=True)]
    columns = (
        Column("name", Text("冷却器", "Cooler")),
        Column("asset", Text("所属设备", "Vessel")),
        Column("left", Text("剩余天数", "Days left"), unit="d"),
    )
    return Document(
        title=CLEANING.name,
        start=day_begins(params.day, data.time_zone),
        end=day_ends(params.day, data.time_zone),
        facts=(Fact("overdue", Text("超期未清洗", "Overdue"), sum(days < 0 for days in left), source=COOLERS.name),),
        tables=(Table("coolers", CLEANING.name, columns, rows),),
    )


CLEANING = ReportDef(
    id="cleaning",
    name=Text("冷却器清洗", "Cleaning of coolers"),
    params=CleaningParams,
    needs=cleaning_needs,
    build=build_cleaning,
    registers=("cooling.coolers",),
)

MARGINS = Points(quantities=("temperature-margin",), kinds=VESSELS)
PAGE = Page(
    id="cooling",
    name=Text("冷却监测", "Cooling"),
    widgets=(
        Gauges(Text("距设计温度", "Margin to the design temperature"), MARGINS, low=0, high=200),
        Trend(Text("裕度趋势", "Margins"), MARGINS, hours=8),
        Alarms(Text("当前报警", "Open alarms")),
        RegisterTable(Text("冷却器台账", "Coolers"), register="coolers"),
        ReportForm(Text("清洗报表", "Cleaning"), report="cleaning"),
    ),
)

SYSTEM = System(
    id="cooling",
    contract=1,
    name=Text("冷却监测", "Cooling"),
    settings=Settings,
    rules=rules,
    derivations=(MARGIN,),
    registers=(COOLERS,),
    reports=(CLEANING,),
    pages=(PAGE,),
)
