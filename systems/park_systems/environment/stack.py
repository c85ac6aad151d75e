"""Stacks with a continuous emission monitor: converted concentrations, rates, limits, and the figures of the hour.

Concentration and flow are taken as the monitor shows them, dry and at the standard state (0 °C, 101.325 kPa), NOx as
NO2: HJ 76-2017 asks monitors to report so.
"""

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
from park_sdk.frame import Bools, Floats
from park_systems.environment.hours import by_asset, has_point, hour_means
from park_systems.environment.limits import REGISTER, limits_of
from park_systems.environment.plausible import plausible
from park_systems.environment.settings import Settings

POLLUTANTS: Final[tuple[Literal["so2", "nox", "dust"], ...]] = ("so2", "nox", "dust")

_CALIBRATING: Final = 2.0
_MAINTENANCE: Final = 3.0
_BLOW_BACK: Final = 5.0


def converted(measured: Floats, o2: Floats, reference_o2: Floats, highest_o2: float) -> Floats:
    """Concentration at the reference oxygen: C (21 - O2ref) / (21 - O2), HJ 212-2017, equation 28.

    NaN where the oxygen is below zero or at `highest_o2` and above: it would divide by next to nothing.
    """
    sound = (o2 >= 0) & (o2 < highest_o2)
    share = np.divide(21.0 - reference_o2, 21.0 - o2, out=np.full(len(o2), np.nan), where=sound)
    return measured * share


def emission_rate(measured: Floats, flow: Floats) -> Floats:
    """kg/h: C Q 1e-6 of mg/m3 and m3/h, HJ 212-2017, annex D. The measured concentration, never the converted one."""
    return np.maximum(measured, 0.0) * flow * 1e-6


def _judged(state: Floats) -> Bools:
    """Whether the monitor measures the stack. Without a state it does; during calibration it measures span gas."""
    return (state != _CALIBRATING) & (state != _MAINTENANCE) & (state != _BLOW_BACK)


def stack_values(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """Converted values, rates, shares of the limit and what the stack does.

    Shares (% of the strictest limit in force, whatever its averaging time) are early warnings; they have no value while
    the monitor is calibrated, in maintenance or blown back, and where no limit applies.
    """
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    values = window.values
    o2, flow = values["o2"], values["flow"]
    judged = _judged(values["treatment"])
    columns: dict[str, Floats] = {"stack-operation": _operation(o2, flow, settings)}
    for name in POLLUTANTS:
        applied = limits_of(params, name, window.asset, window.time)
        value = converted(values[name], o2, applied.reference_o2, settings.highest_o2)
        value = plausible(f"{name}-converted", value)
        share = np.where(judged, 100.0 * np.maximum(value, 0.0) / applied.limit, np.nan)
        columns[f"{name}-converted"] = value
        columns[f"{name}-rate"] = plausible(f"{name}-rate", emission_rate(values[name], flow))
        columns[f"{name}-limit-share"] = plausible(f"{name}-limit-share", share)
    return columns, state


def _operation(o2: Floats, flow: Floats, settings: Settings) -> Floats:
    """0: hardly any flow. 1: it burns. 2: flow, but oxygen as in air: air is drawn in, or the sample line leaks."""
    flows, airy = flow >= settings.least_flow_m3h, o2 >= settings.air_o2
    found = np.where(flows, np.where(airy, 2.0, 1.0), 0.0)
    return np.where(np.isnan(flow) | (flows & np.isnan(o2)), np.nan, found)


STACK: Final = StreamDerivation(
    id="stack",
    kinds=("stack",),
    inputs=(
        Input("o2", "o2"),
        *(Input(name, name, optional=True) for name in POLLUTANTS),
        Input("flow", "flue-flow", optional=True),
        Input("treatment", "treatment-state", optional=True),
    ),
    outputs=(
        "stack-operation",
        *(f"{name}-{figure}" for name in POLLUTANTS for figure in ("converted", "rate", "limit-share")),
    ),
    compute=stack_values,
    # HJ 76-2017, annex B: real-time data at least every 5 s.
    every_s=5.0,
    registers=(REGISTER,),
)


def stack_hours(grid: Grid, params: Params) -> Derived:
    """Of each hour: mean of the converted concentration, that mean over its hourly limit, and what was emitted.

    The mean is that of the hour's minutes, each converted with its own oxygen; the mass is the mean of the minutes'
    rates times one hour. Minutes of calibration, maintenance and blow-back don't count, and 45 must be left.
    """
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    n, hours = len(params.assets), len(grid.ends)
    shape = (n, grid.minutes)
    read = {name: by_asset(minutes, n, grid.minutes) for name, minutes in grid.inputs.items()}
    # A state lasts: the worse end of the minute says what it was.
    judged = _judged(read["treatment_low"]) & _judged(read["treatment_high"])
    o2 = np.where(judged, read["o2"], np.nan)
    asset, step = np.indices((n, hours)).reshape(2, -1)
    # A mean belongs to the hour that ends: a limit that begins at its end does not apply to it.
    at = grid.ends[step] - 1
    columns: dict[str, Floats] = {}
    for name in POLLUTANTS:
        applied = limits_of(params, name, asset, at, ("hour",))
        minute_asset, minute = np.indices(shape).reshape(2, -1)
        reference = limits_of(params, name, minute_asset, grid.start + minute * 60_000_000).reference_o2
        value = converted(read[name].ravel(), o2.ravel(), reference, settings.highest_o2).reshape(shape)
        mean = hour_means(grid, plausible(f"{name}-hour", np.maximum(value, 0.0))).ravel()
        rate = np.where(judged, emission_rate(read[name], read["flow"]), np.nan)
        columns[f"{name}-hour"] = mean
        columns[f"{name}-hour-limit-share"] = plausible(f"{name}-hour-limit-share", 100.0 * mean / applied.limit)
        columns[f"{name}-hour-mass"] = plausible(f"{name}-hour-mass", hour_means(grid, rate).ravel())
    measured = has_point(grid.inputs["o2"], n)[asset]
    return Derived(asset[measured], grid.ends[step][measured], {k: v[measured] for k, v in columns.items()})


STACK_HOURS: Final = ParkDerivation(
    id="stack-hours",
    kinds=("stack",),
    inputs=(
        ParkInput("o2", "o2", Figure.MEAN),
        *(ParkInput(name, name, Figure.MEAN) for name in POLLUTANTS),
        ParkInput("flow", "flue-flow", Figure.MEAN),
        ParkInput("treatment_low", "treatment-state", Figure.LOW),
        ParkInput("treatment_high", "treatment-state", Figure.HIGH),
    ),
    outputs=tuple(f"{name}-{figure}" for name in POLLUTANTS for figure in ("hour", "hour-limit-share", "hour-mass")),
    compute=stack_hours,
    every_s=3_600,
    registers=(REGISTER,),
)
