"""The environment system's figures, each against a calculation by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import BaseModel

from park_sdk.bind import Bound
from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Derived, Grid, Minutes, Params, ParkDerivation, StreamDerivation, Window
from park_sdk.derive import derive, fresh_carry
from park_sdk.frame import Floats
from park_sdk.register import Row
from park_sdk.testing import frame_of
from park_systems.environment.air import AIR_HOURS, index_of, sub_index
from park_systems.environment.outfall import ACIDITY, OUTFALL, OUTFALL_HOURS
from park_systems.environment.registers import LIMITS, LimitRow
from park_systems.environment.settings import Settings
from park_systems.environment.stack import STACK, STACK_HOURS, converted
from park_systems.environment.system import SYSTEM
from park_wire.quality import BAD_SEVERITY, MARK_SHIFT, Mark

SECOND = 1_000_000
START = 1_795_665_600_000_000
CHINA = ZoneInfo("Asia/Shanghai")


def row(pollutant: str, limit: float, **changes: Any) -> LimitRow:
    given: dict[str, Any] = {
        "outlet": "stack" if pollutant in {"so2", "nox", "dust"} else "outfall",
        "unit": "mg/m3" if pollutant in {"so2", "nox", "dust"} else "pH" if pollutant == "ph" else "mg/L",
        "averaging": "hour",
        "standard": "permit",
        "valid_from": date(2020, 1, 1),
        "confirmed": True,
    }
    return LimitRow.model_validate({"pollutant": pollutant, "limit": limit, **given, **changes})


def params(*rows: BaseModel, settings: Settings | None = None, assets: int = 1) -> Params:
    views = tuple(AssetView(f"stack-{i + 1}", "stack") for i in range(assets))
    return Params(views, settings or Settings(), {"environment.limits": [Row(each) for each in rows]}, (), CHINA)


def run(
    derivation: StreamDerivation, given: Params, at: int = START, **values: float | Sequence[float]
) -> Mapping[str, Floats]:
    names = [each.name for each in derivation.inputs]
    renamed = {name.replace("_", "-"): value for name, value in values.items()}
    n = max(np.size(value) for value in values.values())
    columns = {name: np.broadcast_to(np.asarray(renamed.get(name, np.nan), np.float64), (n,)).copy() for name in names}
    time = at + np.arange(n) * 5 * SECOND
    return derivation.compute(Window(np.zeros(n, np.intp), time, columns), given, {})[0]


def hour(
    derivation: ParkDerivation,
    given: Params,
    covered: float = 60.0,
    start: float = START,
    **values: float | Sequence[float],
) -> Derived:
    """One hour of one asset from its minutes' figures."""
    inputs: dict[str, Minutes] = {}
    for each in derivation.inputs:
        if each.name in values:
            value = np.broadcast_to(np.asarray(values[each.name], np.float64), (1, 60)).copy()
            inputs[each.name] = Minutes(np.zeros(1, np.intp), value, np.full((1, 60), covered))
        else:
            inputs[each.name] = Minutes(np.zeros(0, np.intp), np.empty((0, 60)), np.empty((0, 60)))
    ends = np.array([int(start) + 3_600 * SECOND])
    return derivation.compute(Grid(int(start), 60, ends, inputs, {}), given)


def test_the_system_keeps_to_the_contract() -> None:
    assert check_system(SYSTEM) == []


# stack ----------------------------------------------------------------------------------------------------------------


def test_conversion_to_reference_oxygen() -> None:
    # HJ 212-2017, equation 28, at 6 % O2: 30 (21 - 6) / (21 - 6) = 30; at 9 %: 30 * 15 / 12 = 37.5; at 20.9 % and
    # below zero there is no value. At 3.5 % reference and 6 % measured: 30 * 17.5 / 15 = 35.
    o2 = np.array([6.0, 9.0, 20.9, 21.0, -0.5, np.nan, 6.0])
    reference = np.array([6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 3.5])
    found = converted(np.full(7, 30.0), o2, reference, 20.9)
    assert found == pytest.approx([30.0, 37.5, np.nan, np.nan, np.nan, np.nan, 35.0], nan_ok=True)


