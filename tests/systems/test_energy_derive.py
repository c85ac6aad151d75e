"""The energy system's figures, each against a calculation by hand."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Derived, Grid, Minutes, Of, Params, ParkDerivation, ParkInput
from park_sdk.frame import Floats
from park_sdk.register import Row
from park_systems.energy.balance import BALANCES, imbalance
from park_systems.energy.carriers import SITE_HOURS
from park_systems.energy.demand import DEMAND
from park_systems.energy.factors import factors_at
from park_systems.energy.registers import FACTORS, FactorRow
from park_systems.energy.settings import Settings
from park_systems.energy.system import SYSTEM

SECOND = 1_000_000
MINUTE = 60 * SECOND
CHINA = ZoneInfo("Asia/Shanghai")
START = 1_795_665_600_000_000
"""2026-11-26 04:00 UTC: 12:00 in the park."""
FIRST = [Row(each) for each in FACTORS.first]
ELECTRICITY, WATER, RECLAIMED, GAS, STEAM = BALANCES


def factor(carrier: str, figure: str, value: float, unit: str, begin: date, **changes: Any) -> FactorRow:
    given_fields: dict[str, Any] = {"source": "supplier", "edition": "2026", "confirmed": True}
    return FactorRow.model_validate(
        {"carrier": carrier, "figure": figure, "factor": value, "unit": unit, "valid_from": begin}
        | given_fields
        | changes
    )


def params(*kinds: str, rows: Sequence[Row] = FIRST, settings: Settings | None = None) -> Params:
    assets = tuple(AssetView(f"{kind}-{number}", kind) for number, kind in enumerate(kinds or ("site",)))
    return Params(assets, settings or Settings(), {"energy.factors": rows}, (), CHINA)


def minutes(
    *points: tuple[int, Sequence[float] | Floats | float], width: int, covered: Floats | None = None
) -> Minutes:
    """Points with their owner and what they counted in each minute, or in every one."""
    value = np.array([np.broadcast_to(np.asarray(each, np.float64), (width,)) for _, each in points])
    value = value.reshape(len(points), width)
    owner = np.array([owner for owner, _ in points], np.intp)
    return Minutes(owner, value, np.full(value.shape, 60.0) if covered is None else covered)


def run(derivation: ParkDerivation, given_params: Params, steps: int = 1, **inputs: Minutes) -> Derived:
    """Steps from START on; the inputs hold the minutes of `window_s` before it, too."""
    width = (derivation.window_s + steps * derivation.every_s) // 60
    begin = START - derivation.window_s * SECOND
    none = {each.name: minutes(width=width) for each in derivation.inputs}
    for each in inputs.values():
        assert each.value.shape[1] == width
    ends = START + np.arange(1, steps + 1) * derivation.every_s * SECOND
    return derivation.compute(Grid(begin, width, ends, none | inputs, {}), given_params)


def hour(given_params: Params, covered: Floats | None = None, **amounts: float) -> dict[str, float]:
    """One hour of a site whose meters counted these amounts in all: in the last of 61 minutes."""
    counted = np.zeros(61)
    made: dict[str, Minutes] = {}
    for name, amount in amounts.items():
        counted[-1] = amount
        made[name] = minutes((0, counted.copy()), width=61, covered=covered)
    found = run(SITE_HOURS, given_params, 1, **made)
    assert found.asset.tolist() == [0]
    assert found.time.tolist() == [START + 60 * MINUTE]
    return {name: float(column[0]) for name, column in found.columns.items()}


def test_the_system_keeps_to_the_contract() -> None:
    assert check_system(SYSTEM) == []


# carriers -------------------------------------------------------------------------------------------------------------


def test_electricity() -> None:
    # 1,000 kWh x 0.1229 kgce/kWh = 122.9 kgce; 1,000 kWh x 0.5306 kgCO2/kWh = 530.6 kgCO2.
    found = hour(params(), electricity=1_000.0)
    assert found == pytest.approx({"coal-equivalent-hour": 122.9, "co2-hour": 530.6, "energy-hour": 1_000.0})


def test_heat() -> None:
    # 1 GJ = 1,000 MJ x 0.03412 kgce/MJ = 34.12 kgce; 1 GJ x 110 kgCO2/GJ = 110 kgCO2. No electricity meter: no kWh.
    found = hour(params(), heat=1.0, steam=0.4)
    assert found == pytest.approx(
        {"coal-equivalent-hour": 34.12, "co2-hour": 110.0, "energy-hour": np.nan}, nan_ok=True
    )


def test_gas() -> None:
    # 1,000 m3 x 8,500 / 7,000 kcal = 1,000 x 1.2143 = 1,214.3 kgce, within the standard's 1,100 to 1,330. CO2:
    # 38.931 MJ/m3 x 15.3 gC/MJ x 0.99 x 44/12 / 1,000 = 2.1622 kg/m3: 2,162.2 kg.
    found = hour(params(), gas=1_000.0)
    assert found["coal-equivalent-hour"] == pytest.approx(1_214.3)
    assert found["co2-hour"] == pytest.approx(2_162.2)


def test_carriers_add_up() -> None:
    # 500 kWh, 100 m3, 2 GJ: 61.45 + 121.43 + 68.24 = 251.12 kgce; 265.3 + 216.22 + 220 = 701.52 kgCO2.
    found = hour(params(), electricity=500.0, gas=100.0, heat=2.0, steam=0.8)
    assert found["coal-equivalent-hour"] == pytest.approx(251.12)
    assert found["co2-hour"] == pytest.approx(701.52)
    assert found["energy-hour"] == pytest.approx(500.0)


def test_several_meters_and_sites() -> None:
    # Site 0 has meters of 2 and 3 kWh a minute: 60 x 5 = 300 kWh; site 2 one of 1: 60. Site 1 has none: no row.
    found = run(SITE_HOURS, params("site", "site", "park"), electricity=minutes((0, 2.0), (0, 3.0), (2, 1.0), width=61))
    assert found.asset.tolist() == [0, 2]
    assert found.columns["energy-hour"] == pytest.approx([300.0, 60.0])
    assert found.columns["coal-equivalent-hour"] == pytest.approx([36.87, 7.374])


def test_two_hours_are_told_apart() -> None:
    value = np.concatenate([[99.0], np.full(60, 1.0), np.full(60, 2.0)])
    found = run(SITE_HOURS, params(), steps=2, electricity=minutes((0, value), width=121))
    assert found.columns["energy-hour"] == pytest.approx([60.0, 120.0])


def test_meters_are_those_at_the_top() -> None:
    inputs = [each for each in SITE_HOURS.inputs if isinstance(each, ParkInput)]
    assert [each.of for each in inputs] == [Of.TOP] * 4
    assert "water-meter" not in {kind for each in inputs for kind in each.kinds}


@pytest.mark.parametrize(("blank", "known"), [(6, True), (7, False)])
def test_an_hour_needs_nine_tenths(blank: int, known: bool) -> None:
    # 54 of 60 minutes are 90 %.
    covered = np.full((1, 61), 60.0)
    covered[0, 10 : 10 + blank] = 0.0
    found = hour(params(), covered, electricity=100.0)
    assert np.isfinite(list(found.values())).all() == known
    assert np.isnan(list(found.values())).all() != known


def test_a_gap_that_reaches_in_brings_what_was_used_before() -> None:
    # The meter was away for hours and comes back in the hour's second minute with all that was counted since.
    covered = np.full((1, 61), 60.0)
    covered[0, :2] = 0.0
    found = run(SITE_HOURS, params(), electricity=minutes((0, [0, 0, 5_000.0, *[1.0] * 58]), width=61, covered=covered))
    assert np.isnan(found.columns["energy-hour"]).all()


def test_one_meter_without_readings_leaves_no_value() -> None:
    covered = np.full((2, 61), 60.0)
    covered[1] = 0.0
    meters = minutes((0, 1.0), (0, np.full(61, np.nan).tolist()), width=61, covered=covered)
    gas = minutes((0, 1.0), width=61)
    found = run(SITE_HOURS, params(), electricity=meters, gas=gas)
    assert np.isnan([column[0] for column in found.columns.values()]).all()


def test_without_a_factor_nothing_is_guessed() -> None:
    only_coal = [row for row in FIRST if row.record.figure == "coal-equivalent"]
    found = hour(params(rows=only_coal), electricity=1_000.0)
    assert found["coal-equivalent-hour"] == pytest.approx(122.9)
    assert np.isnan(found["co2-hour"])
    assert found["energy-hour"] == 1_000.0
    # A carrier that has no meter needs no factor.
    only_power = [row for row in FIRST if row.record.carrier == "electricity"]
    assert hour(params(rows=only_power), electricity=1_000.0)["co2-hour"] == pytest.approx(530.6)
    assert np.isnan(hour(params(rows=[]), gas=1.0)["co2-hour"])


def test_unconfirmed_factors_can_be_refused() -> None:
    strict = Settings(use_unconfirmed=False)
    assert np.isnan(hour(params(settings=strict), gas=1.0)["coal-equivalent-hour"])
    assert hour(params(settings=strict), electricity=1_000.0)["co2-hour"] == pytest.approx(530.6)


def test_steam_by_mass_alone_has_no_energy() -> None:
    # One of two steam meters counts no heat: its energy is not known, and so not that of the site.
    steam = minutes((0, 1.0), (0, 1.0), width=61)
    heat, power = minutes((0, 1.0), width=61), minutes((0, 1.0), width=61)
    found = run(SITE_HOURS, params(), steam=steam, heat=heat, electricity=power)
    assert np.isnan(found.columns["coal-equivalent-hour"][0])
    assert found.columns["energy-hour"][0] == pytest.approx(60.0)
    found = run(SITE_HOURS, params(), steam=minutes((0, 1.0), width=61), electricity=power)
    assert np.isnan([found.columns["coal-equivalent-hour"][0], found.columns["co2-hour"][0]]).all()


# factors --------------------------------------------------------------------------------------------------------------


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * SECOND


def test_a_factor_counts_by_whole_days_of_the_park() -> None:
    at = np.array([us("2024-12-19T23:59"), us("2024-12-20T00:00"), us("2025-12-30T23:59"), us("2025-12-31T00:00")])
    rows = [row.record for row in FIRST]
    found = factors_at(rows, "electricity", "co2", at, CHINA, use_unconfirmed=False)
    assert found.value == pytest.approx([np.nan, 0.5366, 0.5366, 0.5306], nan_ok=True)
    assert [row.edition for row in found.used] == ["2022", "2023"]


def test_the_hour_before_a_new_factor_keeps_the_old_one() -> None:
    # START is 12:00; the hour from 23:00 to 24:00 belongs to the day that ends.
    old = factor("heat", "coal-equivalent", 34.12, "kgce/GJ", date(2021, 1, 1))
    new = factor("heat", "coal-equivalent", 35.0, "kgce/GJ", date(2026, 11, 27))
    value = minutes((0, 1.0), width=1 + 13 * 60)
    found = run(SITE_HOURS, params(rows=[Row(new), Row(old)]), steps=13, heat=value)
    assert datetime.fromtimestamp(found.time[11] / 1e6, UTC).astimezone(CHINA).hour == 0
    assert found.columns["coal-equivalent-hour"][10:] == pytest.approx([60 * 34.12, 60 * 34.12, 60 * 35.0])


# balance --------------------------------------------------------------------------------------------------------------


def test_imbalance_by_hand() -> None:
    # (100 - 95) / 100 = 5 %; (100 - 120) / 100 = -20 %; below the least there is none; 20 - 2,000 held to -1,000 %.
    own, fed = np.array([100.0, 100.0, 9.0, np.nan, 20.0]), np.array([95.0, 120.0, 1.0, 1.0, 2_000.0])
    assert imbalance(own, fed, 10.0) == pytest.approx([5.0, -20.0, np.nan, np.nan, -1_000.0], nan_ok=True)


def test_a_meter_and_its_sub_meters() -> None:
    # In an hour 60 x 10 = 600 kWh against 60 x (6 + 3) = 540: 10 %. Meter 1 feeds nothing: no row.
    own = minutes((0, 10.0), (1, 6.0), (2, 3.0), width=61)
    fed = minutes((0, 6.0), (0, 3.0), width=61)
    found = run(ELECTRICITY, params(*["electricity-meter"] * 3), own=own, fed=fed)
    assert found.asset.tolist() == [0]
    assert found.columns["imbalance"] == pytest.approx([10.0])


def test_the_hour_runs() -> None:
    # Sub-meters stop after the first quarter: 0, then 25 % of the hour is not theirs.
    own = minutes((0, 4.0), width=76)
    fed = minutes((0, [4.0] * 61 + [0.0] * 15), width=76)
    found = run(ELECTRICITY, params("electricity-meter"), steps=2, own=own, fed=fed)
    assert found.columns["imbalance"] == pytest.approx([0.0, 25.0])
    assert (found.time - START).tolist() == [15 * MINUTE, 30 * MINUTE]


def test_a_sub_meter_with_gaps_leaves_no_balance() -> None:
    covered = np.full((1, 61), 60.0)
    covered[0, 30:37] = 0.0
    fed = minutes((0, 9.0), width=61, covered=covered)
    found = run(ELECTRICITY, params("electricity-meter"), own=minutes((0, 10.0), width=61), fed=fed)
    assert np.isnan(found.columns["imbalance"]).all()


@pytest.mark.parametrize(
    ("derivation", "kind", "quantity", "least"),
    [
        (WATER, "water-meter", "water-volume", 1.0),
        (RECLAIMED, "reclaimed-water-meter", "reclaimed-water-volume", 1.0),
        (GAS, "gas-meter", "gas-volume", 10.0),
        (STEAM, "steam-meter", "steam-mass", 0.5),
    ],
)
def test_each_carrier_has_its_own_least(derivation: ParkDerivation, kind: str, quantity: str, least: float) -> None:
    assert {each.quantity for each in derivation.inputs if isinstance(each, ParkInput)} == {quantity}
    for amount, known in ((least * 1.001, True), (least * 0.999, False)):
        own = minutes((0, amount / 60), width=61)
        found = run(derivation, params(kind), own=own, fed=own)
        assert np.isfinite(found.columns["imbalance"]).all() == known


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=5))
def test_sub_meters_that_count_all_leave_nothing(parts: list[float]) -> None:
    own = minutes((0, sum(parts)), width=61)
    fed = minutes(*[(0, part) for part in parts], width=61)
    found = run(ELECTRICITY, params("electricity-meter", settings=Settings(least_kwh=1.0)), own=own, fed=fed)
    assert found.columns["imbalance"] == pytest.approx([0.0], abs=1e-6)


# demand ---------------------------------------------------------------------------------------------------------------


def test_demand_by_hand() -> None:
    # 15 x 2 kWh = 30 kWh in a quarter of an hour: 30 x 4 = 120 kW. A minute later 14 x 2 + 17 = 45 kWh: 180 kW.
    value = minutes((0, [2.0] * 16 + [17.0]), width=17)
    found = run(DEMAND, params("electricity-meter"), steps=2, energy=minutes((0, value.value[0]), width=17))
    assert found.columns["demand"] == pytest.approx([120.0, 180.0])


@pytest.mark.parametrize(
    ("covered", "known"),
    [
        # Minute 0 lies before the window of 15; 13.5 of 15 minutes are 90 %.
        ({5: 0.0}, True),
        ({5: 0.0, 6: 30.0}, True),
        ({5: 0.0, 6: 0.0}, False),
        ({0: 0.0}, False),
        ({0: 0.0, 1: 0.0}, False),
    ],
)
def test_demand_after_a_gap(covered: dict[int, float], known: bool) -> None:
    seconds = np.full((1, 16), 60.0)
    for minute, share in covered.items():
        seconds[0, minute] = share
    found = run(DEMAND, params("electricity-meter"), energy=minutes((0, 2.0), width=16, covered=seconds))
    assert np.isfinite(found.columns["demand"]).all() == known


def test_what_was_counted_in_a_gap_is_no_demand() -> None:
    # Away for an hour, then 60 kWh at once and 1 kWh a minute: the first demand is 60 kW, 15 minutes after the return.
    value = np.concatenate([np.zeros(15), [60.0], np.ones(19)])
    seconds = np.full((1, 35), 60.0)
    seconds[0, :15] = 0.0
    found = run(DEMAND, params("electricity-meter"), steps=20, energy=minutes((0, value), width=35, covered=seconds))
    known = found.columns["demand"][np.isfinite(found.columns["demand"])]
    assert known == pytest.approx([60.0] * 5)
