"""The report per mu, worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from park_platform.reports.check import document_faults, need_fault
from park_platform.reports.params import read_params
from park_sdk.derivation import AssetView
from park_sdk.register import Row
from park_sdk.report import Cell, Data, Document, PointView, RegisterNeed, Totals, TotalsNeed
from park_systems.economy.months import to_us
from park_systems.economy.registers import Filing
from park_systems.economy.reports import PER_MU, PerMuParams
from park_systems.economy.settings import Settings
from park_wire.quantities import Text

SHANGHAI = ZoneInfo("Asia/Shanghai")
NAMES = {each: Text(each, each) for each in ("alloy", "chem", "food", "heat")}
QUARTER = PerMuParams(year=2026, quarter=3)


def filed(enterprise: str, month: str, output: float, state: str = "accepted", **fields: Any) -> Row:
    """A filing; tax is a twentieth of the output and value added a quarter."""
    given: dict[str, Any] = {
        "month": month,
        "enterprise": enterprise,
        "output_value": output,
        "value_added": output / 4,
        "revenue": output,
        "tax": output / 20,
        "employment": 10,
    }
    return Row(Filing.model_validate(given | fields), state, enterprise=enterprise)


ROWS = [
    # Chem: 10 + 11 + 12 = 33 million in the quarter, 30 million in that of the year before, 440 mu.
    filed("chem", "2025-07", 10e6), filed("chem", "2025-08", 10e6), filed("chem", "2025-09", 10e6),
    filed("chem", "2026-05", 10e6, land_area=440.0),
    filed("chem", "2026-07", 10e6), filed("chem", "2026-08", 11e6), filed("chem", "2026-09", 12e6),
    # Alloy: 3 * 20 = 60 million, 400 mu; land of October is not yet that of the quarter.
    *(filed("alloy", f"2026-0{month}", 20e6, land_area=400.0) for month in (7, 8, 9)),
    filed("alloy", "2026-10", 20e6, land_area=40.0),
    # Food: one month is accepted, one returned.
    filed("food", "2026-07", 5e6, land_area=100.0), filed("food", "2026-08", 5e6, "returned"),
]  # fmt: skip


def meter(id_: int, asset: str, enterprise: str | None, fed_from: str | None) -> PointView:
    """An electricity meter."""
    view = AssetView(asset, "electricity-meter", enterprise=enterprise, fed_from=fed_from)
    return PointView(id_, f"gw/{asset}/active-energy", "active-energy", "kWh", view, Text(asset, asset))


def electricity(covered: float = 1.0) -> Totals:
    """Chem takes 4 and 0.125 million kWh by two feeders, of which a sub-meter counts 3 million again."""
    points = (
        meter(1, "incomer", None, None),
        meter(2, "chem-1", "chem", "incomer"),
        meter(3, "chem-2", "chem", "incomer"),
        meter(4, "chem-sub", "chem", "chem-1"),
        meter(5, "alloy-1", "alloy", "incomer"),
        meter(6, "food-1", "food", "incomer"),
    )
    value = np.array([[9e6], [4e6], [0.125e6], [3e6], [5e6], [1e6]])
    full = np.ones((6, 1))
    full[4] = covered
    return Totals(points, np.zeros(1, np.intp), value, full, np.zeros((6, 1)))


def build(
    params: PerMuParams = QUARTER,
    rows: list[Row] | None = None,
    enterprises: tuple[str, ...] = tuple(NAMES),
    totals: Totals | None = None,
    assets: tuple[AssetView, ...] = (),
) -> Document:
    """The report for a reader who sees these enterprises."""
    data = Data(
        totals={"electricity": totals or electricity()},
        registers={"filings": ROWS if rows is None else rows},
        alarms={},
        enterprises={each: NAMES[each] for each in enterprises},
        park=Text("园", "Park"),
        time_zone=SHANGHAI,
        settings=Settings(),
        now=to_us(datetime(2026, 11, 24, tzinfo=UTC)),
        assets=assets,
    )
    document = PER_MU.build(params, data)
    assert document_faults(document) == []
    return document


def cells(document: Document) -> dict[str, dict[str, Cell]]:
    """The table by enterprise and column."""
    (table,) = document.tables
    named = [{column.id: cell for column, cell in zip(table.columns, row, strict=True)} for row in table.rows]
    return {row["enterprise"].en: row for row in named if isinstance(row["enterprise"], Text)}


def test_a_quarter_by_hand() -> None:
    found = cells(build())
    chem = found["chem"]
    # 33 million * 12 / 3 / 440 mu = 300 000 yuan/mu; tax a twentieth of it; growth 33 / 30: 10 %.
    # Electricity 4.125 million kWh over value added of 33 / 4 = 8.25 million yuan = 825 x 10 000 yuan: 5000.
    assert chem["output"] == pytest.approx(33e6)
    assert chem["tax"] == pytest.approx(1.65e6)
    assert chem["value-added"] == pytest.approx(8.25e6)
    assert chem["output-per-mu"] == pytest.approx(300_000.0)
    assert chem["tax-per-mu"] == pytest.approx(15_000.0)
    assert chem["growth"] == pytest.approx(10.0)
    assert chem["electricity"] == pytest.approx(5_000.0)
    # 60 million * 4 / 400 mu = 600 000 yuan/mu: before chem. No quarter to compare with.
    assert (found["alloy"]["land"], found["alloy"]["output-per-mu"]) == (400.0, pytest.approx(600_000.0))
    assert found["alloy"]["growth"] is None
    assert (found["alloy"]["rank"], chem["rank"]) == (1, 2)


def test_who_lacks_months_has_figures_but_no_rank() -> None:
    found = cells(build())
    # 5 million * 12 / 100 mu = 600 000 yuan/mu of one month.
    assert (found["food"]["months"], found["food"]["rank"]) == (1, None)
    assert found["food"]["output-per-mu"] == pytest.approx(600_000.0)
    assert found["food"]["electricity"] is None
    assert list(found) == ["alloy", "chem", "food", "heat"]
    heat = found["heat"]
    assert heat["months"] == 0
    assert all(heat[column] is None for column in ("rank", "output", "tax", "land", "output-per-mu", "growth"))


def test_the_park_as_a_whole() -> None:
    facts = {fact.id: fact.value for fact in build().facts}
    assert (facts["enterprises"], facts["complete"]) == (4, 2)
    assert facts["output"] == pytest.approx(33e6 + 60e6 + 5e6)
    # 440 + 400 + 100 mu; by the year 132 + 240 + 60 = 432 million yuan, of which a twentieth is tax.
    assert facts["land"] == pytest.approx(940.0)
    assert facts["output-per-mu"] == pytest.approx(432e6 / 940)
    assert facts["tax-per-mu"] == pytest.approx(21.6e6 / 940)


def test_an_enterprise_learns_nothing_of_the_others() -> None:
    own = [row for row in ROWS if row.enterprise == "chem"]
    document = build(rows=own, enterprises=("chem",))
    assert set(cells(document)) == {"chem"}
    assert "rank" not in {column.id for column in document.tables[0].columns}
    assert {fact.id: fact.value for fact in document.facts}["output"] == pytest.approx(33e6)


def test_of_one_enterprise_the_park_sees_its_place() -> None:
    found = cells(build(PerMuParams(year=2026, quarter=3, enterprise="chem")))
    assert list(found) == ["chem"]
    assert found["chem"]["rank"] == 2


def test_growth_needs_every_month_of_both_years() -> None:
    of_less = [row for row in ROWS if row.record.month != "2025-08"]
    assert cells(build(rows=of_less))["chem"]["growth"] is None
    now_less = [row for row in ROWS if row.record.month != "2026-08"]
    assert cells(build(rows=now_less))["chem"]["growth"] is None


def test_equals_share_a_rank() -> None:
    rows = [filed(each, "2026-10", 10e6, land_area=100.0) for each in ("chem", "alloy")]
    rows.append(filed("food", "2026-10", 9e6, land_area=100.0))
    found = cells(build(PerMuParams(year=2026, month=10), rows))
    assert [found[each]["rank"] for each in ("alloy", "chem", "food")] == [1, 1, 3]


def test_a_meter_that_is_not_covered_leaves_no_figure() -> None:
    assert cells(build())["alloy"]["electricity"] == pytest.approx(5e6 / 1_500)
    found = cells(build(totals=electricity(covered=0.9)))
    assert found["alloy"]["electricity"] is None
    assert found["chem"]["electricity"] is not None


def test_no_meter_counts_twice() -> None:
    # Chem's transformer has no counter: what it feeds is in chem-1 all the same.
    transformer = AssetView("chem-transformer", "transformer", enterprise="chem", fed_from="chem-1")
    behind = meter(7, "chem-behind", "chem", "chem-transformer")
    # Of alloy-1's registers by tariff only the whole counts.
    peak = replace(meter(8, "alloy-1", "alloy", "incomer"), key="gw/alloy-1/energy-peak")
    given = electricity()
    points = (*given.points, behind, peak)
    more = Totals(points, given.start, np.append(given.value, [[2e6], [3e6]], 0), np.ones((8, 1)), np.zeros((8, 1)))
    found = cells(build(totals=more, assets=(transformer, *(point.asset for point in points))))
    assert found["chem"]["electricity"] == pytest.approx(5_000.0)
    assert found["alloy"]["electricity"] == pytest.approx(5e6 / 1_500)
    # Where none of several is the whole, nobody can tell what they count.
    valley = replace(peak, id=9, key="gw/alloy-1/energy-valley")
    points = tuple(valley if point.id == 5 else point for point in points)
    unclear = Totals(points, more.start, more.value, more.covered, more.estimated)
    assert cells(build(totals=unclear))["alloy"]["electricity"] is None


def test_without_filings_nothing_is_known() -> None:
    facts = {fact.id: fact.value for fact in build(rows=[]).facts}
    assert facts == {
        "enterprises": 4, "complete": 0, "output": None, "tax": None, "land": None, "output-per-mu": None,
        "tax-per-mu": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("params", "first", "end"),
    [
        ({"year": "2026", "month": "12"}, "2026-12-01", "2027-01-01"),
        ({"year": "2026", "quarter": "4"}, "2026-10-01", "2027-01-01"),
        ({"year": "2026", "quarter": ""}, "2026-01-01", "2027-01-01"),
    ],
)
def test_what_stretch_it_asks_for(params: dict[str, str], first: str, end: str) -> None:
    asked, faults = read_params(PerMuParams, list(params.items()))
    assert asked is not None
    assert not faults
    needs = PER_MU.needs(asked, SHANGHAI)
    assert [need_fault(name, need) for name, need in needs.items()] == [None, None]
    counted = needs["electricity"]
    assert isinstance(counted, TotalsNeed)
    assert isinstance(needs["filings"], RegisterNeed)
    bounds = [to_us(datetime.fromisoformat(day).replace(tzinfo=SHANGHAI)) for day in (first, end)]
    assert [counted.start, counted.end] == bounds
    document = build(asked)
    assert [document.start, document.end] == bounds


def test_a_quarter_and_a_month_are_too_much() -> None:
    with pytest.raises(ValidationError, match="not both"):
        PerMuParams(year=2026, quarter=1, month=1)
    params, faults = read_params(PerMuParams, [("year", "2026"), ("quarter", "1"), ("month", "1")])
    assert params is None
    assert [fault.message.zh for fault in faults] == ["季度和月份只能填写一个"]
