"""Pressure of vessels: how near it is to the design pressure, how fast it rises, and when it will be there.

Design pressure is that of the vessel's nameplate, as TSG 21-2016 (固定式压力容器安全技术监察规程) asks for. The
slope, the time to the limit and the shares at which they alarm are the platform's own: no standard sets them.
"""

from typing import Final, cast

import numpy as np

from park_sdk.derivation import Columns, Input, Params, State, StreamDerivation, Window
from park_sdk.frame import Floats, Rows
from park_systems.safety.samples import Samples, no_samples, remembered, with_window
from park_systems.safety.settings import Settings
from park_wire.quantities import QUANTITIES

VESSELS: Final = ("sphere-tank", "reactor", "boiler-drum")

_EVERY_S: Final = 10.0
_LONGEST_S: Final = 900.0
_KEEP: Final = round(_LONGEST_S / _EVERY_S) + 1
_FEWEST: Final = 5
"""Samples that a slope is taken from at the least, over a minute or more."""
_SHORTEST_MIN: Final = 1.0
_BLOCK: Final = 64
_US_PER_MIN: Final = 60e6


def pressure_ratio(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """P / P_design, gauge pressures."""
    return {"pressure-ratio": window.values["pressure"] / params.design("pressure")[window.asset]}, state


def pressure_rise(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """Slope of the pressure (MPa/min) and minutes until it reaches the limit.

    The slope is that of Theil and Sen: the median of the slopes between all pairs of samples, one sample every 10 s
    over the last 5 to 15 min. It stands against the 29 % of samples that may be wrong. A pressure that does not rise
    has all the time that the catalogue knows (its upper end); with fewer than 5 samples or less than a minute
    nothing is said. Above the limit the time is 0.
    """
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    pressure = window.values["pressure"]
    good = np.isfinite(pressure)
    samples = with_window(state, window, {"pressure": pressure}, good)
    rate = np.full(len(window), np.nan)
    place = samples.last_at(window.asset, window.time)
    for block in np.array_split(np.flatnonzero(good), max(1, -(-len(window) // _BLOCK))):
        rate[block] = _slopes(samples, place[block], settings.slope_window_s)
    limit = params.design("pressure")[window.asset] * settings.limit_ratio
    columns = {"pressure-rate": rate, "time-to-limit": _minutes(pressure, limit, rate)}
    return columns, remembered(samples, len(params.assets), _KEEP)


def _slopes(samples: Samples, place: Rows, window_s: float) -> Floats:
    """The slope at each of these samples, MPa/min, from those of its asset in the window before it."""
    keep = int(window_s // _EVERY_S) + 1
    before = place[:, None] - np.arange(keep)
    index = np.maximum(before, 0)
    age = (samples.time[place][:, None] - samples.time[index]) / _US_PER_MIN
    usable = (before >= 0) & (samples.asset[index] == samples.asset[place][:, None]) & (age <= window_s / 60)
    value = np.where(usable, samples.columns["pressure"][index], np.nan)
    one, other = np.triu_indices(keep, 1)
    slope = (value[:, one] - value[:, other]) / (age[:, other] - age[:, one])
    slope.sort(axis=1)  # NaN last
    pairs = np.isfinite(slope).sum(axis=1)
    row = np.arange(len(place))
    low, high = np.maximum(pairs - 1, 0) // 2, pairs // 2
    middle = (slope[row, low] + slope[row, np.minimum(high, slope.shape[1] - 1)]) / 2
    span = np.where(usable, age, 0.0).max(axis=1, initial=0.0)
    enough = (usable.sum(axis=1) >= _FEWEST) & (span >= _SHORTEST_MIN)
    return np.where(enough, middle, np.nan)


def _minutes(pressure: Floats, limit: Floats, rate: Floats) -> Floats:
    top = QUANTITIES["time-to-limit"].high
    rising = rate > 0
    left = np.divide(limit - pressure, rate, out=np.full(len(rate), top), where=rising)
    minutes = np.where(np.isnan(rate), np.nan, np.clip(left, 0.0, top))
    return np.where(pressure >= limit, 0.0, minutes)


RATIO: Final = StreamDerivation(
    id="pressure-ratio",
    kinds=VESSELS,
    inputs=(Input("pressure", "pressure"),),
    outputs=("pressure-ratio",),
    compute=pressure_ratio,
    design=("pressure",),
)
RISE: Final = StreamDerivation(
    id="pressure-rise",
    kinds=VESSELS,
    inputs=(Input("pressure", "pressure"),),
    outputs=("pressure-rate", "time-to-limit"),
    compute=pressure_rise,
    new_state=lambda n: no_samples(n, _KEEP, ("pressure",)),
    design=("pressure",),
    every_s=_EVERY_S,
    # The stretch in which the window begins is sampled by its first reading: that has to be known, too.
    window_s=_LONGEST_S + _EVERY_S,
)