def test_stack_value_rate_and_share() -> None:
    # 28 mg/m3 at 9 % O2 is 28 * 1.25 = 35 converted: 100 % of 35. 28 mg/m3 in 200,000 m3/h: 28 * 2e5 / 1e6 = 5.6 kg/h,
    # of the measured concentration.
    found = run(STACK, params(row("so2", 35.0)), o2=9.0, so2=28.0, flow=200_000.0)
    assert found["so2-converted"][0] == pytest.approx(35.0)
    assert found["so2-limit-share"][0] == pytest.approx(100.0)
    assert found["so2-rate"][0] == pytest.approx(5.6)
    assert np.isnan(found["nox-converted"][0])
    # Without a flow there is no rate, without a limit no share; the conversion stands.
    found = run(STACK, params(), o2=9.0, so2=28.0)
    assert found["so2-converted"][0] == pytest.approx(35.0)
    assert np.isnan([found["so2-rate"][0], found["so2-limit-share"][0]]).all()


def test_a_value_beyond_reason_is_none() -> None:
    # 5,000 mg/m3 at 20.8 % O2 would be 5,000 * 15 / 0.2 = 375,000 mg/m3: more than the catalogue holds possible.
    found = run(STACK, params(row("so2", 35.0)), o2=20.8, so2=5_000.0)
    assert np.isnan([found["so2-converted"][0], found["so2-limit-share"][0]]).all()
    assert run(STACK, params(row("so2", 35.0)), o2=9.0, so2=-2.0, flow=1e5)["so2-rate"][0] == 0.0


@pytest.mark.parametrize(
    ("state", "judged"), [(1, True), (np.nan, True), (4, True), (2, False), (3, False), (5, False)]
)
def test_calibration_is_converted_but_not_judged(state: float, judged: bool) -> None:
    found = run(STACK, params(row("so2", 35.0)), o2=9.0, so2=80.0, treatment=state)
    assert found["so2-converted"][0] == pytest.approx(100.0)
    assert np.isfinite(found["so2-limit-share"][0]) == judged


def test_what_the_stack_does() -> None:
    # 0 stopped (whatever the oxygen), 1 burning, 2 flow with oxygen as in air, nothing when flow is not known.
    found = run(STACK, params(), o2=[20.9, 7.0, 19.0, 7.0, np.nan], flow=[0.0, 1e5, 1e5, np.nan, 1e5])
    assert found["stack-operation"] == pytest.approx([0.0, 1.0, 2.0, np.nan, np.nan], nan_ok=True)


def test_the_strictest_confirmed_limit_in_force_counts() -> None:
    rows = (
        row("so2", 200.0, o2_reference=9.0, standard="GB A"),
        row("so2", 50.0, o2_reference=3.5, standard="GB B"),
        row("so2", 10.0, confirmed=False),
        row("so2", 20.0, asset="stack-9"),
        row("so2", 30.0, valid_from=date(2030, 1, 1)),
        row("so2", 5.0, valid_to=date(2021, 1, 1)),
    )
    # 50 mg/m3 at 3.5 % O2: 30 * (21 - 3.5) / (21 - 6) = 35 is 70 % of it.
    found = run(STACK, params(*rows), o2=6.0, so2=30.0)
    assert (found["so2-converted"][0], found["so2-limit-share"][0]) == pytest.approx((35.0, 70.0))
    # With rows that nobody confirmed: 30 mg/m3 at the settings' 6 % is 300 % of 10.
    found = run(STACK, params(*rows, settings=Settings(judge_unconfirmed=True)), o2=6.0, so2=30.0)
    assert (found["so2-converted"][0], found["so2-limit-share"][0]) == pytest.approx((30.0, 300.0))


def test_a_limit_begins_and_ends_at_the_parks_midnight() -> None:
    # 2026-11-30 24:00 in Shanghai is 16:00 UTC.
    midnight = round(datetime(2026, 11, 30, 16, tzinfo=UTC).timestamp()) * SECOND
    rows = (row("so2", 100.0, valid_to=date(2026, 11, 30)), row("so2", 50.0, valid_from=date(2026, 12, 1)))
    found = run(STACK, params(*rows), at=midnight - 5 * SECOND, o2=[6.0, 6.0], so2=[50.0, 50.0])
    assert found["so2-limit-share"].tolist() == pytest.approx([50.0, 100.0])


