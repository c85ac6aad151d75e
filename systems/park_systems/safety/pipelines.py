"""Balance of pipelines: what flowed in and not out, less what the line packs. What is left leaked, or is mis-measured.

Volume balance over running windows, the method that API RP 1130 (first edition, 2007; computational pipeline
monitoring; its text was not at hand) calls volume balance: imbalance = integral of (in - out) dt - line pack. Line pack
is design value `line-pack` (m3/MPa) times the change of the mean of both ends' pressures; without the design value it
is left out. Gas flows must be at standard conditions.
"""

from typing import Final

import numpy as np

from park_sdk.derivation import (
    Columns,
    Derived,
    Figure,
    Grid,
    Input,
    Minutes,
    Params,
    ParkDerivation,
    ParkInput,
    State,
    StreamDerivation,
    Window,
)
from park_sdk.frame import Bools, Floats, Int64s, Rows
from park_systems.safety.samples import Samples, no_samples, remembered, with_window

_EVERY_S: Final = 5.0
_HOLD_US: Final = 30_000_000
"""Between readings that lie further apart nothing is known of the flow."""
_WINDOWS_US: Final = {"pipeline-imbalance": 300_000_000, "pipeline-imbalance-15m": 900_000_000}
_REMEMBER_S: Final = 960.0
_KEEP: Final = round(_REMEMBER_S / _EVERY_S) + 2
_COVERED: Final = 0.9
"""How much of a window must be known."""
_US_PER_H: Final = 3.6e9


