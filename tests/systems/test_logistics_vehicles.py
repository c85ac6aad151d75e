"""The register of vehicles against article 3 of Order 62 of 2016, its report, and the rules."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from park_sdk.register import Row
from park_sdk.report import Data, RegisterNeed
from park_systems.logistics.registers import VEHICLES, Vehicle, legal_mass
from park_systems.logistics.reports import LICENCES, LicencesParams
from park_systems.logistics.rules import rules
from park_systems.logistics.settings import Settings
from park_wire.quantities import Text

CHINA = ZoneInfo("Asia/Shanghai")

SHANGHAI = ZoneInfo("Asia/Shanghai")


def vehicle(**fields: Any) -> Vehicle:
    """A vehicle with some fields of its own."""
    return Vehicle.model_validate({"plate": "蒙B·T1", "kind": "train", "axles": 6} | fields)


# 交通运输部令2016年第62号 article 3 (4) to (8), kg over which a vehicle is too heavy:
# 二轴货车 18000; 三轴货车 25000, 三轴汽车列车 27000; 四轴货车 31000, 四轴汽车列车 36000; 五轴汽车列车 43000;
# 六轴及六轴以上汽车列车 49000, 其中牵引车驱动轴为单轴的 46000.
@pytest.mark.parametrize(
    ("fields", "kg"),
    [
        ({"kind": "truck", "axles": 2}, 18_000),
        ({"kind": "truck", "axles": 3}, 25_000),
        ({"kind": "train", "axles": 3}, 27_000),
        ({"kind": "truck", "axles": 4}, 31_000),
        ({"kind": "train", "axles": 4}, 36_000),
        ({"kind": "train", "axles": 5}, 43_000),
        ({"kind": "train", "axles": 6}, 49_000),
        ({"kind": "train", "axles": 8}, 49_000),
        ({"kind": "train", "axles": 6, "single_drive_axle": True}, 46_000),
        ({"kind": "train", "axles": 5, "single_drive_axle": True}, 43_000),
        # Paragraph 2 (2): single tyres where twins are taken for granted, 3000 kg less each: 49000 - 2 * 3000.
        ({"axles": 6, "single_tyre_axles": 2}, 43_000),
        # Paragraph 2 (4): never more than the licence says; (5): an exempt vehicle weighs what its licence says.
        ({"axles": 6, "certified_mass": 40.0}, 40_000),
        ({"kind": "truck", "axles": 2, "certified_mass": 40.0}, 18_000),
        ({"kind": "truck", "axles": 5, "exempt": True, "certified_mass": 60.0}, 60_000),
    ],
)
def test_legal_mass(fields: dict[str, Any], kg: int) -> None:
    assert legal_mass(vehicle(**fields)) == pytest.approx(kg / 1_000)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "truck", "axles": 5}, "check kind and axles"),
        ({"kind": "train", "axles": 2}, "check kind and axles"),
        ({"axles": 0}, "greater than or equal"),
        ({"axles": 6, "single_tyre_axles": 6}, "check the axles"),
        ({"exempt": True}, "total mass on its licence"),
        ({"dangerous": True}, "licence and the day"),
        ({"plate": ""}, "at least 1"),
        ({"certified_mass": float("nan")}, "finite"),
        ({"licence_until": "9999-12-31"}, "2100"),
        ({"wheels": 12}, "Extra"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        vehicle(**fields)


def test_a_licence_is_due_at_the_end_of_its_last_day_in_the_park() -> None:
    due = VEHICLES.due
    assert due is not None
    tanker = vehicle(dangerous=True, licence="1", licence_until="2026-12-31")
    assert due(Row(tanker), Settings(), CHINA) == datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
    assert due(Row(vehicle()), Settings(), CHINA) is None


def test_an_enterprise_does_not_say_itself_what_its_vehicles_may_weigh() -> None:
    assert "enterprise" not in VEHICLES.writers


def report(*vehicles: Vehicle) -> Data:
    """What the report is built from."""
    return Data(
        totals={},
        registers={"vehicles": [Row(each) for each in vehicles]},
        alarms={},
        enterprises={"chem": Text("恒远化工", "Hengyuan")},
        park=Text("园", "Park"),
        time_zone=SHANGHAI,
        settings=Settings(),
        now=0,
    )


def test_the_report_lists_what_ends_the_soonest_first() -> None:
    licence = {"dangerous": True, "licence": "1", "enterprise": "chem"}
    data = report(
        vehicle(plate="A", licence_until="2027-01-10", **licence),
        vehicle(plate="B", licence_until="2026-11-20", **licence),
        vehicle(plate="C", licence_until="2028-01-01", **licence),
        vehicle(plate="D"),
    )
    params = LicencesParams(day=date(2026, 12, 1), days=60)
    document = LICENCES.build(params, data)
    # From 2026-12-01: B ended 11 days ago, A ends in 40 days, C beyond the 60.
    assert [(row[0], row[4], row[5]) for row in document.tables[0].rows] == [("B", -11, 49.0), ("A", 40, 49.0)]
    assert {fact.id: fact.value for fact in document.facts} == {"vehicles": 3, "ended": 1, "ending": 1}
    need = LICENCES.needs(params, SHANGHAI)["vehicles"]
    assert need == RegisterNeed("logistics.vehicles", round(datetime(2026, 12, 1, 16, tzinfo=UTC).timestamp() * 1e6))


def test_what_is_not_confirmed_is_off_until_the_park_says_so() -> None:
    assert [rule.id for rule in rules(Settings()) if not rule.enabled] == ["dangerous-load"]
    assert all(rule.enabled for rule in rules(Settings(watch_dangerous_load=True)))


def test_settings_refuse_nonsense() -> None:
    for wrong in ({"speed_limit": 0}, {"zone_speeds": {"yard": -1}}, {"speed_limt": 20}, {"net_tolerance": "some"}):
        with pytest.raises(ValidationError):
            Settings.model_validate(wrong)
