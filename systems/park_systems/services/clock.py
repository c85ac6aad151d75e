"""The clock of a service promise: the hours that count, over arrays of instants."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from park_sdk.frame import Floats, Int64s
from park_systems.services.settings import WorkingHours

_HOUR_US: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DAYS: Final = 3_660


def to_us(at: datetime) -> int:
    """An instant in µs UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def hours_between(begin: Int64s, end: Int64s, working: WorkingHours | None, zone: ZoneInfo) -> Floats:
    """The hours that count from each begin (µs UTC, i64[r]) to each end (i64[m]): f64[m, r], negative backwards.

    Without working hours every hour counts. With them at most ten years are looked at: any term is over by then.
    """
    if working is None or not len(begin) or not len(end):
        return (end[:, None] - begin[None, :]) / _HOUR_US
    first, last = min(begin.min(), end.min()), max(begin.max(), end.max())
    edges, counted = _opening(working, zone, int(first), int(last))
    return np.interp(end, edges, counted)[:, None] - np.interp(begin, edges, counted)[None, :]


def _opening(working: WorkingHours, zone: ZoneInfo, first: int, last: int) -> tuple[Floats, Floats]:
    """Instants at which counting starts and stops from `first` to `last`, and the hours counted until each."""
    end = _day(last, zone)
    edges, counted = [float(first)], [0.0]
    for back in range(min((end - _day(first, zone)).days, _MOST_DAYS), -1, -1):
        day = end - timedelta(days=back)
        if hours := _hours_of(day, working, zone):
            opens, closes = hours
            edges += [float(opens), float(closes)]
            counted += [counted[-1], counted[-1] + (closes - opens) / _HOUR_US]
    # The first day may open before `first`; what lies before any opening counts nothing either way.
    return np.array(edges[1:] or edges), np.array(counted[1:] or counted)


def deadline(begin: int, term_h: float, working: WorkingHours | None, zone: ZoneInfo) -> int | None:
    """The instant by which so many hours have counted since `begin`, both µs UTC; None: not within ten years."""
    left = round(term_h * _HOUR_US)
    if working is None:
        return begin + left
    first = _day(begin, zone)
    for ahead in range(_MOST_DAYS):
        if hours := _hours_of(first + timedelta(days=ahead), working, zone):
            opens, closes = max(hours[0], begin), hours[1]
            if closes - opens >= left:
                return opens + left
            left -= max(closes - opens, 0)
    return None


def _hours_of(day: date, working: WorkingHours, zone: ZoneInfo) -> tuple[int, int] | None:
    """When a day begins and ends to count; None when it does not."""
    if day not in working.also and (day.weekday() not in working.weekdays or day in working.holidays):
        return None
    midnight = datetime.combine(day, time(), zone)
    return to_us(midnight + timedelta(hours=working.begin)), to_us(midnight + timedelta(hours=working.end))


def _day(at: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone).date()