def test_marks_travel_with_the_derived_values() -> None:
    bound = Bound(
        "environment",
        STACK,
        params(),
        np.array([[1], [2], [3], [4], [5], [-1]], np.int32),
        np.full((6, 1), 30 * SECOND),
        np.arange(100, 100 + len(STACK.outputs), dtype=np.int32)[:, None],
    )
    mark = Mark.CALIBRATING << MARK_SHIFT
    frame = frame_of([(point, START, 9.0, mark) for point in range(1, 6)])
    found, _ = derive(bound, fresh_carry(bound), frame)
    assert len(found) == len(STACK.outputs)
    assert (found.quality >> MARK_SHIFT == Mark.CALIBRATING).all()
    share = found.quality[found.point == 100 + STACK.outputs.index("so2-limit-share")]
    assert share[0] & BAD_SEVERITY, "no limit applies: there is no value"


def test_hour_of_a_stack() -> None:
    # 40 minutes of 28 mg/m3 at 9 % O2 (35 converted) and 20 of 40 at 6 % (40): the mean is (40*35 + 20*40)/60 = 36.667,
    # 104.76 % of 35. In 200,000 m3/h: (40*28 + 20*40)/60 = 32 mg/m3 measured, 6.4 kg.
    given: dict[str, Any] = {"so2": [28.0] * 40 + [40.0] * 20, "o2": [9.0] * 40 + [6.0] * 20, "flow": 200_000.0}
    found = hour(STACK_HOURS, params(row("so2", 35.0), row("so2", 20.0, averaging="day")), **given)
    assert found.time.tolist() == [START + 3_600 * SECOND]
    assert found.columns["so2-hour"] == pytest.approx([36.66666667])
    assert found.columns["so2-hour-limit-share"] == pytest.approx([104.7619048])
    assert found.columns["so2-hour-mass"] == pytest.approx([6.4])
    assert np.isnan(found.columns["nox-hour"]).all()


def test_the_hour_before_midnight_belongs_to_the_day_that_ends() -> None:
    # START is noon of 2026-11-26 in Shanghai: the hour before midnight keeps to the limit of the 25th.
    midnight = START - 12 * 3_600 * SECOND
    assert datetime.fromtimestamp(midnight / SECOND, CHINA) == datetime(2026, 11, 26, tzinfo=CHINA)
    rows = (row("so2", 100.0, valid_to=date(2026, 11, 25)), row("so2", 50.0, valid_from=date(2026, 11, 26)))
    for begin, share in ((midnight - 3_600 * SECOND, 50.0), (midnight, 100.0)):
        found = hour(STACK_HOURS, params(*rows), start=begin, so2=50.0, o2=6.0)
        assert found.columns["so2-hour-limit-share"] == pytest.approx([share])


def test_44_minutes_are_no_hour_and_45_are() -> None:
    for valid, counts in ((44, False), (45, True)):
        so2 = [30.0] * valid + [np.nan] * (60 - valid)
        found = hour(STACK_HOURS, params(), so2=so2, o2=6.0, flow=1e5)
        assert np.isfinite(found.columns["so2-hour"][0]) == counts
        # Of calibration, too, no more than 15 minutes may be in it.
        state = [1.0] * valid + [2.0] * (60 - valid)
        low, high = [1.0] * 60, state
        found = hour(
            STACK_HOURS, params(), so2=[30.0] * valid + [80.0] * (60 - valid), o2=6.0, flow=1e5,
            treatment_low=low, treatment_high=high,
        )  # fmt: skip
        assert found.columns["so2-hour"] == pytest.approx([30.0 if counts else np.nan], nan_ok=True)
        assert found.columns["so2-hour-mass"] == pytest.approx([3.0 if counts else np.nan], nan_ok=True)


def test_minutes_that_are_hardly_covered_do_not_count() -> None:
    assert np.isnan(hour(STACK_HOURS, params(), covered=44.0, so2=30.0, o2=6.0).columns["so2-hour"]).all()
    assert np.isfinite(hour(STACK_HOURS, params(), covered=45.0, so2=30.0, o2=6.0).columns["so2-hour"]).all()


# outfall --------------------------------------------------------------------------------------------------------------


