"""Air quality index of a station by the hour, HJ 633-2026 环境空气质量指数（AQI）技术规定, in force 2026-03-01."""

from typing import Final

import numpy as np

from park_sdk.derivation import Derived, Figure, Grid, Params, ParkDerivation, ParkInput
from park_sdk.frame import Floats
from park_systems.environment.hours import by_asset, has_point, hour_means

_INDEX: Final = (0, 50, 100, 150, 200, 300, 400, 500)
_BREAKPOINTS: Final[dict[str, tuple[float, ...]]] = {
    # Table 3. Particles have no row of their own for the hour: that of the day serves. CO in mg/m3, others in µg/m3.
    "pm25": (0, 35, 60, 115, 150, 250, 350, 500),
    "pm10": (0, 50, 120, 250, 350, 420, 500, 600),
    "so2-ambient": (0, 150, 500, 650, 800),
    "no2-ambient": (0, 100, 200, 700, 1200, 2340, 3090, 3840),
    "co-ambient": (0, 5, 10, 35, 60, 90, 120, 150),
    "o3-ambient": (0, 160, 200, 300, 400, 800, 1000, 1200),
}


def sub_index(quantity: str, value: Floats) -> Floats:
    """IAQI: linear between the table's points and rounded up (4.2.6). Above the last point the last index stands.

    SO2 by the hour ends at 800 µg/m3 and 200.
    """
    points = _BREAKPOINTS[quantity]
    exact = np.interp(value, points, _INDEX[: len(points)])
    # What only rounding errors lift above an integer is that integer.
    return np.where(np.isnan(value), np.nan, np.ceil(np.round(exact, 9)))


def index_of(sub_indices: Floats) -> Floats:
    """AQI of f64[6, n]: the highest; with one missing only when it is above 100, else nothing is published."""
    known = np.isfinite(sub_indices)
    highest = np.max(sub_indices, axis=0, where=known, initial=-np.inf)
    return np.where(known.all(axis=0) | (highest > 100), highest, np.nan)


def air_hours(grid: Grid, params: Params) -> Derived:
    """The index of each hour; an hour's mean needs 45 minutes (GB 3095-2026, table 4)."""
    n, hours = len(params.assets), len(grid.ends)
    subs: list[Floats] = []
    for each in AIR_HOURS.inputs:
        value = hour_means(grid, np.maximum(by_asset(grid.inputs[each.name], n, grid.minutes), 0.0)).ravel()
        subs.append(sub_index(each.name.replace("_", "-"), value))
    asset, step = np.indices((n, hours)).reshape(2, -1)
    measured = np.any([has_point(minutes, n) for minutes in grid.inputs.values()], axis=0)[asset]
    return Derived(asset[measured], grid.ends[step][measured], {"aqi": index_of(np.stack(subs))[measured]})


AIR_HOURS: Final = ParkDerivation(
    id="air-hours",
    kinds=("air-station",),
    inputs=tuple(ParkInput(quantity.replace("-", "_"), quantity, Figure.MEAN) for quantity in _BREAKPOINTS),
    outputs=("aqi",),
    compute=air_hours,
    every_s=3_600,
)
