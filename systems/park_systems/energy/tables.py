"""The tables of the monthly report."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from park_sdk.report import Cell, Column, Table
from park_systems.energy.account import CARRIERS, Converted, Meters
from park_systems.energy.cells import cell, least, percent, rounded
from park_systems.energy.words import figure_name, quantity_name
from park_wire.quantities import QUANTITIES, Text

QUANTITIES_SHOWN: Final = (*CARRIERS, "steam-mass", "water-volume", "reclaimed-water-volume")
_YES: Final = Text("是", "yes")
_NO: Final = Text("否", "no")


def meter_table(meters: Meters) -> Table:
    """Every counter, the top ones first; sub-meters are marked and not added."""
    columns = (
        Column("asset", Text("表计", "Meter")),
        Column("name", Text("名称", "Name")),
        Column("fed-from", Text("上级表", "Fed from")),
        Column("counted", Text("计入合计", "In the sums")),
        Column("quantity", Text("计量项目", "What it counts")),
        Column("amount", Text("用量", "Amount"), digits=2),
        Column("unit", Text("单位", "Unit")),
        Column("coverage", Text("数据覆盖率", "Coverage"), unit="%", digits=1),
        Column("estimated", Text("估算占比", "Estimated share"), unit="%", digits=1),
        Column("point", Text("测点", "Point")),
    )
    amount, coverage, assumed = meters.amount.sum(axis=1), meters.coverage(), meters.assumed()
    blank, top = meters.blank().tolist(), meters.top.tolist()
    order = sorted(
        range(len(meters.points)),
        key=lambda place: (
            QUANTITIES_SHOWN.index(meters.points[place].quantity),
            not top[place],
            meters.points[place].asset.key,
        ),
    )
    rows: list[tuple[Cell, ...]] = []
    for place in order:
        point = meters.points[place]
        rows.append(
            (
                point.asset.key,
                point.asset_name,
                point.asset.fed_from,
                _counted(point.asset.fed_from, top=top[place]),
                quantity_name(point.quantity),
                None if blank[place] else rounded(float(amount[place])),
                QUANTITIES[point.quantity].unit,
                percent(cell(coverage[place])),
                percent(cell(assumed[place])),
                point.key,
            )
        )
    return Table("meters", Text("表计", "Meters"), columns, rows)


def _counted(fed_from: str | None, *, top: bool) -> Text:
    if top:
        return _YES
    return _NO if fed_from is None else Text("否，分表", "no, sub-meter")


def day_table(meters: Meters, coal: Converted, co2: Converted, zone: ZoneInfo) -> Table:
    """What the top meters counted on each day that has begun, and what that is worth."""
    amounts = [meters.by_day(quantity) for quantity in QUANTITIES_SHOWN]
    covered = [least(each) for each in (meters.covered[meters.top] / np.where(meters.elapsed > 0, meters.elapsed, 1)).T]
    columns = (
        Column("day", Text("日期", "Day")),
        *(
            Column(quantity, quantity_name(quantity), unit=QUANTITIES[quantity].unit, digits=2)
            for quantity in QUANTITIES_SHOWN
        ),
        Column("coal-equivalent", Text("折标准煤", "Coal equivalent"), unit="kgce", digits=2),
        Column("co2", Text("二氧化碳排放", "CO2 emission"), unit="kgCO2", digits=2),
        Column("coverage", Text("最低数据覆盖率", "Lowest coverage"), unit="%", digits=1),
    )
    rows: list[tuple[Cell, ...]] = []
    for day, begin in enumerate(meters.start.tolist()):
        share = covered[day]
        rows.append(
            (
                datetime.fromtimestamp(begin / 1e6, zone).date().isoformat(),
                *(cell(float(each[day])) for each in amounts),
                cell(float(coal.by_day[day])),
                cell(float(co2.by_day[day])),
                percent(None if share is None else min(share, 1.0)),
            )
        )
    return Table("days", Text("按日", "By day"), columns, rows)


def factor_table(converted: Sequence[Converted]) -> Table:
    """The factors that were applied, with what each rests on."""
    columns = (
        Column("carrier", Text("能源品种", "Carrier")),
        Column("figure", Text("用途", "Figure")),
        Column("factor", Text("系数", "Factor"), digits=4),
        Column("unit", Text("单位", "Unit")),
        Column("valid-from", Text("生效日期", "Valid from")),
        Column("valid-to", Text("失效日期", "Valid to")),
        Column("source", Text("依据", "Source")),
        Column("edition", Text("版本或数据年份", "Edition or year of data")),
        Column("confirmed", Text("已确认", "Confirmed")),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            figure_name("carrier", row.carrier),
            figure_name("figure", row.figure),
            row.factor,
            row.unit,
            row.valid_from.isoformat(),
            None if row.valid_to is None else row.valid_to.isoformat(),
            row.source,
            row.edition,
            _YES if row.confirmed else _NO,
        )
        for each in converted
        for row in each.used
    ]
    return Table("factors", Text("采用的系数", "Factors used"), columns, rows)
