"""Figures of an hour from its minutes, with the rule of when an hour counts. Pure."""

from typing import Final

import numpy as np

from park_sdk.derivation import Grid, Minutes
from park_sdk.frame import Bools, Floats

HOUR: Final = 60
VALID_MINUTES: Final = 45
"""HJ 76-2017, annex B, and HJ 212-2017, annex D: the data of an hour hold at least 45 valid minutes. GB 3095-2026 says
the same of ambient air; for water the same is the platform's own rule."""
_COVERED_S: Final = 45.0
"""The platform's own rule: a minute counts when good readings cover three quarters of it."""


def by_asset(minutes: Minutes, assets: int, width: int) -> Floats:
    """f64[assets, minutes] of the first point of each asset; NaN where there is none, or too little is covered."""
    value = np.full((assets, width), np.nan)
    owner, first = np.unique(minutes.owner, return_index=True)
    value[owner] = np.where(minutes.covered[first] >= _COVERED_S, minutes.value[first], np.nan)
    return value


def has_point(minutes: Minutes, assets: int) -> Bools:
    """bool[assets]: whether an asset has such a point."""
    found = np.zeros(assets, np.bool_)
    found[minutes.owner] = True
    return found


def hour_means(grid: Grid, value: Floats) -> Floats:
    """f64[assets, hours]: means of the hours that end at the grid's steps; NaN with fewer than 45 valid minutes."""
    known = np.isfinite(value)
    total = np.pad(np.cumsum(np.where(known, value, 0.0), axis=1), ((0, 0), (1, 0)))
    count = np.pad(np.cumsum(known, axis=1), ((0, 0), (1, 0)))
    last = np.array([grid.column(int(end)) for end in grid.ends], np.intp)
    first = last - HOUR
    minutes = count[:, last] - count[:, first]
    empty = np.full(minutes.shape, np.nan)
    return np.divide(total[:, last] - total[:, first], minutes, out=empty, where=minutes >= VALID_MINUTES)
