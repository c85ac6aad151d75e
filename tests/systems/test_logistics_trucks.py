"""Speed limits by zone and the geofence, worked out by hand on zones of simple coordinates."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Params, Window, ZoneView
from park_sdk.frame import Floats
from park_sdk.register import Row
from park_systems.logistics.derive import REGISTER, watch_trucks
from park_systems.logistics.geometry import in_outline
from park_systems.logistics.registers import Vehicle
from park_systems.logistics.settings import Settings
from park_systems.logistics.system import SYSTEM

# A park of 10 x 10, in it a yard of 2 x 2 in the south-west corner and an L of which (8, 8) is the missing part.
PARK = ZoneView("boundary", ((0, 0), (10, 0), (10, 10), (0, 10)))
YARD = ZoneView("yard", ((1, 1), (3, 1), (3, 3), (1, 3)))
BEND = ZoneView("bend", ((5, 5), (9, 5), (9, 7), (7, 7), (7, 9), (5, 9)))
UNDRAWN = ZoneView("works")
TRUCKS = (AssetView("truck-1", "truck"), AssetView("truck-2", "truck"))
TANKER = Vehicle.model_validate(
    {
        "plate": "蒙B·T1001",
        "asset": "truck-2",
        "kind": "train",
        "axles": 6,
        "dangerous": True,
        "licence": "150200000001",
        "licence_until": "2027-06-30",
    }
)
SETTINGS = Settings(zone_speeds={"yard": 10.0, "bend": 20.0}, forbidden_zones=("bend",))


def watch(
    rows: list[tuple[int, float, float, float]],
    settings: Settings = SETTINGS,
    zones: tuple[ZoneView, ...] = (PARK, YARD, BEND, UNDRAWN),
) -> tuple[list[float], list[float], list[float]]:
    """Limit, excess and geofence of rows (truck, longitude, latitude, speed)."""
    columns = np.array(rows, np.float64).T
    window = Window(
        columns[0].astype(np.intp),
        np.arange(len(rows), dtype=np.int64),
        {"longitude": columns[1], "latitude": columns[2], "speed": columns[3]},
    )
    params = Params(TRUCKS, settings, {REGISTER: [Row(TANKER)]}, zones, ZoneInfo("Asia/Shanghai"))
    found, state = watch_trucks(window, params, {})
    assert state == {}
    return found["speed-limit"].tolist(), found["speed-excess"].tolist(), found["geofence"].tolist()


def test_the_system_keeps_to_the_contract() -> None:
    assert check_system(SYSTEM) == []


def test_each_zone_has_its_limit() -> None:
    # On the park's road 36 - 30 = 6 above; in the yard 12 - 10 = 2 above; in the bend 15 - 20 = 5 below;
    # beyond the park 90 - 100 = 10 below.
    limit, excess, fence = watch([(0, 4.0, 4.0, 36.0), (0, 2.0, 2.0, 12.0), (0, 6.0, 6.0, 15.0), (0, 12.0, 4.0, 90.0)])
    assert limit == [30.0, 10.0, 20.0, 100.0]
    assert excess == [6.0, 2.0, -5.0, -10.0]
    assert fence == [1.0, 1.0, 1.0, 0.0]


def test_dangerous_goods_have_their_own_limits() -> None:
    # Order 29 of 2019, article 46: 80 km/h at most on an expressway; 90 - 80 = 10. In the bend it may not be at all.
    limit, excess, fence = watch([(1, 12.0, 4.0, 90.0), (1, 6.0, 6.0, 15.0), (1, 8.0, 8.0, 15.0)])
    assert limit == [80.0, 20.0, 30.0]
    assert excess == [10.0, -5.0, -15.0]
    # (8, 8) is the corner that is missing of the L.
    assert fence == [0.0, 2.0, 1.0]


def test_the_lowest_limit_of_overlapping_zones_holds() -> None:
    wide = ZoneView("wide", ((0, 0), (4, 0), (4, 4), (0, 4)))
    for speeds in ({"wide": 15.0, "yard": 10.0}, {"yard": 10.0, "wide": 15.0}):
        found = watch([(0, 2.0, 2.0, 0.0), (0, 0.5, 0.5, 0.0)], Settings(zone_speeds=speeds), (YARD, wide, PARK))
        assert found[0] == [10.0, 15.0]


def test_a_zone_may_allow_more_than_the_default() -> None:
    assert watch([(0, 2.0, 2.0, 0.0)], Settings(zone_speeds={"yard": 40.0}))[0] == [40.0]


def test_without_a_position_nothing_is_known() -> None:
    limit, excess, fence = watch([(0, np.nan, 2.0, 10.0), (0, 2.0, np.nan, 10.0), (1, np.nan, np.nan, 200.0)])
    assert np.isnan(limit + excess + fence).all()


def test_without_a_speed_the_limit_is_known_all_the_same() -> None:
    limit, excess, fence = watch([(0, 2.0, 2.0, np.nan)])
    assert (limit, fence) == ([10.0], [1.0])
    assert np.isnan(excess).all()


def test_a_park_that_nobody_drew_has_its_limit_and_no_fence() -> None:
    limit, _, fence = watch([(0, 50.0, 50.0, 10.0)], zones=(UNDRAWN,))
    assert limit == [30.0]
    assert np.isnan(fence).all()
    limit, _, fence = watch([(0, 2.0, 2.0, 10.0), (0, 50.0, 50.0, 10.0)], zones=(YARD,))
    assert limit == [10.0, 30.0]
    assert fence[0] == 1.0
    assert np.isnan(fence[1])


def test_a_corner_and_an_edge_count_once() -> None:
    # Rays to the east: from (-1, 0) and (-1, 10) they touch the southern and the northern corner, from (-1, 5) they run
    # through the western and the eastern one, from (1, 5) and (5, 5), which lie inside, through the eastern only.
    diamond = ((5.0, 0.0), (10.0, 5.0), (5.0, 10.0), (0.0, 5.0))
    found = in_outline(np.array([-1.0, -1.0, -1.0, 1.0, 5.0]), np.array([0.0, 10.0, 5.0, 5.0, 5.0]), diamond)
    assert found.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("outline", [(), ((0.0, 0.0),), ((0.0, 0.0), (1.0, 1.0)), ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0))])
def test_what_is_no_area_holds_nothing(outline: tuple[tuple[float, float], ...]) -> None:
    assert not in_outline(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.0, 1.0]), outline).any()


@given(st.lists(st.tuples(st.floats(-2, 12), st.floats(-2, 12)), max_size=50))
def test_a_rectangle_is_its_two_intervals(points: list[tuple[float, float]]) -> None:
    columns: Floats = np.array(points, np.float64).reshape(-1, 2).T
    for outline in (PARK.outline, PARK.outline[::-1], (*PARK.outline, PARK.outline[0])):
        found = in_outline(columns[0], columns[1], outline)
        # What lies on the outline itself may count either way, but the same for every point of an edge.
        strictly = (columns[0] > 0) & (columns[0] < 10) & (columns[1] > 0) & (columns[1] < 10)
        loosely = (columns[0] >= 0) & (columns[0] <= 10) & (columns[1] >= 0) & (columns[1] <= 10)
        assert (found >= strictly).all()
        assert (found <= loosely).all()
