"""The safety system's figures, each against a calculation by hand."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Grid, Minutes, Params, StreamDerivation, Window
from park_sdk.frame import Floats
from park_systems.safety.gas import GAS
from park_systems.safety.pipelines import BALANCE, hour_balance
from park_systems.safety.settings import Settings
from park_systems.safety.system import SYSTEM
from park_systems.safety.vessels import RATIO, RISE

SECOND = 1_000_000
START = 1_795_665_600_000_000


def params(designs: Sequence[Mapping[str, float]], settings: Settings | None = None) -> Params:
    assets = tuple(AssetView(f"a-{i}", "sphere-tank", design=dict(design)) for i, design in enumerate(designs))
    return Params(assets, settings or Settings(), {}, (), ZoneInfo("Asia/Shanghai"))


def run(
    derivation: StreamDerivation, given: Params, seconds: Sequence[float], **values: Sequence[float] | float
) -> Mapping[str, Floats]:
    """One asset's readings; inputs that are not given are NaN."""
    n = len(seconds)
    time = np.array([START + round(second * SECOND) for second in seconds], np.int64)
    names = [each.name for each in derivation.inputs]
    columns = {name: np.broadcast_to(np.asarray(values.get(name, np.nan), np.float64), (n,)).copy() for name in names}
    state = derivation.new_state(len(given.assets))
    return derivation.compute(Window(np.zeros(n, np.intp), time, columns), given, state)[0]


def test_the_system_keeps_to_the_contract() -> None:
    assert check_system(SYSTEM) == []


# vessels --------------------------------------------------------------------------------------------------------------


def test_pressure_ratio() -> None:
    # A sphere of 1.77 MPa at 1.593 MPa: 1.593 / 1.77 = 0.9.
    ratio = run(RATIO, params([{"pressure": 1.77}]), [0, 1], pressure=[1.593, np.nan])["pressure-ratio"]
    assert ratio[0] == pytest.approx(0.9)
    assert np.isnan(ratio[1])


def rise(pressure: Sequence[float], design: float = 1.6, **settings: Any) -> Mapping[str, Floats]:
    seconds = [10.0 * i for i in range(len(pressure))]
    return run(RISE, params([{"pressure": design}], Settings(**settings)), seconds, pressure=pressure)


def test_time_to_limit_of_a_steady_rise_with_wild_samples() -> None:
    # 0.02 MPa a minute from 1.0 MPa for 5 minutes: 1.1 MPa, and (1.6 - 1.1) / 0.02 = 25 min are left.
    pressure = [1.0 + 0.02 / 6 * i for i in range(31)]
    pressure[7], pressure[20] = 9.0, -0.1
    found = rise(pressure)
    assert found["pressure-rate"][-1] == pytest.approx(0.02)
    assert found["time-to-limit"][-1] == pytest.approx(25.0)
    # To 0.9 of the design pressure: (1.44 - 1.1) / 0.02 = 17 min.
    assert rise(pressure, limit_ratio=0.9)["time-to-limit"][-1] == pytest.approx(17.0)


def test_the_slope_is_the_median_of_all_pairs() -> None:
    # 60 s in 7 samples 0 0 0 0 1 2 3 (MPa): of 21 pairs 6 are flat; sorted slopes per 10 s: six 0, then 1/4 .. 1.
    value = [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]
    pairs = sorted((value[j] - value[i]) / (j - i) for i in range(7) for j in range(i + 1, 7))
    assert rise(value, design=5.0)["pressure-rate"][-1] == pytest.approx(6 * pairs[10])


def test_only_the_set_window_counts() -> None:
    # Ten minutes flat, then five minutes at 0.03 MPa/min: over 300 s all is rising; over 900 s the median pair is less.
    pressure = [1.0] * 61 + [1.0 + 0.005 * i for i in range(1, 31)]
    assert rise(pressure)["pressure-rate"][-1] == pytest.approx(0.03)
    assert rise(pressure, slope_window_s=900)["pressure-rate"][-1] < 0.02


@pytest.mark.parametrize("step", [0.0, -0.01])
def test_what_does_not_rise_has_all_the_time_there_is(step: float) -> None:
    assert rise([1.0 + step * i for i in range(31)])["time-to-limit"][-1] == 100_000.0


def test_above_the_limit_no_time_is_left_even_without_a_slope() -> None:
    assert rise([1.7])["time-to-limit"].tolist() == [0.0]


def test_too_few_samples_say_nothing_and_bad_ones_do_not_count() -> None:
    pressure = [1.0, np.nan, 1.1, 1.2, np.nan, np.nan, 1.3, 1.4]
    found = rise(pressure)
    # The fifth good sample comes after 70 s.
    assert np.isnan(found["time-to-limit"][:7]).all()
    assert np.isfinite(found["time-to-limit"][7])


def test_what_is_older_than_the_window_is_forgotten() -> None:
    # A steep rise, a gap of 300 s, then four samples: too few, however many came before the gap.
    seconds = [10.0 * i for i in range(11)] + [400.0 + 20 * i for i in range(5)]
    pressure = [0.1 * i for i in range(11)] + [0.5, 0.5, 0.5, 0.5, 0.5]
    found = run(RISE, params([{"pressure": 1.6}]), seconds, pressure=pressure)["pressure-rate"]
    assert np.isnan(found[14])
    assert found[15] == 0.0
    # The longest window that can be set, and the stretch in which it begins, are asked of the past.
    assert RISE.window_s >= 900 + RISE.every_s


# pipelines ------------------------------------------------------------------------------------------------------------


