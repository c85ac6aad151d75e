"""Completeness of readings by point, gateway or enterprise, stretch by stretch. Pure.

What is missing is told with its reason: a declared gap of the gateway that reaches into the stretch, or that none is on
record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from park_platform.storage.completeness import Counted
from park_platform.storage.gateways import GapSpan
from park_platform.storage.points import PointRow
from park_sdk.days import day_begins, day_ends
from park_sdk.frame import Int64s
from park_wire.quantities import Text

By: TypeAlias = Literal["point", "gateway", "enterprise"]
Step: TypeAlias = Literal["hour", "day"]
NO_REASON: Final = Text("无登记原因", "no reason is on record")
_HOUR_US: Final = 3_600_000_000
# Of a stretch a reading more or less at its edges is no hole.
_SLACK: Final = 1.0


def edges_of(start: int, end: int, step: Step, zone: ZoneInfo) -> Int64s:
    """The local days or hours that [start, end) (µs) touches, as their edges: i64[s + 1], µs.

    A day of 23 or 25 hours is one day; hours begin where the zone's clock shows none of its minutes.
    """
    first = datetime.fromtimestamp(start / 1e6, zone)
    if step == "day":
        day, last = first.date(), datetime.fromtimestamp((end - 1) / 1e6, zone).date()
        days = [day + timedelta(days=n) for n in range((last - day).days + 1)]
        return np.array([*(day_begins(each, zone) for each in days), day_ends(last, zone)], np.int64)
    past_us = (first.minute * 60 + first.second) * 1_000_000 + first.microsecond
    begin = start - past_us
    return begin + _HOUR_US * np.arange(-(-(end - begin) // _HOUR_US) + 1)


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one point, gateway or enterprise in one stretch. Times in µs UTC, counts of readings.

    key: of a point gateway/device/name; the empty string for what belongs to no enterprise. reasons: why something is
    missing; none when nothing is.
    """

    key: str
    start: int
    end: int
    expected: float
    received: float
    good: float
    reasons: tuple[Text, ...]

    @property
    def completeness(self) -> float | None:
        """Received of expected, at most 1; None when nothing was expected."""
        return min(self.received / self.expected, 1.0) if self.expected else None

    @property
    def good_share(self) -> float | None:
        """Of what was received, the share of good quality; None when nothing was."""
        return self.good / self.received if self.received else None


def lines(points: Sequence[PointRow], counted: Counted, edges: Int64s, gaps: Iterable[GapSpan], by: By) -> list[Line]:
    """A line for each key and stretch in which something was expected or came, by key and time."""
    names = [_key(point, by) for point in points]
    keys = sorted(set(names))
    group = np.array([keys.index(name) for name in names], np.intp)
    # A burst of one point does not make up for the hole of another.
    received = np.where(counted.expected > 0, np.minimum(counted.received, counted.expected), counted.received)
    sums = np.zeros((3, len(keys), len(edges) - 1))
    missing = np.zeros(sums.shape[1:], np.bool_)
    for total, each in zip(sums, (counted.expected, received, np.minimum(counted.good, received)), strict=True):
        np.add.at(total, group, each)
    np.logical_or.at(missing, group, counted.expected - received > _SLACK)
    gateways: dict[str, set[str]] = {}
    for point, name in zip(points, names, strict=True):
        gateways.setdefault(name, set()).add(point.gateway or point.stream)
    declared = list(gaps)
    found: list[Line] = []
    for row, column in np.argwhere((sums[0] > 0) | (sums[1] > 0)).tolist():
        start, end = int(edges[column]), int(edges[column + 1])
        reasons: tuple[Text, ...] = ()
        if missing[row, column]:
            told = [
                gap.reason
                for gap in declared
                if gap.gateway in gateways[keys[row]]
                and gap.from_time < end
                and (gap.to_time is None or gap.to_time > start)
            ]
            reasons = tuple(dict.fromkeys(told)) or (NO_REASON,)
        expected, came, good = sums[:, row, column].tolist()
        found.append(Line(keys[row], start, end, expected, came, good, reasons))
    return found


def _key(point: PointRow, by: By) -> str:
    if by == "point":
        return point.key
    if by == "gateway":
        return point.gateway or point.stream
    owner = None if point.asset is None else point.asset.owner
    return "" if owner is None else owner.key
