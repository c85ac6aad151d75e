"""Settings, rules, the register of limits and its report."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from park_sdk.register import Row
from park_sdk.report import NEWEST, Data, RegisterNeed
from park_systems.environment.registers import LIMITS, LimitRow
from park_systems.environment.reports import LIMITS_IN_FORCE, LimitsParams
from park_systems.environment.rules import rules
from park_systems.environment.settings import Settings
from park_wire.quantities import Text

CHINA = ZoneInfo("Asia/Shanghai")
ROW: dict[str, Any] = {
    "outlet": "stack",
    "asset": "stack-1",
    "pollutant": "so2",
    "limit": 35.0,
    "unit": "mg/m3",
    "averaging": "hour",
    "o2_reference": 6.0,
    "standard": "排污许可证 91150100",
    "valid_from": date(2025, 1, 1),
    "confirmed": True,
}


def test_early_warnings_are_off_until_the_park_wants_them() -> None:
    off = {rule.id for rule in rules(Settings()) if not rule.enabled}
    assert off == {"so2-share", "nox-share", "dust-share", "cod-share", "ammonia-share", "stack-dilution"}
    on = rules(Settings(confirmed=frozenset({"stack-share"})))
    assert {rule.id for rule in on if not rule.enabled} == {"cod-share", "ammonia-share", "stack-dilution"}


def test_no_rule_watches_what_an_instrument_measures() -> None:
    """Two systems that watch one point would alarm twice."""
    measured = {"so2", "nox", "dust", "so2-converted", "nox-converted", "dust-converted", "ph", "cod", "o2"}
    assert not measured & {rule.on.quantity for rule in rules(Settings())}


def test_limits_that_came_along_count_only_when_somebody_confirmed_them() -> None:
    first = [row for row in LIMITS.first if isinstance(row, LimitRow)]
    assert [row.pollutant for row in first if row.confirmed] == ["ph"]
    assert all("unconfirmed" in row.standard for row in first if not row.confirmed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"unit": "mg/L"},
        {"outlet": "outfall"},
        {"lower_limit": 3.0},
        {"pollutant": "ph", "outlet": "outfall", "unit": "pH", "limit": 9.0, "o2_reference": None},
        {"pollutant": "cod", "outlet": "outfall", "unit": "mg/L"},
        {"valid_to": date(2024, 12, 31)},
        {"limit": 0.0},
        {"limit": float("nan")},
        {"o2_reference": 21.0},
        {"standard": ""},
        {"pollutant": "no-such"},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    LimitRow.model_validate(ROW)
    with pytest.raises(ValidationError):
        LimitRow.model_validate(ROW | wrong)


@pytest.mark.parametrize("wrong", [{"ph_low": 9.0}, {"highest_o2": 21.0}, {"reference_o2": 21.0}, {"confirmed": ["x"]}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_a_limit_is_due_on_its_last_day() -> None:
    due = LIMITS.due
    assert due is not None
    assert due(Row(LimitRow.model_validate(ROW)), Settings(), CHINA) is None
    last = LimitRow.model_validate(ROW | {"valid_to": date(2026, 12, 31)})
    assert due(Row(last), Settings(), CHINA) == datetime(2026, 12, 31, 23, 59, 59, tzinfo=CHINA)


def test_report_shows_what_is_in_force_on_the_day() -> None:
    rows = [
        LimitRow.model_validate(ROW | {"valid_to": date(2026, 11, 23)}),
        LimitRow.model_validate(ROW | {"limit": 30.0, "valid_to": date(2026, 11, 24), "confirmed": False}),
        LimitRow.model_validate(ROW | {"limit": 20.0, "valid_from": date(2026, 11, 25)}),
        LimitRow.model_validate(ROW | {"limit": 50.0, "pollutant": "nox"}),
    ]
    data = Data(
        totals={},
        registers={"limits": [Row(row) for row in rows]},
        alarms={},
        enterprises={},
        park=Text("园", "Park"),
        time_zone=CHINA,
        settings=Settings(),
        now=0,
    )
    params = LimitsParams(day=date(2026, 11, 24))
    # A limit that was entered later counts for the days that its row names.
    assert LIMITS_IN_FORCE.needs(params, CHINA) == {"limits": RegisterNeed("environment.limits", NEWEST)}
    document = LIMITS_IN_FORCE.build(params, data)
    assert [row[4] for row in document.tables[0].rows] == [50.0, 30.0]
    assert document.tables[0].rows[0][2] == Text("氮氧化物", "NOx")
    assert {fact.id: fact.value for fact in document.facts} == {"in-force": 2, "unconfirmed": 1}
