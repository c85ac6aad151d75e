"""亩均效益: output and tax of the enterprises over their land, from accepted filings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, model_validator

from park_sdk.alarm_rule import Id, Strict
from park_sdk.metering import one_each, tops
from park_sdk.register import Label
from park_sdk.report import NEWEST, Cell, Column, Data, Document, Fact, Need, RegisterNeed, ReportDef, Table, TotalsNeed
from park_systems.economy.filings import YEAR, annualised, book_of, land_of
from park_systems.economy.months import month_begins, to_us
from park_systems.economy.registers import READERS, REGISTER, Filing
from park_wire.quantities import Text

_NAME: Final = Text("亩均效益", "Output and tax per mu")
_LEAST_COVERED: Final = 0.95
_WAN: Final = 10_000.0
_SOURCE: Final = Text("企业月报台账中已受理的记录", "register of filings, accepted rows")
_LAND_SOURCE: Final = Text(
    "已受理月报中最近填报的面积，未填报的取园区文件中厂区的面积",
    "the last accepted filing that names it, else the works in the park's file",
)
_ENTERPRISES_SOURCE: Final = Text("园区文件中您有权查看的企业", "enterprises of the park's file that you may see")
_ONE_ONLY: Final = Text("季度和月份只能填写一个", "give a quarter or a month, not both")
_NOTES: Final = (
    Text(
        "亩均产值、亩均税收按年折算：所取月份合计乘以 12 再除以月数，除以用地面积；月份不全的不参加排名。",
        "Per mu is by the year: the sum of the months that count times 12 over their number, over the land. Who lacks "
        "months has no rank.",
    ),
    Text(
        "用地面积取企业月报中最近一次填报并受理的面积；未填报的取厂区的登记面积，两者都没有的不计算亩均指标。",
        "The land is that of the last accepted filing that names it, else of the works in the park's file; without "
        "either there is no figure per mu.",
    ),
    Text(
        "同比增速为本期各月与上年同月产值之比，按当年价格计算，未扣除价格因素；缺任何一个月则不计算。",
        "Growth is against the same months a year before, at current prices; none if any of these months is missing.",
    ),
    Text(
        "单位增加值用电量只在全部电表覆盖率不低于 95% 且各月均已受理时计算。",
        "Electricity per value added is shown where all meters are covered to 95 % and every month is accepted.",
    ),
)


class PerMuParams(Strict):
    """Which year, or which quarter or month of it, and whose."""

    year: Annotated[int, Field(ge=2001, le=2099), Label("年", "Year")]
    quarter: Annotated[int | None, Field(ge=1, le=4), Label("季度", "Quarter")] = None
    month: Annotated[int | None, Field(ge=1, le=12), Label("月份", "Month")] = None
    enterprise: Annotated[Id | None, Label("企业", "Enterprise")] = None

    @model_validator(mode="after")
    def _names_one_stretch(self) -> Self:
        if self.quarter is not None and self.month is not None:
            raise ValueError(_ONE_ONLY)
        return self


def _months(params: PerMuParams) -> range:
    """The numbers of the months that it is about."""
    january = params.year * 12
    if params.month is not None:
        return range(january + params.month - 1, january + params.month)
    if params.quarter is not None:
        return range(january + 3 * (params.quarter - 1), january + 3 * params.quarter)
    return range(january, january + YEAR)


def _bounds(params: PerMuParams, zone: ZoneInfo) -> tuple[int, int]:
    months = _months(params)
    return to_us(month_begins(months[0], zone)), to_us(month_begins(months[-1] + 1, zone))


def needs(params: PerMuParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The filings as they stand now, whenever they were accepted, and what the electricity meters counted."""
    start, end = _bounds(params, zone)
    return {
        "filings": RegisterNeed(REGISTER, NEWEST),
        "electricity": TotalsNeed(
            ("active-energy",), start, end, enterprise=params.enterprise, kinds=("electricity-meter",)
        ),
    }


@dataclass(frozen=True, slots=True)
class _Line:
    """An enterprise's figures; NaN where they are not known. output, tax, value_added: of the months that count."""

    enterprise: str
    months: int
    output: float
    tax: float
    value_added: float
    land: float
    output_per_mu: float
    tax_per_mu: float
    growth: float
    energy_per_value: float


def build(params: PerMuParams, data: Data) -> Document:
    """A row an enterprise; ranks where the reader sees several, so that none learns another's place."""
    start, end = _bounds(params, data.time_zone)
    used = _electricity(data)
    lines = [_line(params, data, enterprise, used.get(enterprise, np.nan)) for enterprise in data.enterprises]
    # Who has filed everything is compared; the rest follow in the order of their names.
    complete = [each for each in lines if each.months == len(_months(params)) and np.isfinite(each.output_per_mu)]
    complete.sort(key=lambda each: (-each.output_per_mu, each.enterprise))
    rest = sorted((each for each in lines if each not in complete), key=lambda each: each.enterprise)
    shown = [each for each in (*complete, *rest) if params.enterprise in (None, each.enterprise)]
    ranks = {each.enterprise: 1 + sum(o.output_per_mu > each.output_per_mu for o in complete) for each in complete}
    return Document(
        title=_NAME,
        start=start,
        end=end,
        facts=_facts(shown, len(_months(params))),
        tables=(_table(shown, ranks if len(lines) > 1 else None, data, len(_months(params))),),
        notes=_NOTES,
    )


def _designed_land(data: Data, enterprise: str) -> float:
    """The land (mu) of the enterprise's sites by their design; NaN where none has any."""
    areas = [
        asset.design["land-area"]
        for asset in data.assets
        if asset.kind == "site" and asset.enterprise == enterprise and "land-area" in asset.design
    ]
    return sum(areas) if areas else np.nan


