"""Wastewater outfalls: load, share of the limit, and the pH window."""

from typing import Final, Literal, cast

import numpy as np

from park_sdk.derivation import (
    Columns,
    Derived,
    Figure,
    Grid,
    Input,
    Params,
    ParkDerivation,
    ParkInput,
    State,
    StreamDerivation,
    Window,
)
from park_sdk.frame import Floats, Int64s, Rows
from park_systems.environment.hours import by_asset, has_point, hour_means
from park_systems.environment.limits import REGISTER, limits_of
from park_systems.environment.plausible import plausible
from park_systems.environment.settings import Settings

POLLUTANTS: Final[tuple[Literal["cod", "ammonia-nitrogen"], ...]] = ("cod", "ammonia-nitrogen")


def load(concentration: Floats, flow: Floats) -> Floats:
    """kg/h: C Q / 1000 of mg/L and m3/h, HJ 212-2017, annex D. What flows backwards discharges nothing."""
    return np.maximum(concentration, 0.0) * np.maximum(flow, 0.0) / 1_000.0


def ph_deviation(ph: Floats, low: Floats, high: Floats) -> Floats:
    """How far a pH lies outside its window: negative below, positive above, zero within and on its edges."""
    return ph - np.clip(ph, low, high)


def _window_of(params: Params, asset: Rows, at: Int64s) -> tuple[Floats, Floats]:
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    applied = limits_of(params, "ph", asset, at)
    low = np.where(np.isnan(applied.lower), settings.ph_low, applied.lower)
    return low, np.where(np.isnan(applied.limit), settings.ph_high, applied.limit)


def outfall_values(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """Loads and shares of the strictest limit in force, whatever its averaging time: early warnings."""
    columns: dict[str, Floats] = {}
    for name in POLLUTANTS:
        value = window.values[name]
        limit = limits_of(params, name, window.asset, window.time).limit
        columns[f"{name}-rate"] = plausible(f"{name}-rate", load(value, window.values["flow"]))
        columns[f"{name}-limit-share"] = plausible(f"{name}-limit-share", 100.0 * np.maximum(value, 0.0) / limit)
    return columns, state


def acidity(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """The pH's deviation from its window."""
    low, high = _window_of(params, window.asset, window.time)
    return {"ph-deviation": ph_deviation(window.values["ph"], low, high)}, state


def outfall_hours(grid: Grid, params: Params) -> Derived:
    """Of each hour: what was discharged, and the share of minutes in which the pH left its window."""
    n, hours = len(params.assets), len(grid.ends)
    shape = (n, grid.minutes)
    read = {name: by_asset(minutes, n, grid.minutes) for name, minutes in grid.inputs.items()}
    asset, step = np.indices((n, hours)).reshape(2, -1)
    columns: dict[str, Floats] = {}
    for name in POLLUTANTS:
        mass = hour_means(grid, load(read[name.replace("-", "_")], read["flow"])).ravel()
        columns[f"{name}-hour-mass"] = plausible(f"{name}-hour-mass", mass)
    minute_asset, minute = np.indices(shape).reshape(2, -1)
    low, high = _window_of(params, minute_asset, grid.start + minute * 60_000_000)
    outside = (read["ph_low"].ravel() < low) | (read["ph_high"].ravel() > high)
    known = np.isfinite(read["ph_low"]) & np.isfinite(read["ph_high"])
    columns["ph-outside-share"] = hour_means(grid, np.where(known, 100.0 * outside.reshape(shape), np.nan)).ravel()
    measured = (has_point(grid.inputs["flow"], n) | has_point(grid.inputs["ph_low"], n))[asset]
    return Derived(asset[measured], grid.ends[step][measured], {k: v[measured] for k, v in columns.items()})


OUTFALL: Final = StreamDerivation(
    id="outfall",
    kinds=("outfall",),
    inputs=(
        Input("flow", "wastewater-flow"),
        *(Input(name, name, optional=True) for name in POLLUTANTS),
    ),
    outputs=tuple(f"{name}-{figure}" for name in POLLUTANTS for figure in ("rate", "limit-share")),
    compute=outfall_values,
    every_s=5.0,
    registers=(REGISTER,),
)
ACIDITY: Final = StreamDerivation(
    id="outfall-ph",
    kinds=("outfall",),
    inputs=(Input("ph", "ph"),),
    outputs=("ph-deviation",),
    compute=acidity,
    registers=(REGISTER,),
)
OUTFALL_HOURS: Final = ParkDerivation(
    id="outfall-hours",
    kinds=("outfall",),
    inputs=(
        ParkInput("flow", "wastewater-flow", Figure.MEAN),
        ParkInput("cod", "cod", Figure.MEAN),
        ParkInput("ammonia_nitrogen", "ammonia-nitrogen", Figure.MEAN),
        ParkInput("ph_low", "ph", Figure.LOW),
        ParkInput("ph_high", "ph", Figure.HIGH),
    ),
    outputs=(*(f"{name}-hour-mass" for name in POLLUTANTS), "ph-outside-share"),
    compute=outfall_hours,
    every_s=3_600,
    registers=(REGISTER,),
)
