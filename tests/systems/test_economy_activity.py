"""The activity index, worked out by hand, and what becomes of it when meters are not read."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from park_sdk.check import check_system
from park_sdk.derivation import MINUTE_US, AssetView, Derived, Grid, Minutes, Of, Params, ParkInput
from park_sdk.frame import Floats
from park_systems.economy.activity import ACTIVITY, activity
from park_systems.economy.rules import rules
from park_systems.economy.settings import Settings
from park_systems.economy.system import SYSTEM

HOUR, DAY = 60, 1_440
START = 1_795_665_600_000_000
SITES = tuple(AssetView(key, "site", enterprise=key) for key in ("chem", "alloy", "food"))


def busy(*kwh_a_minute: float, owner: tuple[int, ...] | None = None) -> Minutes:
    """Meters that count evenly for eight days and an hour."""
    value = np.repeat(np.array(kwh_a_minute)[:, None], 8 * DAY + HOUR, axis=1)
    owners = np.arange(len(kwh_a_minute)) if owner is None else np.array(owner)
    return Minutes(owners.astype(np.intp), value, np.full(value.shape, 60.0))


def unread(minutes: Minutes, meter: int, first: int, last: int) -> Minutes:
    """The same without the minutes [first, last) of one meter."""
    value, covered = minutes.value.copy(), minutes.covered.copy()
    value[meter, first:last], covered[meter, first:last] = np.nan, 0.0
    return Minutes(minutes.owner, value, covered)


def last_hour(minutes: Minutes, value: float, meter: int = 0) -> Minutes:
    """The same with another use in the last hour."""
    changed = minutes.value.copy()
    changed[meter, -HOUR:] = value
    return Minutes(minutes.owner, changed, minutes.covered)


def compute(minutes: Minutes, settings: Settings | None = None, steps: int = 1) -> Derived:
    """The derivation over these minutes, the last of which ends the last step."""
    width = minutes.value.shape[1]
    ends = START + (width - HOUR * np.arange(steps - 1, -1, -1, dtype=np.int64)) * MINUTE_US
    params = Params(SITES, settings or Settings(), {}, (), ZoneInfo("Asia/Shanghai"))
    return activity(Grid(START, width, ends, {"energy": minutes}, {}), params)


def index(minutes: Minutes, settings: Settings | None = None) -> Floats:
    """The index of the last hour, of each works that has a meter."""
    return compute(minutes, settings).columns["activity-index"]


def test_the_system_keeps_to_the_contract() -> None:
    assert check_system(SYSTEM) == []


def test_it_counts_no_sub_meter_twice() -> None:
    (read,) = ACTIVITY.inputs
    assert isinstance(read, ParkInput)
    assert (read.of, read.kinds) == (Of.TOP, ("electricity-meter",))


def test_an_even_load_is_a_hundred() -> None:
    assert index(busy(2.0, 30.0, 0.5)) == pytest.approx([100.0, 100.0, 100.0])


def test_the_last_hour_against_seven_days() -> None:
    # 60 min at 1.5 kWh are 90 kWh; the same hour took 60 * 2 = 120 kWh on six days and 60 * 3 = 180 kWh on the day
    # before: mean (6 * 120 + 180) / 7 = 128.571 kWh, index 100 * 90 / 128.571 = 70.
    minutes = last_hour(busy(2.0), 1.5)
    minutes.value[0, -HOUR - DAY : -DAY] = 3.0
    # What the day before took in other hours is another matter.
    minutes.value[0, -2 * HOUR : -HOUR] = 99.0
    assert index(minutes) == pytest.approx([70.0])


def test_two_feeders_of_a_works_are_one_load() -> None:
    # Now 60 * (1 + 1) = 120 kWh, before 60 * (1 + 3) = 240 kWh.
    assert index(last_hour(busy(1.0, 3.0, owner=(1, 1)), 1.0, meter=1)) == pytest.approx([50.0])
    assert compute(busy(1.0, 3.0, owner=(1, 1))).asset.tolist() == [1]


def test_more_hours() -> None:
    # Six hours: five at 2 and one at 0.8 kWh a minute are 600 + 48 = 648 kWh of 720, a tenth less.
    assert index(last_hour(busy(2.0), 0.8), Settings(hours=6)) == pytest.approx([90.0])


def test_a_young_park_has_an_index_once_a_day_is_covered() -> None:
    minutes = unread(busy(2.0), 0, 0, 7 * DAY)
    assert index(minutes) == pytest.approx([100.0])
    assert np.isnan(index(minutes, Settings(least_days=2))).all()
    assert np.isnan(index(unread(minutes, 0, 0, 7 * DAY + HOUR))).all()


def test_days_before_the_grid_are_not_known() -> None:
    minutes = last_hour(busy(2.0), 1.0)
    short = Minutes(minutes.owner, minutes.value[:, -2 * DAY :], minutes.covered[:, -2 * DAY :])
    assert index(short) == pytest.approx([50.0])
    assert np.isnan(index(short, Settings(least_days=2))).all()


def test_days_that_were_not_covered_do_not_count() -> None:
    # The day before took 240 kWh and two days before are missing: of the six that are left the mean is
    # (5 * 120 + 240) / 6 = 140 kWh; now 119 kWh: 85.
    minutes = unread(last_hour(busy(2.0), 119 / 60), 0, 6 * DAY, 6 * DAY + HOUR)
    minutes.value[0, -HOUR - DAY : -DAY] = 4.0
    assert index(minutes) == pytest.approx([85.0])


def test_an_hour_counts_when_nine_tenths_of_it_are_covered() -> None:
    minutes = busy(2.0)
    width = minutes.value.shape[1]
    # A counter makes up for a gap when it is read again.
    read_again = unread(minutes, 0, width - 7, width - 1)
    read_again.value[0, -1] = 7 * 2.0
    assert index(read_again) == pytest.approx([100.0])
    assert np.isnan(index(unread(minutes, 0, width - 7, width))).all()


def test_a_meter_that_is_not_read_takes_its_works_with_it_and_no_other() -> None:
    minutes = busy(1.0, 3.0, 5.0, owner=(0, 0, 2))
    width = minutes.value.shape[1]
    found = compute(unread(minutes, 1, width - HOUR, width))
    assert found.asset.tolist() == [0, 2]
    assert np.isnan(found.columns["activity-index"][0])
    assert found.columns["activity-index"][1] == pytest.approx(100.0)


def test_standstill_start_and_what_lies_beyond_the_range() -> None:
    assert index(last_hour(busy(2.0), 0.0)).tolist() == [0.0]
    # Nothing to compare with, and a hundredfold that the catalogue bounds at 1000.
    assert np.isnan(index(last_hour(busy(0.0), 2.0))).all()
    assert index(last_hour(busy(0.02), 2.0)).tolist() == [1_000.0]


def test_without_a_meter_there_is_no_point() -> None:
    none = Minutes(np.empty(0, np.intp), np.empty((0, 8 * DAY + HOUR)), np.empty((0, 8 * DAY + HOUR)))
    assert len(compute(none).asset) == 0


def test_steps_come_one_by_one_as_they_do_together() -> None:
    rng = np.random.default_rng(7)
    minutes = busy(2.0, 3.0, owner=(0, 2))
    minutes.value[:] = rng.uniform(0, 5, minutes.value.shape)
    together = compute(minutes, steps=3)
    assert together.asset.tolist() == [0, 0, 0, 2, 2, 2]
    cut = Minutes(minutes.owner, minutes.value[:, : -2 * HOUR], minutes.covered[:, : -2 * HOUR])
    assert together.columns["activity-index"][[0, 3]] == pytest.approx(index(cut))


def test_low_activity_is_pointed_out_only_where_the_park_wants_it() -> None:
    by_id = {rule.id: rule for rule in rules(Settings())}
    assert by_id["filing-overdue"].enabled
    assert not by_id["activity-low"].enabled
    (low,) = [rule for rule in rules(Settings(watch_low=True, low=40.0)) if rule.id == "activity-low"]
    assert (low.enabled, low.limit, low.kind) == (True, 40.0, "L")


@pytest.mark.parametrize(
    "wrong",
    [{"hours": 0}, {"hours": 25}, {"least_days": 8}, {"least_covered": 0.0}, {"low": float("nan")},
     {"since": "2026-13"}, {"since": "2026"}, {"least_months": 0}, {"no_such": 1}],
)  # fmt: skip
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)
