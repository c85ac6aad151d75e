"""Months as numbers, year * 12 + month - 1, so that they can be counted and compared. Pure."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

DUE_DAY: Final = 15
"""A month is filed by the end of this day of the next. The park's own date: no standard sets it."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def month_number(month: str) -> int:
    """The number of a month written as "2026-01"."""
    return int(month[:4]) * 12 + int(month[5:]) - 1


def month_begins(number: int, zone: tzinfo | None) -> datetime:
    """The first instant of a month."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=zone)


def month_due(number: int, zone: tzinfo) -> datetime:
    """The end of the day by which a month is filed."""
    return month_begins(number + 1, zone) + timedelta(days=DUE_DAY)


def to_us(at: datetime) -> int:
    """An instant in µs UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def local_time(at: int, zone: ZoneInfo) -> datetime:
    """An instant (µs UTC) as the park's clock shows it."""
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def last_ended(at: int, zone: ZoneInfo) -> int:
    """The last month that is over at an instant (µs UTC)."""
    local = local_time(at, zone)
    return local.year * 12 + local.month - 2


def last_due(at: int, zone: ZoneInfo) -> int:
    """The last month whose filing is due at an instant (µs UTC): its day is over."""
    return last_ended(at, zone) - (local_time(at, zone).day <= DUE_DAY)