def balance(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """m3 that flowed in and not out in the last 5 and 15 minutes, less line pack.

    Between two readings the flow is taken to change evenly, so readings may come at any times. No value while less
    than nine tenths of the window are known, or while line pack is to be counted and a pressure is missing.
    """
    net = window.values["flow_in"] - window.values["flow_out"]
    pressure = (window.values["pressure_in"] + window.values["pressure_out"]) / 2
    good = np.isfinite(net)
    samples = with_window(state, window, {"net": net, "pressure": pressure}, good)
    pack = params.design("line-pack")
    line = _Line(samples)
    place = samples.last_at(window.asset[good], window.time[good])
    columns: dict[str, Floats] = {}
    for name, width in _WINDOWS_US.items():
        column = np.full(len(window), np.nan)
        column[good] = line.imbalance(place, width, pack)
        columns[name] = column
    return columns, remembered(samples, len(params.assets), _KEEP)


class _Line:
    """Running integrals along the samples. Only differences within one asset mean anything."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        time, asset, net = samples.time, samples.asset, samples.columns["net"]
        step = np.diff(time)
        self._known = (np.diff(asset) == 0) & (step <= _HOLD_US)
        """bool[s - 1]: whether the flow between a sample and the next is known."""
        hours = np.where(self._known, step, 0) / _US_PER_H
        self._volume = np.concatenate([[0.0], np.cumsum(hours * (net[:-1] + net[1:]) / 2)])
        self._covered = np.concatenate([[0.0], np.cumsum(hours)])

    def imbalance(self, place: Rows, width: int, pack: Floats) -> Floats:
        """m3 in the window of `width` µs before each of these samples; NaN where too little is known."""
        samples = self._samples
        asset, end = samples.asset[place], samples.time[place]
        start = end - width
        before = samples.last_at(asset, start)
        # Where the flow is not known when the window begins, it begins with the first sample in it.
        first = np.searchsorted(samples.asset, asset, "left")
        inside = before >= 0
        inside[inside] = self._known[before[inside]]
        base = np.where(inside, before, np.where(before >= 0, before + 1, first))
        volume, covered, pressure = self._at(base, start, inside)
        change = samples.columns["pressure"][place] - pressure
        packed = np.where(np.isnan(pack[asset]), 0.0, pack[asset] * change)
        share = (self._covered[place] - covered) * _US_PER_H / width
        return np.where(share >= _COVERED, self._volume[place] - volume - packed, np.nan)

    def _at(self, base: Rows, start: Int64s, inside: Bools) -> tuple[Floats, Floats, Floats]:
        """Integral, hours covered and pressure at `start`, between sample `base` and the next; else at `base`."""
        samples = self._samples
        after = np.minimum(base + 1, len(samples) - 1)
        beyond = np.where(inside, start - samples.time[base], 0)
        share = np.divide(beyond, samples.time[after] - samples.time[base], out=np.zeros(len(base)), where=inside)
        net, pressure = samples.columns["net"], samples.columns["pressure"]
        flow = net[base] + share * (net[after] - net[base])
        volume = self._volume[base] + beyond / _US_PER_H * (net[base] + flow) / 2
        level = np.where(inside, pressure[base] + share * (pressure[after] - pressure[base]), pressure[base])
        return volume, self._covered[base] + beyond / _US_PER_H, level


BALANCE: Final = StreamDerivation(
    id="pipeline-balance",
    kinds=("pipeline",),
    inputs=(
        Input("flow_in", "pipeline-flow", point="flow-in"),
        Input("flow_out", "pipeline-flow", point="flow-out"),
        Input("pressure_in", "pipeline-pressure", point="pressure-in", optional=True),
        Input("pressure_out", "pipeline-pressure", point="pressure-out", optional=True),
    ),
    outputs=tuple(_WINDOWS_US),
    compute=balance,
    new_state=lambda n: no_samples(n, _KEEP, ("net", "pressure")),
    every_s=_EVERY_S,
    window_s=_REMEMBER_S,
)

# the last hour, from minutes ------------------------------------------------------------------------------------------

_HOUR: Final = 60
_STEP_S: Final = 300


def hour_balance(grid: Grid, params: Params) -> Derived:
    """m3 that flowed in and not out in the hour before each step's end, less line pack.

    From the means of its minutes; a minute that is missing counts as the mean of the others, of which there must be
    54.
    """
    n = len(params.assets)
    flow_in, flow_out = (_by_asset(grid.inputs[name], n, grid.minutes) for name in ("flow_in", "flow_out"))
    pressure = (
        _by_asset(grid.inputs["pressure_in"], n, grid.minutes) + _by_asset(grid.inputs["pressure_out"], n, grid.minutes)
    ) / 2
    net = flow_in - flow_out
    known = np.isfinite(net)
    volume = np.pad(np.cumsum(np.where(known, net, 0.0), axis=1), ((0, 0), (1, 0)))
    count = np.pad(np.cumsum(known, axis=1), ((0, 0), (1, 0)))
    last = np.array([grid.column(int(end)) for end in grid.ends], np.intp)
    first = np.maximum(last - _HOUR, 0)
    minutes = count[:, last] - count[:, first]
    mean = np.divide(
        volume[:, last] - volume[:, first], minutes, out=np.full(minutes.shape, np.nan), where=minutes >= 54
    )
    pack = params.design("line-pack")[:, None]
    # The pressure at the end of the minute before the hour, and at its end.
    change = pressure[:, last - 1] - pressure[:, np.maximum(first - 1, 0)]
    imbalance = mean - np.where(np.isnan(pack), 0.0, pack * change)
    # A pipeline without both flows has no balance, not a bad one.
    both = np.flatnonzero(known.any(axis=1))
    asset, step = np.repeat(both, len(last)), np.tile(np.arange(len(last)), len(both))
    return Derived(asset, grid.ends[step], {"pipeline-imbalance-1h": imbalance[asset, step]})


def _by_asset(minutes: Minutes, assets: int, width: int) -> Floats:
    """f64[assets, minutes] of the first point of each; NaN where an asset has none."""
    value = np.full((assets, width), np.nan)
    owner, first = np.unique(minutes.owner, return_index=True)
    value[owner] = minutes.value[first]
    return value


HOUR_BALANCE: Final = ParkDerivation(
    id="pipeline-balance-1h",
    kinds=("pipeline",),
    inputs=(
        ParkInput("flow_in", "pipeline-flow", Figure.MEAN, point="flow-in"),
        ParkInput("flow_out", "pipeline-flow", Figure.MEAN, point="flow-out"),
        ParkInput("pressure_in", "pipeline-pressure", Figure.LAST, point="pressure-in"),
        ParkInput("pressure_out", "pipeline-pressure", Figure.LAST, point="pressure-out"),
    ),
    outputs=("pipeline-imbalance-1h",),
    compute=hour_balance,
    every_s=_STEP_S,
    # An hour before the end of the first step, and the minute before that.
    window_s=3_600 - _STEP_S + 60,
)
