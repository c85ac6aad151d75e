"""Days of the park begin and end by its clock."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from park_sdk.days import Day, day_begins, day_ends, due_by


@pytest.mark.parametrize(
    ("zone", "hours"), [("Asia/Shanghai", 24), ("Europe/Berlin", 25), ("America/New_York", 24), ("UTC", 24)]
)
def test_a_day_lasts_until_the_next_one_begins(zone: str, hours: int) -> None:
    # In Europe summer time ends on this day.
    day, there = date(2026, 10, 25), ZoneInfo(zone)
    begins = datetime(2026, 10, 25, tzinfo=there).astimezone(UTC)
    assert day_begins(day, there) == round(begins.timestamp()) * 1_000_000
    assert day_ends(day, there) - day_begins(day, there) == hours * 3_600_000_000
    assert day_ends(day, there) - round(due_by(day, there).timestamp()) * 1_000_000 == 1_000_000


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2100-01-01", "9999-12-31"])
def test_a_slip_is_no_day(day: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(day)


@pytest.mark.parametrize("day", [date(1970, 1, 2), date(2099, 12, 31)])
def test_every_day_can_be_reckoned_with(day: date) -> None:
    for zone in ("Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Niue"):
        assert 0 <= day_begins(TypeAdapter(Day).validate_python(day), ZoneInfo(zone)) < day_ends(day, ZoneInfo(zone))
