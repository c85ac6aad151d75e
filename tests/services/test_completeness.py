"""Completeness worked out by hand: days and hours of a zone, bursts, holes with and without a reason."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_platform.completeness import NO_REASON, By, Step, edges_of, lines
from park_platform.storage.completeness import Counted, Life, expected_readings
from park_platform.storage.gateways import GapSpan
from park_platform.storage.points import AssetOfPoint, Named, PointRow
from park_sdk.days import day_begins
from park_sdk.frame import NEVER
from park_wire.quantities import Text

SECOND = 1_000_000
HOUR = 3_600 * SECOND
SHANGHAI, BERLIN, KATHMANDU = (ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Berlin", "Asia/Kathmandu"))


def us(zone: ZoneInfo, *clock: int) -> int:
    return round(datetime(*clock, tzinfo=zone).timestamp()) * SECOND


def test_days_are_those_of_the_zone() -> None:
    edges = edges_of(us(SHANGHAI, 2026, 11, 1, 5), us(SHANGHAI, 2026, 11, 3), "day", SHANGHAI)
    assert edges.tolist() == [day_begins(date(2026, 11, day), SHANGHAI) for day in (1, 2, 3)]


@pytest.mark.parametrize(("day", "hours"), [(29, 23), (25, 25)])
def test_a_day_whose_clock_changes_is_one_day(day: int, hours: int) -> None:
    month = 3 if hours == 23 else 10
    start = us(BERLIN, 2026, month, day, 12)
    edges = edges_of(start, start + SECOND, "day", BERLIN)
    assert np.diff(edges).tolist() == [hours * HOUR]
    assert len(edges_of(int(edges[0]), int(edges[1]), "hour", BERLIN)) == hours + 1


def test_hours_begin_with_the_zone_s() -> None:
    edges = edges_of(us(KATHMANDU, 2026, 11, 1, 8, 20), us(KATHMANDU, 2026, 11, 1, 10), "hour", KATHMANDU)
    assert edges.tolist() == [us(KATHMANDU, 2026, 11, 1, hour) for hour in (8, 9, 10)]
    assert edges[0] % HOUR == 15 * 60 * SECOND, "UTC+05:45"


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(1, 72 * 3_600),
    st.sampled_from(["hour", "day"]),
    st.sampled_from([SHANGHAI, BERLIN, KATHMANDU, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")]),
)
def test_edges_hold_the_span_and_nothing_beside_it(at: datetime, seconds: int, step: Step, zone: ZoneInfo) -> None:
    start = round(at.replace(tzinfo=UTC, microsecond=0).timestamp()) * SECOND
    end = start + seconds * SECOND
    edges = edges_of(start, end, step, zone)
    assert edges[0] <= start < edges[1]
    assert edges[-2] < end <= edges[-1]
    assert (np.diff(edges) > 0).all()
    assert not (edges % (60 * SECOND)).any()


def test_expected_is_one_a_period_while_a_point_lives() -> None:
    edges = np.array([0, HOUR, 2 * HOUR])
    life = Life(
        np.array([0, HOUR // 2, 0, 3 * HOUR]),
        np.array([2 * HOUR, 2 * HOUR, HOUR + 90 * SECOND, 4 * HOUR]),
        np.array([1, 10, 60, 1]) * SECOND,
    )
    assert expected_readings(life, edges).tolist() == [[3_600, 3_600], [180, 360], [60, 1], [0, 0]]


def point(number: int, gateway: str, owner: str | None) -> PointRow:
    named = None if owner is None else Named(owner, Text(owner, owner))
    asset = AssetOfPoint(f"asset-{number}", "vessel", Text("某", "some"), named)
    return PointRow(
        number, f"gw-{gateway}", gateway, "plc", f"p-{number}", "pressure", "MPa", 0, 4, 1_000, 3_000, asset
    )


def counted(expected: list[list[float]], received: list[list[float]], good: list[list[float]]) -> Counted:
    never = np.full(np.shape(expected), NEVER)
    return Counted(np.array(expected, float), np.array(received, float), np.array(good, float), never, never)


POINTS = [point(1, "north", "acme"), point(2, "north", None), point(3, "south", "acme")]
COUNTED = counted(
    [[100, 100], [100, 100], [100, 0]],
    # More than expected is no merit; a reading less is none at an edge.
    [[100, 50], [120, 99], [40, 0]],
    [[90, 50], [120, 99], [0, 0]],
)
EDGES = np.array([0, HOUR, 2 * HOUR])
DISK = Text("磁盘已满", "disk full")


def told(by: By, *gaps: GapSpan) -> list[tuple[object, ...]]:
    found = lines(POINTS, COUNTED, EDGES, gaps, by)
    return [(one.key, one.start // HOUR, one.expected, one.received, one.good, one.reasons) for one in found]


def test_by_point() -> None:
    assert told("point", GapSpan("north", HOUR + 1, HOUR + 2, DISK), GapSpan("south", HOUR, None, DISK)) == [
        ("north/plc/p-1", 0, 100, 100, 90, ()),
        ("north/plc/p-1", 1, 100, 50, 50, (DISK,)),
        ("north/plc/p-2", 0, 100, 100, 100, ()),
        ("north/plc/p-2", 1, 100, 99, 99, ()),
        ("south/plc/p-3", 0, 100, 40, 0, (NO_REASON,)),
    ]


def test_by_gateway_and_by_enterprise() -> None:
    assert told("gateway", GapSpan("north", 0, HOUR, DISK)) == [
        ("north", 0, 200, 200, 190, ()),
        ("north", 1, 200, 149, 149, (NO_REASON,)),
        ("south", 0, 100, 40, 0, (NO_REASON,)),
    ]
    assert told("enterprise", GapSpan("south", -5, 5, DISK), GapSpan("south", 6, 7, DISK)) == [
        ("", 0, 100, 100, 100, ()),
        ("", 1, 100, 99, 99, ()),
        ("acme", 0, 200, 140, 90, (DISK,)),
        ("acme", 1, 100, 50, 50, (NO_REASON,)),
    ]


def test_shares() -> None:
    [first, *_, last] = lines(POINTS, COUNTED, EDGES, (), "point")
    assert (first.completeness, first.good_share) == (1.0, 0.9)
    assert (last.completeness, last.good_share) == (0.4, 0.0)


def test_a_share_of_nothing_is_none() -> None:
    [line] = lines(POINTS[:1], counted([[0]], [[5]], [[5]]), EDGES[:2], (), "point")
    assert (line.completeness, line.good_share) == (None, 1.0)
    [line] = lines(POINTS[:1], counted([[5]], [[0]], [[0]]), EDGES[:2], (), "point")
    assert (line.completeness, line.good_share) == (0.0, None)


def test_a_day_is_a_day_of_local_midnights() -> None:
    start = us(SHANGHAI, 2026, 2, 28, 23)
    days = edges_of(start, start + 2 * HOUR, "day", SHANGHAI)
    assert np.diff(days).tolist() == [24 * HOUR] * 2
    assert timedelta(microseconds=int(days[1] - days[0])) == timedelta(days=1)
