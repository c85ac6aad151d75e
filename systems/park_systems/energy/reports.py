"""The energy of a month: totals, meters, days, the factors that were used, and what is missing."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Final, cast
from zoneinfo import ZoneInfo

from pydantic import Field

from park_sdk.alarm_rule import Id, Strict
from park_sdk.days import MONTH_PATTERN
from park_sdk.frame import Bools
from park_sdk.register import Label
from park_sdk.report import NEWEST, Data, Document, Fact, Need, RegisterNeed, ReportDef, TotalsNeed
from park_systems.energy.account import Converted, Meters, convert, read_meters
from park_systems.energy.cells import least, most, percent
from park_systems.energy.factors import REGISTER
from park_systems.energy.notes import Account, notes_on
from park_systems.energy.registers import FactorRow
from park_systems.energy.settings import Settings
from park_systems.energy.tables import QUANTITIES_SHOWN, day_table, factor_table, meter_table
from park_systems.energy.words import month_name
from park_wire.quantities import QUANTITIES, Text

_NAME: Final = Text("能耗月报", "Energy of a month")
_COVERAGE: Final = Text(
    "已过去的时间中有质量良好的读数覆盖的比例", "share of the time that is over which readings of good quality cover"
)
_ASSUMED: Final = Text(
    "用量中按假定计入的比例（清零、换表）",
    "share of what was counted that rests on an assumption: a reset, an exchange of the meter",
)
_DAY_US: Final = 86_400_000_000
METERS: Final = ("electricity-meter", "gas-meter", "steam-meter", "water-meter", "reclaimed-water-meter")


class MonthParams(Strict):
    """Which month, and of whom: without an enterprise the park as its own meters see it.

    Whoever sees one enterprise's meters and none of the park's gets that enterprise.
    """

    month: Annotated[str, Field(pattern=MONTH_PATTERN), Label("月份（YYYY-MM）", "Month (YYYY-MM)")]
    enterprise: Annotated[
        Id | None, Label("企业（空为园区；企业用户空为本企业）", "Enterprise (empty: the park, or your own)")
    ] = None


def month_bounds(params: MonthParams, zone: ZoneInfo) -> tuple[int, int]:
    """The month's begin and end in µs UTC."""
    year, month = (int(part) for part in params.month.split("-"))
    first = [date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)]
    begin, end = (round(datetime(day.year, day.month, 1, tzinfo=zone).timestamp()) * 1_000_000 for day in first)
    return begin, end


def needs(params: MonthParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The counters by day, and the factors as the register has them now.

    Each row says itself on which days it holds: one that was entered or confirmed after the month counts for it, too.

    Days are stretches of 24 h from the month's first midnight: local days wherever the clock is not changed within the
    month, as in all of China since 1992. Elsewhere they shift by an hour; the month's own sums stay right.
    """
    start, end = month_bounds(params, zone)
    return {
        "totals": TotalsNeed(QUANTITIES_SHOWN, start, end, params.enterprise, METERS, _DAY_US),
        "factors": RegisterNeed(REGISTER, NEWEST),
    }


def build(params: MonthParams, data: Data) -> Document:
    """The account of the month, of days that have begun."""
    settings = cast("Settings", data.settings)  # the system's own model, by contract
    start, end = month_bounds(params, data.time_zone)
    enterprise = _whose(params, data)
    meters = read_meters(data.totals["totals"], data.assets, enterprise, min(data.now, end), _DAY_US)
    rows: list[FactorRow] = [row.record for row in data.registers["factors"]]
    coal, co2 = (
        convert(meters, figure, rows, data.time_zone, use_unconfirmed=settings.use_unconfirmed)
        for figure in ("coal-equivalent", "co2")
    )
    whose = whose_name(enterprise, data)
    return Document(
        title=Text(f"{whose.zh} {params.month} 能耗月报", f"{whose.en}: energy of {params.month}"),
        start=start,
        end=end,
        facts=_facts(meters, coal, co2),
        tables=(meter_table(meters), day_table(meters, coal, co2, data.time_zone), factor_table((coal, co2))),
        notes=notes_on(Account(meters, coal, co2, over=data.now >= end, of_park=enterprise is None)),
    )


def whose_name(enterprise: str | None, data: Data) -> Text:
    """The enterprise that a report is about, or the park."""
    return data.park if enterprise is None else data.enterprises.get(enterprise, Text(enterprise, enterprise))


def _whose(params: MonthParams, data: Data) -> str | None:
    owners = {point.asset.enterprise for point in data.totals["totals"].points}
    return next(iter(owners)) if params.enterprise is None and len(owners) == 1 else params.enterprise


def _facts(meters: Meters, coal: Converted, co2: Converted) -> tuple[Fact, ...]:
    amounts = [
        Fact(
            quantity,
            month_name(quantity),
            meters.month(quantity),
            QUANTITIES[quantity].unit,
            _named(meters, meters.of(quantity)),
        )
        for quantity in QUANTITIES_SHOWN
    ]
    return (
        *amounts,
        Fact(
            "coal-equivalent",
            Text("综合能耗（折标准煤）", "Coal equivalent"),
            coal.month,
            "kgce",
            _rests_on(coal),
        ),
        Fact("co2", Text("二氧化碳排放量", "CO2 emission"), co2.month, "kgCO2", _rests_on(co2)),
        Fact(
            "coverage",
            Text("数据覆盖率（各总表中最低）", "Coverage (the lowest of the top meters)"),
            percent(least(meters.coverage()[meters.top])),
            "%",
            _COVERAGE,
        ),
        Fact(
            "estimated",
            Text("估算占比（各总表中最高）", "Estimated share (the highest of the top meters)"),
            percent(most(meters.assumed()[meters.top])),
            "%",
            _ASSUMED,
        ),
    )


def _named(meters: Meters, chosen: Bools) -> str:
    return ", ".join(point.key for point, one in zip(meters.points, chosen.tolist(), strict=True) if one)


def _rests_on(converted: Converted) -> Text:
    rows = [(row.source, row.edition) for row in converted.used]
    return Text(
        "；".join(dict.fromkeys(f"{source}（版本 {edition}）" for source, edition in rows)),
        "; ".join(dict.fromkeys(f"{source} (edition {edition})" for source, edition in rows)),
    )


MONTHLY: Final = ReportDef(
    id="monthly", name=_NAME, params=MonthParams, needs=needs, build=build, registers=(REGISTER,)
)