def test_load_of_an_outfall() -> None:
    # 40 mg/L in 250 m3/h: 40 * 250 / 1000 = 10 kg/h, 80 % of 50 mg/L. Backwards nothing is discharged.
    found = run(OUTFALL, params(row("cod", 50.0, averaging="day")), flow=[250.0, -20.0], cod=40.0)
    assert found["cod-rate"].tolist() == pytest.approx([10.0, 0.0])
    assert found["cod-limit-share"].tolist() == pytest.approx([80.0, 80.0])
    assert np.isnan(found["ammonia-nitrogen-rate"]).all()


def test_hour_of_an_outfall() -> None:
    # 30 minutes of 40 mg/L in 300 m3/h and 30 of 20 mg/L in 100: 12 and 2 kg/h, 7 kg in the hour (and not 30 * 200).
    # pH: 9 of 60 minutes touch a value outside 6 to 9: 15 %.
    found = hour(
        OUTFALL_HOURS, params(), flow=[300.0] * 30 + [100.0] * 30, cod=[40.0] * 30 + [20.0] * 30,
        ph_low=[5.9] * 4 + [6.0] * 56, ph_high=[7.0] * 55 + [9.01] * 5,
    )  # fmt: skip
    assert found.columns["cod-hour-mass"] == pytest.approx([7.0])
    assert found.columns["ph-outside-share"] == pytest.approx([15.0])
    assert np.isnan(found.columns["ammonia-nitrogen-hour-mass"]).all()


def test_ph_window() -> None:
    # GB 8978-1996: 6 to 9, edges included. 5.5 is 0.5 below, 9.2 is 0.2 above.
    found = run(ACIDITY, params(*LIMITS.first), ph=[5.5, 6.0, 7.4, 9.0, 9.2, np.nan])["ph-deviation"]
    assert found == pytest.approx([-0.5, 0.0, 0.0, 0.0, 0.2, np.nan], nan_ok=True)
    # Without a registered limit the settings' window; a permit's own one is stricter.
    assert run(ACIDITY, params(), ph=9.2)["ph-deviation"][0] == pytest.approx(0.2)
    own = row("ph", 8.5, lower_limit=6.5, averaging="instant")
    assert run(ACIDITY, params(own), ph=[6.2, 8.6])["ph-deviation"].tolist() == pytest.approx([-0.3, 0.1])


# air ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "value", "index"),
    [
        # HJ 633-2026, table 3. PM2.5 60 is a breakpoint: 100. 47.5 lies halfway from 35 to 60: 75.
        ("pm25", 60.0, 100),
        ("pm25", 47.5, 75),
        # 36: 50 + 50 / 25 = 52. 36.1: 52.2, rounded up 53.
        ("pm25", 36.0, 52),
        ("pm25", 36.1, 53),
        ("pm25", 700.0, 500),
        # PM10 85: 50 + 50 * 35 / 70 = 75.
        ("pm10", 85.0, 75),
        ("so2-ambient", 900.0, 200),
        ("o3-ambient", 160.0, 50),
        # CO 7.5: 50 + 50 * 2.5 / 5 = 75. NO2 450: 100 + 50 * 250 / 500 = 125.
        ("co-ambient", 7.5, 75),
        ("no2-ambient", 450.0, 125),
        ("no2-ambient", np.nan, np.nan),
    ],
)
def test_sub_index(quantity: str, value: float, index: float) -> None:
    assert sub_index(quantity, np.array([value])) == pytest.approx([index], nan_ok=True)


def test_the_index_is_the_highest_and_needs_all_unless_the_air_is_bad() -> None:
    subs = np.array([[50.0, 50.0, 120.0], [70.0, np.nan, np.nan], *[[20.0, 20.0, 20.0]] * 4])
    assert index_of(subs) == pytest.approx([70.0, np.nan, 120.0], nan_ok=True)


def test_hour_of_a_station() -> None:
    given = {
        "pm25": 47.5,
        "pm10": 50.0,
        "so2_ambient": 15.0,
        "no2_ambient": 40.0,
        "co_ambient": 1.0,
        "o3_ambient": 80.0,
    }
    assert hour(AIR_HOURS, params(), **given).columns["aqi"] == pytest.approx([75.0])
    given.pop("o3_ambient")
    assert np.isnan(hour(AIR_HOURS, params(), **given).columns["aqi"]).all()
    assert len(hour(AIR_HOURS, params()).asset) == 0
