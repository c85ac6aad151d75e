"""What counters counted in stretches of minutes, and when such a sum may be believed. Pure."""

from typing import Final

import numpy as np

from park_sdk.derivation import Grid, Minutes
from park_sdk.frame import Bools, Floats

LEAST_COVERED: Final = 0.9
"""The platform's own rule: the share of a stretch that good readings cover at the least."""
_MINUTE_S: Final = 60.0


def counted(grid: Grid, minutes: Minutes, width: int) -> Floats:
    """f64[p, steps]: what each point counted in the `width` minutes before each step's end.

    NaN when less than 90 % of the stretch are covered, or less than 90 % of the minute before it: what a counter counts
    across a gap is booked on the first reading after it, so a gap that reaches into the stretch brings what was
    used before. The grid must hold that minute.
    """
    value = np.nan_to_num(minutes.value, nan=0.0)
    covered = np.clip(minutes.covered, 0.0, _MINUTE_S)
    total, known = (np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0))) for each in (value, covered))
    last = np.array([grid.column(int(end)) for end in grid.ends], np.intp)
    first = last - width
    share = (known[:, last] - known[:, first]) / (_MINUTE_S * width)
    # Cumulative sums leave rounding errors: a share of exactly nine tenths counts.
    sound = (share >= LEAST_COVERED - 1e-9) & (covered[:, first - 1] >= LEAST_COVERED * _MINUTE_S)
    return np.where(sound, np.maximum(total[:, last] - total[:, first], 0.0), np.nan)


def by_owner(minutes: Minutes, sums: Floats, assets: int) -> Floats:
    """f64[assets, steps] of f64[p, steps]: the sum over an asset's points, NaN when one has none; 0 without points."""
    found = np.zeros((assets, sums.shape[1]))
    np.add.at(found, minutes.owner, sums)
    return found


def has_point(minutes: Minutes, assets: int) -> Bools:
    """bool[assets]: whether an asset has such a point."""
    return points_of(minutes, assets) > 0


def points_of(minutes: Minutes, assets: int) -> Floats:
    """f64[assets]: how many points serve an asset."""
    return np.bincount(minutes.owner, minlength=assets).astype(np.float64)
