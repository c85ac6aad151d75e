"""Settings, rules, registers and the monthly report, worked out by hand."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from park_platform.reports.check import document_faults
from park_sdk.derivation import AssetView
from park_sdk.frame import Floats
from park_sdk.register import Row
from park_sdk.report import NEWEST, Cell, Data, Document, PointView, RegisterNeed, Table, Totals, TotalsNeed
from park_systems.energy.registers import FACTORS, FactorRow
from park_systems.energy.reports import MONTHLY, MonthParams
from park_systems.energy.rules import rules
from park_systems.energy.settings import Settings
from park_systems.energy.tariffs import TARIFFS, TariffRow
from park_wire.quantities import QUANTITIES, Text

CHINA = ZoneInfo("Asia/Shanghai")
DAY = 86_400_000_000
KINDS = {"active-energy": "electricity-meter", "gas-volume": "gas-meter", "water-volume": "water-meter"}
PARK = Text("示范园区", "Sample park")


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1_000_000


OCTOBER = us("2026-10-01")


def point(number: int, asset: str, quantity: str, fed_from: str | None, enterprise: str | None = "chem") -> PointView:
    kind = KINDS.get(quantity, "steam-meter")
    view = AssetView(asset, kind, enterprise=enterprise, fed_from=fed_from)
    return PointView(number, f"gw-1/{asset}/{quantity}", quantity, QUANTITIES[quantity].unit, view, Text(asset, asset))


def report(
    meters: Sequence[tuple[PointView, Floats | float]],
    covered: Mapping[int, Floats] | None = None,
    now: str = "2026-12-01",
    rows: list[FactorRow] | None = None,
    enterprise: str | None = "chem",
    assets: tuple[AssetView, ...] = (),
) -> Document:
    """October 2026 from what each meter counted by day, or on every day."""
    points = tuple(each for each, _ in meters)
    value = np.array([np.broadcast_to(np.asarray(each, np.float64), (31,)) for _, each in meters])
    known = np.ones((len(points), 31))
    for place, share in (covered or {}).items():
        known[place] = share
    totals = Totals(points, np.arange(31) * DAY + OCTOBER, value.reshape(-1, 31), known, np.zeros_like(known))
    data = Data(
        totals={"totals": totals},
        registers={"factors": [Row(each) for each in (FACTORS.first if rows is None else rows)]},
        alarms={},
        enterprises={"chem": Text("恒远化工", "Hengyuan")},
        park=PARK,
        time_zone=CHINA,
        settings=Settings(),
        now=us(now),
        assets=assets,
    )
    found = MONTHLY.build(MonthParams(month="2026-10", enterprise=enterprise), data)
    assert document_faults(found) == []
    return found


def facts(document: Document) -> dict[str, Cell]:
    return {fact.id: fact.value for fact in document.facts}


def column(table: Table, name: str) -> list[Cell]:
    place = [each.id for each in table.columns].index(name)
    return [row[place] for row in table.rows]


def noted(document: Document, words: str) -> bool:
    return any(words in note.en and note.zh for note in document.notes)


MAIN = point(1, "chem-electricity", "active-energy", "park-incomer")
SUB = point(2, "chem-reactors", "active-energy", "chem-electricity")
FUEL = point(3, "chem-gas", "gas-volume", "park-gas")
HEAT = point(4, "chem-steam", "heat-energy", "park-steam")
STEAM = point(5, "chem-steam", "steam-mass", "park-steam")
WATER = point(6, "chem-water", "water-volume", "park-water")


def test_a_month_by_hand() -> None:
    # 31 days of 1,000 kWh, 10 m3 of gas, 2 GJ, 5 m3 of water; the sub-meter's 400 kWh a day are in the 1,000.
    found = report([(MAIN, 1_000.0), (SUB, 400.0), (FUEL, 10.0), (HEAT, 2.0), (STEAM, 0.8), (WATER, 5.0)])
    # Coal: 31 x (122.9 + 12.143 + 68.24) = 31 x 203.283 = 6,301.773. CO2: 31 x (530.6 + 21.622 + 220) = 23,938.882.
    assert facts(found) == pytest.approx(
        {
            "active-energy": 31_000.0,
            "gas-volume": 310.0,
            "heat-energy": 62.0,
            "steam-mass": 24.8,
            "water-volume": 155.0,
            "reclaimed-water-volume": None,
            "coal-equivalent": 6_301.773,
            "co2": 23_938.882,
            "coverage": 100.0,
            "estimated": 0.0,
        }
    )
    meters, days, factors = found.tables
    assert column(meters, "asset")[:2] == ["chem-electricity", "chem-reactors"]
    assert [each.en for each in column(meters, "counted")[:2] if isinstance(each, Text)] == ["yes", "no, sub-meter"]
    assert column(meters, "amount")[:2] == pytest.approx([31_000.0, 12_400.0])
    assert column(days, "day") == [date(2026, 10, day).isoformat() for day in range(1, 32)]
    assert column(days, "coal-equivalent") == pytest.approx([203.283] * 31)
    assert column(days, "reclaimed-water-volume") == [None] * 31
    assert sorted(map(str, column(factors, "edition"))) == ["2011", "2020", "2020", "2020", "2023", "2025, 7.5"]
    assert noted(found, "nobody has confirmed")
    assert not noted(found, "Covered for less than 90 %")
    assert not noted(found, "not over")
    assert found.start == OCTOBER
    assert found.end == us("2026-11-01")


def test_the_needs_of_a_month() -> None:
    asked = MONTHLY.needs(MonthParams(month="2026-12", enterprise="chem"), CHINA)
    totals, register = asked["totals"], asked["factors"]
    assert isinstance(totals, TotalsNeed)
    assert isinstance(register, RegisterNeed)
    assert (totals.start, totals.end, totals.step_us) == (us("2026-12-01"), us("2027-01-01"), DAY)
    assert totals.enterprise == "chem"
    assert register.register == "energy.factors"
    # A factor that was entered or confirmed after the month counts for the days that its row names.
    assert register.as_of == NEWEST


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "26-01", "2026-00", "x", "2026-10 "])
def test_a_month_is_a_month(month: str) -> None:
    with pytest.raises(ValidationError):
        MonthParams(month=month)


def test_factors_are_those_of_the_day() -> None:
    # 10 days at 0.1 kgce/kWh, 21 at 0.2: 1,000 x (10 x 0.1 + 21 x 0.2) = 5,200.
    given: dict[str, Any] = {"carrier": "electricity", "figure": "coal-equivalent", "unit": "kgce/kWh", "edition": "x"}
    rows = [
        FactorRow(factor=0.2, valid_from=date(2026, 10, 11), source="new", **given),
        FactorRow(factor=0.1, valid_from=date(2020, 1, 1), source="old", **given),
    ]
    found = report([(MAIN, 1_000.0)], rows=rows)
    assert facts(found)["coal-equivalent"] == pytest.approx(5_200.0)
    # No factor for CO2: no value, and it is said.
    assert facts(found)["co2"] is None
    assert noted(found, "no factor is in force for Electricity")
    assert column(found.tables[1], "co2") == [None] * 31


def test_gaps_are_said_and_not_zero() -> None:
    # Days 5 to 9 without a reading; what was used is booked on the 10th: 6 x 1,000.
    value = np.full(31, 1_000.0)
    value[4:9], value[9] = 0.0, 6_000.0
    covered = np.ones(31)
    covered[4:9] = 0.0
    found = report([(MAIN, value)], {0: covered})
    assert facts(found)["active-energy"] == pytest.approx(31_000.0)
    # 26 of 31 days.
    assert facts(found)["coverage"] == pytest.approx(83.870967)
    days = found.tables[1]
    assert column(days, "active-energy")[3:10] == [1_000.0, None, None, None, None, None, 6_000.0]
    assert column(days, "coal-equivalent")[4] is None
    assert facts(found)["coal-equivalent"] == pytest.approx(3_809.9)
    assert noted(found, "chem-electricity")


def test_a_meter_that_never_spoke_leaves_no_sum() -> None:
    found = report([(MAIN, 0.0), (FUEL, 10.0)], {0: np.zeros(31)})
    assert facts(found)["active-energy"] is None
    assert facts(found)["coal-equivalent"] is None
    assert facts(found)["gas-volume"] == pytest.approx(310.0)


def test_a_running_month_ends_now() -> None:
    # Noon of the 3rd: two days and a half are over, and all of that is covered.
    covered = np.array([1.0, 1.0, 0.5, *[0.0] * 28])
    found = report([(MAIN, np.array([100.0, 100.0, 50.0, *[0.0] * 28]))], {0: covered}, now="2026-10-03T12:00")
    assert facts(found)["active-energy"] == pytest.approx(250.0)
    assert facts(found)["coverage"] == pytest.approx(100.0)
    assert column(found.tables[1], "day") == ["2026-10-01", "2026-10-02", "2026-10-03"]
    assert column(found.tables[1], "coverage") == pytest.approx([100.0] * 3)
    assert noted(found, "not over")


def test_a_month_to_come_and_no_meters() -> None:
    found = report([(MAIN, 0.0)], now="2026-09-15")
    assert facts(found)["active-energy"] is None
    assert found.tables[1].rows == []
    empty = report([])
    assert {value for value in facts(empty).values()} == {None}
    assert noted(empty, "No top meter")


def test_steam_by_mass_alone() -> None:
    found = report([(MAIN, 1_000.0), (STEAM, 3.0)])
    assert facts(found)["coal-equivalent"] is None
    assert column(found.tables[1], "coal-equivalent") == [None] * 31
    assert noted(found, "counts mass and no heat")


def test_the_park_counts_its_own_meters_only() -> None:
    # The incomer's 5,000 kWh hold the works' 1,000; a works with a line of its own is named.
    incomer = point(7, "park-incomer", "active-energy", None, enterprise=None)
    feeder = point(8, "park-feeder", "active-energy", "park-incomer", enterprise=None)
    behind = point(10, "park-pumps", "active-energy", "park-transformer", enterprise=None)
    apart = point(9, "wind-electricity", "active-energy", None, enterprise="wind")
    found = report(
        [(incomer, 5_000.0), (feeder, 700.0), (behind, 90.0), (MAIN, 1_000.0), (apart, 3.0)], enterprise=None
    )
    assert facts(found)["active-energy"] == pytest.approx(155_000.0)
    assert noted(found, "wind-electricity: fed from no meter of the park")
    assert found.title.en.startswith("Sample park")


def test_a_meter_behind_a_transformer_does_not_count_twice() -> None:
    # chem-electricity feeds a transformer, which has no counter, and that feeds the reactors.
    transformer = AssetView("chem-transformer", "transformer", enterprise="chem", fed_from="chem-electricity")
    behind = point(2, "chem-reactors", "active-energy", "chem-transformer")
    found = report([(MAIN, 1_000.0), (behind, 400.0)], assets=(MAIN.asset, transformer, behind.asset))
    assert facts(found)["active-energy"] == pytest.approx(31_000.0)
    # A works behind the transformer of another pays for itself.
    apart = point(3, "alloy-electricity", "active-energy", "chem-transformer", "alloy")
    other = report([(MAIN, 1_000.0), (apart, 400.0)], enterprise="alloy", assets=(MAIN.asset, transformer, apart.asset))
    assert facts(other)["active-energy"] == pytest.approx(12_400.0)


def test_figures_are_without_what_the_subtraction_of_counters_leaves() -> None:
    found = report([(WATER, np.array([20.34999999999127, *[0.0] * 30]))])
    assert facts(found)["water-volume"] == 20.35
    assert column(found.tables[0], "amount") == [20.35]
    assert column(found.tables[1], "water-volume")[0] == 20.35


def test_registers_by_tariff_do_not_count_twice() -> None:
    view = AssetView("chem-electricity", "electricity-meter", enterprise="chem", fed_from="park-incomer")
    peak = PointView(9, "gw-1/chem-electricity/energy-peak", "active-energy", "kWh", view, Text("峰", "peak"))
    assert facts(report([(peak, 300.0), (MAIN, 1_000.0)]))["active-energy"] == pytest.approx(31_000.0)


def test_counters_of_which_none_is_named_are_said_to_be_left_out() -> None:
    view = MAIN.asset
    tariffs = [
        PointView(number, f"gw-1/chem-electricity/{name}", "active-energy", "kWh", view, Text(name, name))
        for number, name in ((9, "energy-peak"), (10, "energy-valley"))
    ]
    found = report([(tariffs[0], 300.0), (tariffs[1], 700.0), (WATER, 5.0)])
    assert facts(found)["active-energy"] is None
    assert noted(found, "chem-electricity (Electricity): of several counters none is called like what it counts")
    assert not noted(report([(MAIN, 1_000.0), (tariffs[0], 300.0)]), "of several counters")


def test_whoever_sees_one_enterprise_and_nothing_of_the_park_gets_that_enterprise() -> None:
    own = report([(MAIN, 1_000.0), (SUB, 400.0)], enterprise=None)
    assert own.title.en == "Hengyuan: energy of 2026-10"
    assert facts(own)["active-energy"] == pytest.approx(31_000.0)
    # Of several enterprises none is meant; with the park's own meter the park is.
    other = point(7, "alloy-electricity", "active-energy", "park-incomer", "alloy")
    both = report([(MAIN, 1_000.0), (other, 400.0)], enterprise=None)
    assert (facts(both)["active-energy"], noted(both, "Name an enterprise")) == (None, True)
    assert not noted(
        report([(point(1, "a", "active-energy", None), 1.0), (other, 1.0)], enterprise=None), "fed from no"
    )
    park = report([(MAIN, 1_000.0), (point(8, "park-incomer", "active-energy", None, None), 2_000.0)], enterprise=None)
    assert (park.title.en, facts(park)["active-energy"]) == ("Sample park: energy of 2026-10", pytest.approx(62_000.0))


def test_every_figure_says_in_both_languages_what_it_rests_on() -> None:
    found = report([(MAIN, 1_000.0), (FUEL, 10.0), (HEAT, 2.0)])
    sources = {fact.id: fact.source for fact in found.facts}
    assert sources["active-energy"] == "gw-1/chem-electricity/active-energy"
    for figure in ("coal-equivalent", "co2", "coverage", "estimated"):
        source = sources[figure]
        assert isinstance(source, Text)
        assert source.zh != source.en
    coal = sources["coal-equivalent"]
    assert isinstance(coal, Text)
    assert ("2589-2020" in coal.zh, "edition 2020" in coal.en, "版本 2020" in coal.zh) == (True, True, True)


# registers, rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "kgce/GJ"}, "is given in"),
        ({"carrier": "heat"}, "is given in"),
        # 0.03412 kgce/MJ put in as if it were by GJ, and tonnes for kilograms.
        ({"carrier": "heat", "unit": "kgce/GJ", "factor": 0.03412}, "beyond"),
        ({"factor": 0.0001229}, "beyond"),
        ({"valid_to": date(2020, 1, 1)}, "must not lie before"),
        ({"factor": float("nan")}, "finite"),
    ],
)
def test_factors_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    row: dict[str, Any] = FACTORS.first[0].model_dump()
    with pytest.raises(ValidationError, match=words):
        FactorRow.model_validate(row | changes)


def test_factors_say_what_nobody_has_confirmed() -> None:
    rows = [row for row in FACTORS.first if isinstance(row, FactorRow)]
    assert {(row.carrier, row.figure) for row in rows if not row.confirmed} == {
        ("natural-gas", "coal-equivalent"),
        ("natural-gas", "co2"),
        ("heat", "co2"),
    }
    assert all(row.source.startswith("unconfirmed") != row.confirmed for row in rows)
    assert FACTORS.due is not None
    assert [FACTORS.due(Row(row), Settings(), CHINA) for row in rows if row.edition == "2022"] == [
        datetime(2025, 12, 30, 23, 59, 59, tzinfo=CHINA)
    ]


def test_tariffs_cover_every_hour_once() -> None:
    """Peak, flat and valley fill the day of each month; sharp peak lies in a peak and deep valley in a valley."""
    rows = [row for row in TARIFFS.first if isinstance(row, TariffRow)]
    assert not any(row.confirmed for row in rows)
    for month in range(1, 13):
        found: list[list[str]] = [[] for _ in range(24)]
        for row in rows:
            if row.first_month <= month <= row.last_month:
                for hour in range(row.start_hour, row.end_hour):
                    found[hour].append(row.period)
        plain = [[each for each in hour if each in {"peak", "flat", "valley"}] for hour in found]
        assert all(len(hour) == 1 for hour in plain)
        for hour in found:
            assert "sharp-peak" not in hour or "peak" in hour
            assert "deep-valley" not in hour or "valley" in hour
    # 1.54 x 1.2 and 0.44 x 0.8.
    assert {row.price_ratio for row in rows if row.period == "sharp-peak"} == {1.848}
    assert {row.price_ratio for row in rows if row.period == "deep-valley"} == {0.352}


@pytest.mark.parametrize(
    "changes", [{"start_hour": 22, "end_hour": 6}, {"first_month": 11, "last_month": 2}, {"end_hour": 25}]
)
def test_tariffs_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TariffRow.model_validate(TARIFFS.first[0].model_dump() | changes)


def test_first_rows_have_keys_of_their_own() -> None:
    for register in (FACTORS, TARIFFS):
        keys = [tuple(getattr(row, name) for name in register.key) for row in register.first]
        assert len(set(keys)) == len(keys)


def test_the_imbalance_is_watched_when_the_park_wants_it() -> None:
    assert {rule.id for rule in rules(Settings()) if not rule.enabled} == {"imbalance-high", "imbalance-low"}
    chosen = {rule.id: rule for rule in rules(Settings(imbalance_limit=3.0, confirmed=frozenset({"imbalance"})))}
    assert all(rule.enabled for rule in chosen.values())
    assert (chosen["imbalance-high"].limit, chosen["imbalance-low"].limit) == (3.0, -3.0)


def test_demand_is_watched_by_the_design_value() -> None:
    found = next(rule for rule in rules(Settings()) if rule.id == "demand")
    assert found.limit is None
    assert found.design_limit is not None
    assert (found.design_limit.quantity, found.design_limit.times) == ("demand", 1.0)


@pytest.mark.parametrize("given", [{"imbalance_limit": 0}, {"least_kwh": -1}, {"confirmed": ["other"]}, {"limit": 3}])
def test_bad_settings(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(given)