def test_balance_of_an_even_loss_at_irregular_times() -> None:
    # 120 m3/h in, 100 out: 20 m3/h for 5 minutes is 1.6667 m3, for 15 minutes 5 m3, whenever the readings came.
    rng = np.random.default_rng(7)
    seconds = np.cumsum(rng.uniform(1, 25, 100)).tolist()
    found = run(BALANCE, params([{}]), seconds, flow_in=120.0, flow_out=100.0)
    assert found["pipeline-imbalance"][-1] == pytest.approx(20 * 5 / 60)
    assert found["pipeline-imbalance-15m"][-1] == pytest.approx(5.0)
    assert np.isnan(found["pipeline-imbalance"][0])


def test_balance_of_a_ramp_with_unequal_steps() -> None:
    # The loss grows by 36 m3/h each minute, so 0.6 t (t in s): from 100 s to 400 s 0.3 (400² - 100²) / 3600 = 12.5 m3.
    seconds = [0, 7, 20, 48, 60, 89, 110, 139, 150, 171, 200, 220, 249, 270, 299, 310, 339, 360, 381, 400]
    found = run(BALANCE, params([{}]), seconds, flow_in=[0.6 * t for t in seconds], flow_out=0.0)
    assert found["pipeline-imbalance"][-1] == pytest.approx(12.5)


def test_line_pack_is_no_loss() -> None:
    # 300 m3/h more in than out for 5 minutes is 25 m3; 0.01 MPa at 2,090 m3/MPa is 20.9 m3 of it: 4.1 m3 are missing.
    seconds = [10.0 * i for i in range(31)]
    pressure = [0.37 + 0.01 * i / 30 for i in range(31)]
    given = {"flow_in": 1_300.0, "flow_out": 1_000.0, "pressure_in": pressure, "pressure_out": pressure}
    found = run(BALANCE, params([{"line-pack": 2_090.0}]), seconds, **given)
    assert found["pipeline-imbalance"][-1] == pytest.approx(25.0 - 20.9)
    # Without the design value it is left out, with it and without a pressure there is no balance.
    assert run(BALANCE, params([{}]), seconds, **given)["pipeline-imbalance"][-1] == pytest.approx(25.0)
    given["pressure_out"] = np.nan
    assert np.isnan(run(BALANCE, params([{"line-pack": 2_090.0}]), seconds, **given)["pipeline-imbalance"][-1])


def test_a_long_gap_is_not_filled_and_a_short_one_is() -> None:
    seconds = [float(s) for s in range(0, 301, 5)]
    gap = [s for s in seconds if not 100 < s < 135]
    short = [s for s in seconds if not 100 < s < 125]
    bad = [np.nan if 100 < s < 125 else 50.0 for s in seconds]
    for times, flow, missing in ((gap, 50.0, True), (short, 50.0, False), (seconds, bad, False)):
        value = run(BALANCE, params([{}]), times, flow_in=flow, flow_out=38.0)["pipeline-imbalance"][-1]
        assert np.isnan(value) if missing else value == pytest.approx(1.0)


def test_two_lines_do_not_mix() -> None:
    n = 61
    time = START + np.tile(np.arange(n) * 5 * SECOND, 2)
    asset = np.repeat([0, 1], n)
    flow = np.where(asset == 0, 12.0, -24.0)
    values = {"flow_in": flow, "flow_out": np.zeros(2 * n)}
    values |= {name: np.full(2 * n, np.nan) for name in ("pressure_in", "pressure_out")}
    columns, _ = BALANCE.compute(Window(asset, time, values), params([{}, {}]), BALANCE.new_state(2))
    assert columns["pipeline-imbalance"][[n - 1, 2 * n - 1]] == pytest.approx([1.0, -2.0])


def test_balance_of_the_hour() -> None:
    # 20 m3/h are missing for 56 known minutes and 80 for the first: (56 * 20 + 80) / 57 = 21.0526 m3 in the hour. The
    # minute before is none of it. Line pack: the pressure falls by 0.002 MPa, 4.18 m3 more are missing.
    minutes = 61

    def one(value: Floats) -> Minutes:
        return Minutes(np.array([1]), value[None, :], np.full((1, minutes), 60.0))

    flow_in = np.full(minutes, 120.0)
    flow_in[[5, 17, 30]] = np.nan
    flow_in[:2] = [999.0, 180.0]
    pressure = np.full(minutes, 0.37)
    pressure[[1, -1]] = [0.36, 0.368]
    inputs = {"flow_in": one(flow_in), "flow_out": one(np.full(minutes, 100.0))}
    inputs |= {"pressure_in": one(pressure), "pressure_out": one(pressure)}
    ends = np.array([START + minutes * 60 * SECOND])
    found = hour_balance(Grid(START, minutes, ends, inputs, {}), params([{}, {"line-pack": 2_090.0}]))
    assert found.asset.tolist() == [1]
    assert found.time.tolist() == ends.tolist()
    assert found.columns["pipeline-imbalance-1h"] == pytest.approx([1_200 / 57 + 4.18])
    flow_in[:14] = np.nan  # of the 60 minutes only 47 are left
    found = hour_balance(Grid(START, minutes, ends, inputs, {}), params([{}, {}]))
    assert np.isnan(found.columns["pipeline-imbalance-1h"]).all()


# gas ------------------------------------------------------------------------------------------------------------------


def test_the_highest_channel_by_its_first_level() -> None:
    # 20 of 25 %LEL is 80 %; 15 of 10 mg/m3 H2S is 150 %: level 1 passed, level 2 (200 %) not.
    found = run(GAS, params([{}]), [0, 1, 2, 3], channel_1=[20, 20, np.nan, -1], gas_h2s=[15, np.nan, np.nan, np.nan])
    assert found["gas-alarm-share"][:2] == pytest.approx([150.0, 80.0])
    assert np.isnan(found["gas-alarm-share"][2])
    assert found["gas-alarm-share"][3] == 0.0
