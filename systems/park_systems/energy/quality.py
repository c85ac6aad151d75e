"""Whether a month's meter data may be reported: complete, days that agree with the month, days that end at midnight.

The rules of on-line energy monitoring of key energy users (重点用能单位能耗在线监测) as a public description gives
them: completeness >= 90 %, the sum of the days against the month <= 5 %, the stamp of a day within 1 min. The text of
the regulation was not at hand: unconfirmed.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from park_sdk.days import day_begins
from park_sdk.frame import NEVER, Bools, Floats
from park_sdk.report import (
    Cell,
    Column,
    Counts,
    CountsNeed,
    Data,
    Document,
    Fact,
    Need,
    ReportDef,
    Table,
    Totals,
    TotalsNeed,
)
from park_systems.energy.cells import cell, percent
from park_systems.energy.reports import METERS, MonthParams, month_bounds, whose_name
from park_systems.energy.tables import QUANTITIES_SHOWN
from park_wire.quantities import Text

LEAST_COMPLETE: Final = 0.9
MOST_APART: Final = 0.05
MOST_OFF_S: Final = 60.0
_NAME: Final = Text("计量数据质量月报", "Quality of a month's meter data")
_RULE: Final = Text(
    "重点用能单位能耗在线监测的数据质量要求：完整率不低于 90 %，日累计与月值偏差不超过 5 %，日界时标偏差不超过 1 min。"
    "据公开介绍整理，规范原文未核对（未确认）",
    "data quality asked of key energy users' on-line monitoring: completeness at least 90 %, the days within 5 % of "
    "the month, the stamp of a day within 1 min; after a public description, the regulation was not at hand "
    "(unconfirmed)",
)
_YES, _NO, _UNKNOWN = Text("符合", "met"), Text("不符合", "not met"), Text("无法判定", "can't be told")
_DAY_US: Final = 86_400_000_000


def needs(params: MonthParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """Counts of readings by local day; what was counted by day and in the month as a whole."""
    start, end = month_bounds(params, zone)
    return {
        "counts": CountsNeed(QUANTITIES_SHOWN, _midnights(params, zone), params.enterprise, METERS),
        "days": TotalsNeed(QUANTITIES_SHOWN, start, end, params.enterprise, METERS, _DAY_US),
        "month": TotalsNeed(QUANTITIES_SHOWN, start, end, params.enterprise, METERS),
    }


def build(params: MonthParams, data: Data) -> Document:
    """A row a meter, and the rules that it meets."""
    start, end = month_bounds(params, data.time_zone)
    counts = data.counts["counts"]
    complete = completeness(counts)
    apart = days_apart(data.totals["days"], data.totals["month"])
    off = boundary_offset_s(counts, data.now)
    met = meets(complete, apart, off)
    expected, received = counts.expected.sum(), _received(counts).sum()
    whose = whose_name(params.enterprise, data)
    return Document(
        title=Text(
            f"{whose.zh} {params.month} 计量数据质量", f"{whose.en}: quality of the meter data of {params.month}"
        ),
        start=start,
        end=end,
        facts=(
            Fact("meters", Text("计量测点", "Counters"), len(counts.points), source=_RULE),
            Fact("meeting", Text("全部符合的测点", "Counters that meet every rule"), int(met.sum()), source=_RULE),
            Fact(
                "completeness",
                Text("数据完整率", "Completeness"),
                percent(float(received / expected)) if expected else None,
                "%",
                Text("收到的读数与应有的读数之比", "readings that came, of those that should have come"),
            ),
        ),
        tables=(_table(counts, complete, apart, off, met),),
        notes=(_RULE,),
    )


def completeness(counts: Counts) -> Floats:
    """The share of readings that came, of those that should have: f64[p], 0 to 1; NaN where none should have."""
    expected = counts.expected.sum(axis=1)
    return np.divide(_received(counts).sum(axis=1), expected, out=np.full(len(expected), np.nan), where=expected > 0)


def days_apart(days: Totals, month: Totals) -> Floats:
    """How far the sum of the days is from the month, relative to the month: f64[p]; NaN where the month is zero."""
    whole = month.value.sum(axis=1)
    differ = np.abs(days.value.sum(axis=1) - whole)
    return np.divide(differ, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def boundary_offset_s(counts: Counts, now: int) -> Floats:
    """How far from midnight the nearest good reading is, on the worst of the days that are over: f64[p], s.

    Infinite where a day's end has none within the days beside it; NaN before the first day is over.
    """
    ends = counts.edges[1:]
    before = np.where(counts.last == NEVER, np.inf, ends - counts.last)
    after = np.full(before.shape, np.inf)
    begun = counts.first[:, 1:]
    after[:, :-1] = np.where(begun == NEVER, np.inf, begun - ends[:-1])
    # Before a point is known and after it is gone nothing is expected of it.
    asked = (ends <= now) & (counts.expected > 0)
    nearest = np.where(asked, np.minimum(before, after), -np.inf)
    worst: Floats = np.max(nearest, axis=1, initial=-np.inf)
    return np.where(np.isneginf(worst), np.nan, worst / 1e6)


def meets(complete: Floats, apart: Floats, off_s: Floats) -> Bools:
    """Which counters meet every rule; what can't be told is not met, but a month of zero agrees with its days."""
    return (complete >= LEAST_COMPLETE) & ((apart <= MOST_APART) | np.isnan(apart)) & (off_s <= MOST_OFF_S)


def _received(counts: Counts) -> Floats:
    # A day with more readings than expected does not make up for another.
    return np.minimum(counts.received, counts.expected)


def _table(counts: Counts, complete: Floats, apart: Floats, off: Floats, met: Bools) -> Table:
    columns = (
        Column("point", Text("测点", "Point")),
        Column("asset", Text("表计", "Meter")),
        Column("expected", Text("应有读数", "Readings expected"), digits=0),
        Column("received", Text("收到读数", "Readings received"), digits=0),
        Column("completeness", Text("完整率", "Completeness"), unit="%", digits=2),
        Column("good", Text("质量良好占比", "Share of good quality"), unit="%", digits=2),
        Column("apart", Text("日累计与月值偏差", "Days against the month"), unit="%", digits=2),
        Column("boundary", Text("日界时标偏差（最大）", "Stamp of a day, the worst"), unit="s", digits=0),
        Column("verdict", Text("结论", "Verdict")),
    )
    rows: list[tuple[Cell, ...]] = []
    came, good = counts.received.sum(axis=1), counts.good.sum(axis=1)
    for place, point in enumerate(counts.points):
        unknown = np.isnan(complete[place]) or np.isnan(off[place])
        rows.append(
            (
                point.key,
                point.asset_name,
                float(counts.expected[place].sum()),
                float(came[place]),
                percent(cell(complete[place])),
                percent(float(good[place] / came[place])) if came[place] else None,
                percent(cell(apart[place])),
                None if not np.isfinite(off[place]) else cell(off[place]),
                _UNKNOWN if unknown else _YES if met[place] else _NO,
            )
        )
    return Table("meters", Text("各计量测点", "By counter"), columns, rows)


def _midnights(params: MonthParams, zone: ZoneInfo) -> tuple[int, ...]:
    year, month = (int(part) for part in params.month.split("-"))
    first, beyond = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    return tuple(day_begins(first + timedelta(days=n), zone) for n in range((beyond - first).days + 1))


QUALITY: Final = ReportDef("data-quality", _NAME, MonthParams, needs, build)
