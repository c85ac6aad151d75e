"""Which points lie in which outline, over arrays."""

from collections.abc import Sequence

import numpy as np

from park_sdk.frame import Bools, Floats


def in_outline(longitude: Floats, latitude: Floats, outline: Sequence[tuple[float, float]]) -> Bools:
    """Which of n points (degrees, WGS-84) lie in a polygon: bool[n]; none where a coordinate is NaN.

    Even-odd rule: a ray to the east crosses the edges an odd number of times. An edge holds its southern end and not
    its northern one, so a ray through a corner counts once. Over a park a degree is as good as flat. A polygon needs
    three corners, and its last need not repeat its first.
    """
    if len(outline) < 3:
        return np.zeros(len(longitude), np.bool_)
    corners = np.array(outline, np.float64)
    x, y = corners[:, 0], corners[:, 1]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    north = latitude[:, None]
    crosses = (y <= north) != (next_y <= north)
    # An edge along a parallel is never crossed: its rise only has to be no zero.
    rise = np.where(next_y == y, 1.0, next_y - y)
    cut = x + (north - y) / rise * (next_x - x)
    crossings = (crosses & (longitude[:, None] < cut)).sum(axis=1)
    return (crossings % 2 == 1) & np.isfinite(longitude) & np.isfinite(latitude)
