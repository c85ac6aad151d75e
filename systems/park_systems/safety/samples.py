"""Samples that a stream derivation remembers: the last `keep` of each asset, as arrays. Pure.

The state's arrays are [assets, keep], filled from the right; `time` is NEVER where there is none yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from park_sdk.derivation import State, Window
from park_sdk.frame import NEVER, Bools, Floats, Int64s, Rows


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of all assets, ordered by (asset, time): those remembered and those of the window.

    asset: intp[s]. time: i64[s], µs. columns: f64[s] by name.
    """

    asset: Rows
    time: Int64s
    columns: Mapping[str, Floats]

    def __len__(self) -> int:
        """How many samples."""
        return len(self.asset)

    def last_at(self, asset: Rows, time: Int64s) -> Rows:
        """The last sample of each asset at or before a time, as an index; -1 where there is none."""
        if not len(self) or not len(asset):
            return np.full(len(asset), -1, np.intp)
        zero = min(int(self.time.min()), int(time.min()))
        span = max(int(self.time.max()), int(time.max())) - zero + 1
        found = np.searchsorted(self.asset * span + (self.time - zero), asset * span + (time - zero), "right") - 1
        return np.where((found >= 0) & (self.asset[np.maximum(found, 0)] == asset), found, -1)


def no_samples(assets: int, keep: int, columns: tuple[str, ...]) -> State:
    """Nothing was sampled yet."""
    return {"time": np.full((assets, keep), NEVER), **{name: np.full((assets, keep), np.nan) for name in columns}}


def with_window(state: State, window: Window, columns: Mapping[str, Floats], taken: Bools) -> Samples:
    """What the state remembers and the rows of the window that count (`taken`, bool[n])."""
    owner, slot = np.nonzero(state["time"] != NEVER)
    asset = np.concatenate([owner, window.asset[taken]])
    time = np.concatenate([state["time"][owner, slot], window.time[taken]])
    order = np.lexsort((time, asset))
    joined = {name: np.concatenate([state[name][owner, slot], column[taken]]) for name, column in columns.items()}
    return Samples(asset[order], time[order], {name: column[order] for name, column in joined.items()})


def remembered(samples: Samples, assets: int, keep: int) -> State:
    """The last `keep` samples of each asset, as the next state."""
    state = {name: array.copy() for name, array in no_samples(assets, keep, tuple(samples.columns)).items()}
    count = np.bincount(samples.asset, minlength=assets)
    from_end = np.cumsum(count)[samples.asset] - 1 - np.arange(len(samples))
    kept = from_end < keep
    place = (samples.asset[kept], keep - 1 - from_end[kept])
    state["time"][place] = samples.time[kept]
    for name, column in samples.columns.items():
        state[name][place] = column[kept]
    return state
