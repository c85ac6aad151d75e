"""Settings, rules, the ledger of special equipment and its report."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from park_sdk.register import Row
from park_sdk.report import Data
from park_systems.safety.registers import SPECIAL_EQUIPMENT, Equipment
from park_systems.safety.reports import INSPECTIONS, InspectionsParams
from park_systems.safety.rules import rules
from park_systems.safety.settings import Settings
from park_wire.quantities import Text

CHINA = ZoneInfo("Asia/Shanghai")


def equipment(**changes: Any) -> Equipment:
    row: dict[str, Any] = {
        "registration_code": "容15蒙C00001(25)",
        "name": "一号液化气球罐",
        "kind": "pressure-vessel",
        "asset": "tank-1",
        "enterprise": "chem",
        "design_pressure": 1.77,
        "last_inspection": date(2024, 5, 1),
        "next_inspection": date(2027, 5, 1),
        "safety_valve_due": date(2026, 12, 31),
        "responsible": "王工",
    }
    return Equipment.model_validate(row | changes)


def test_limits_that_nobody_confirmed_are_off() -> None:
    off = {rule.id for rule in rules(Settings()) if not rule.enabled}
    assert off == {"pressure-ratio-h", "pressure-ratio-hh", "time-to-limit"}
    confirmed = Settings(confirmed=frozenset({"pressure-ratio-hh"}), ratio_high=0.85, ratio_high_high=0.9)
    found = {rule.id: rule for rule in rules(confirmed)}
    assert found["pressure-ratio-hh"].enabled
    assert (found["pressure-ratio-h"].limit, found["pressure-ratio-hh"].limit) == (0.85, 0.9)


@pytest.mark.parametrize(
    ("gas", "first", "second"),
    # GB/T 50493-2019: 25 and 50 %LEL; OEL and twice the OEL in mg/m3.
    [("lel", 25, 50), ("h2s", 10, 20), ("co", 20, 40), ("nh3", 20, 40), ("cl2", 1, 2), ("so2", 5, 10)],
)
def test_gas_has_two_latched_levels(gas: str, first: float, second: float) -> None:
    found = {rule.id: rule for rule in rules(Settings())}
    one, two = found[f"gas-{gas}-h"], found[f"gas-{gas}-hh"]
    assert (one.limit, two.limit, one.kind, two.kind, one.latch, two.latch) == (first, second, "H", "HH", True, True)
    assert not any(rule.enabled for rule in rules(Settings(watch_gas=False)) if rule.id.startswith("gas-"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ratio_high": 0.95, "ratio_high_high": 0.9},
        {"first_level": {"gas_h2s": 12}},
        {"confirmed": ["no-such-rule"]},
        {"slope_window_s": 60},
        {"ratio": 0.9},
        {"limit_ratio": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_equipment_is_due_at_its_first_date() -> None:
    due = SPECIAL_EQUIPMENT.due
    assert due is not None
    assert due(Row(equipment()), Settings(), CHINA) == datetime(2026, 12, 31, 23, 59, 59, tzinfo=CHINA)
    assert due(Row(equipment(safety_valve_due=None)), Settings(), CHINA) == datetime(
        2027, 5, 1, 23, 59, 59, tzinfo=CHINA
    )
    assert due(Row(equipment(state="scrapped")), Settings(), CHINA) is None
    with pytest.raises(ValidationError, match="must come after the last one"):
        equipment(next_inspection=date(2024, 5, 1))


def test_report_lists_overdue_first() -> None:
    late = equipment(registration_code="A", safety_valve_due=date(2026, 11, 20))
    rows = [equipment(), late, equipment(registration_code="B", safety_valve_due=None), equipment(state="out-of-use")]
    data = Data(
        totals={},
        registers={"equipment": [Row(row) for row in rows]},
        alarms={},
        enterprises={"chem": Text("恒远化工", "Hengyuan")},
        park=Text("园", "Park"),
        time_zone=CHINA,
        settings=Settings(),
        now=0,
    )
    asked = InspectionsParams(day=date(2026, 11, 24))
    document = INSPECTIONS.build(asked, data)
    assert [(row[0], row[6]) for row in document.tables[0].rows] == [("A", -4), ("容15蒙C00001(25)", 37)]
    assert {fact.id: fact.value for fact in document.facts} == {"in-use": 3, "due": 2, "overdue": 1}
    need = INSPECTIONS.needs(asked, CHINA)["equipment"]
    assert getattr(need, "as_of", None) == round(datetime(2026, 11, 25, tzinfo=CHINA).timestamp()) * 1_000_000