def _line(params: PerMuParams, data: Data, enterprise: str, used_kwh: float) -> _Line:
    months = _months(params)
    book = book_of(data.registers["filings"], enterprise)
    filings = [book.accepted[month] for month in months if month in book.accepted]
    land = land_of(book, months[-1], _designed_land(data, enterprise))
    value_added = _sum(filings, "value_added")
    whole = len(filings) == len(months)
    return _Line(
        enterprise=enterprise,
        months=len(filings),
        output=_sum(filings, "output_value"),
        tax=_sum(filings, "tax"),
        value_added=value_added,
        land=land,
        output_per_mu=annualised(filings, "output_value") / land,
        tax_per_mu=annualised(filings, "tax") / land,
        growth=_growth(filings, [book.accepted[m - YEAR] for m in months if m - YEAR in book.accepted], len(months)),
        energy_per_value=used_kwh / (value_added / _WAN) if whole and value_added > 0 else np.nan,
    )


def _sum(filings: list[Filing], field: str) -> float:
    return _total(float(getattr(filing, field)) for filing in filings)


def _growth(filings: list[Filing], before: list[Filing], months: int) -> float:
    """% of the sums; NaN when a month of either year is missing."""
    base = _sum(before, "output_value")
    if len(filings) < months or len(before) < months or base == 0:
        return np.nan
    return 100.0 * (_sum(filings, "output_value") / base - 1.0)


def _electricity(data: Data) -> dict[str, float]:
    """The kWh of each enterprise's meters that are fed from none of its own; NaN when one is not known in full."""
    totals = data.totals["electricity"]
    kept, unclear = one_each(totals.points)
    points = [totals.points[place] for place in kept]
    found = {point.asset.enterprise: np.nan for point in unclear if point.asset.enterprise is not None}
    for point, place, is_top in zip(points, kept, tops(points, data.assets), strict=True):
        enterprise, value = point.asset.enterprise, totals.value[place]
        if enterprise is None or not is_top:
            continue
        known = value.size > 0 and bool((totals.covered[place] >= _LEAST_COVERED).all())
        found[enterprise] = found.get(enterprise, 0.0) + (float(value.sum()) if known else np.nan)
    return found


def _facts(lines: list[_Line], months: int) -> tuple[Fact, ...]:
    """Of all that are shown. Per mu counts whoever has land and filings, each by its year."""
    usable = [each for each in lines if np.isfinite(each.output_per_mu)]
    filed = [each for each in lines if each.months]
    land = _total(each.land for each in usable)
    figures = (
        ("output", Text("工业总产值", "Output value"), _total(each.output for each in filed), "yuan"),
        ("tax", Text("实缴税金", "Tax"), _total(each.tax for each in filed), "yuan"),
        ("land", Text("参与计算的用地面积", "Land that counts"), land, "mu"),
        (
            "output-per-mu",
            Text("亩均产值（年）", "Output per mu and year"),
            _total(each.output_per_mu * each.land for each in usable) / land,
            "yuan/mu",
        ),
        (
            "tax-per-mu",
            Text("亩均税收（年）", "Tax per mu and year"),
            _total(each.tax_per_mu * each.land for each in usable) / land,
            "yuan/mu",
        ),
    )
    complete = sum(each.months == months for each in lines)
    return (
        Fact("enterprises", Text("企业", "Enterprises"), len(lines), source=_ENTERPRISES_SOURCE),
        Fact("complete", Text("月报齐全的企业", "With every month accepted"), complete, source=_SOURCE),
        *(
            Fact(id_, name, _cell(value), unit, _LAND_SOURCE if id_ == "land" else _SOURCE)
            for id_, name, value, unit in figures
        ),
    )


def _total(values: Iterable[float]) -> float:
    """Their sum; of none it is not known, which is not zero."""
    known = tuple(values)
    return sum(known) if known else np.nan


def _table(lines: list[_Line], ranks: Mapping[str, int] | None, data: Data, months: int) -> Table:
    columns = (
        *(() if ranks is None else (Column("rank", Text("排名", "Rank")),)),
        Column("enterprise", Text("企业", "Enterprise")),
        Column("months", Text(f"已受理月数（共 {months}）", f"Accepted months (of {months})")),
        Column("output", Text("工业总产值", "Output value"), "yuan", 0),
        Column("tax", Text("实缴税金", "Tax"), "yuan", 0),
        Column("value-added", Text("工业增加值", "Value added"), "yuan", 0),
        Column("land", Text("用地面积", "Land"), "mu", 1),
        Column("output-per-mu", Text("亩均产值（年）", "Output per mu and year"), "yuan/mu", 0),
        Column("tax-per-mu", Text("亩均税收（年）", "Tax per mu and year"), "yuan/mu", 0),
        Column("growth", Text("同比增速", "Growth over last year"), "%", 1),
        Column("electricity", Text("单位增加值用电量", "Electricity per value added"), "kWh/10kyuan", 1),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            *(() if ranks is None else (ranks.get(each.enterprise),)),
            data.enterprises[each.enterprise],
            each.months,
            *map(
                _cell,
                (
                    each.output, each.tax, each.value_added, each.land, each.output_per_mu, each.tax_per_mu,
                    each.growth, each.energy_per_value,
                ),
            ),
        )
        for each in lines
    ]  # fmt: skip
    return Table("enterprises", _NAME, columns, rows)


def _cell(value: float) -> Cell:
    return float(value) if np.isfinite(value) else None


PER_MU: Final = ReportDef(
    id="per-mu", name=_NAME, params=PerMuParams, needs=needs, build=build, readers=READERS, registers=(REGISTER,)
)
