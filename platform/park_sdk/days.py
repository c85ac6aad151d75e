"""Days of the park, as people write them into forms. Pure."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field

_FIRST: Final = date(1970, 1, 2)
_BEYOND: Final = date(2100, 1, 1)

MONTH_PATTERN: Final = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
"""A month as people write it: 2026-11."""
Day: TypeAlias = Annotated[date, Field(ge=_FIRST, lt=_BEYOND)]
"""A day that can be reckoned with. What lies beyond is a slip, or 9999-12-31 where the field should be left empty."""


def day_begins(day: date, zone: ZoneInfo) -> int:
    """The first instant of a day, µs UTC."""
    return round(datetime.combine(day, time(), zone).timestamp()) * 1_000_000


def day_ends(day: date, zone: ZoneInfo) -> int:
    """The first instant of the next day, µs UTC."""
    return day_begins(day + timedelta(days=1), zone)


def due_by(day: date, zone: ZoneInfo) -> datetime:
    """The last second of a day: by then something has to be done."""
    return datetime.combine(day, time(23, 59, 59), zone)
