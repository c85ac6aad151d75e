"""How busy an enterprise is, told by its electricity. A proxy: it is never shown as output value.

The platform's own: no standard sets it.
"""

from typing import Final

import numpy as np

from park_sdk.derivation import Derived, Figure, Grid, Minutes, Of, Params, ParkDerivation, ParkInput
from park_sdk.frame import Floats, Int64s
from park_systems.economy.settings import Settings
from park_wire.quantities import QUANTITIES

_HOUR_MIN: Final = 60
_DAY_MIN: Final = 1_440
_DAYS: Final = 7


def used_before(minutes: Minutes, last: Int64s, settings: Settings) -> Floats:
    """What each meter counted in the hours that end at these columns, f64[p, ...].

    NaN where too little of the hours is covered; what lies before the grid is not.
    """
    begin = np.maximum(last - settings.hours * _HOUR_MIN, 0)
    known = np.isfinite(minutes.value)
    total = np.pad(np.cumsum(np.where(known, minutes.value, 0.0), axis=1), ((0, 0), (1, 0)))
    covered = np.pad(np.cumsum(minutes.covered, axis=1), ((0, 0), (1, 0)))
    needed = settings.least_covered * settings.hours * 3_600.0
    # Sums of seconds differ in their last bits by how they came about.
    enough = covered[:, last] - covered[:, begin] >= needed - 1e-6
    return np.where(enough, total[:, last] - total[:, begin], np.nan)


def index_of(now: Floats, before: Floats, least_days: int) -> Floats:
    """100 times what is used now over the mean of the days before that are known, f64[...] of f64[..., days].

    NaN with fewer known days, or when nothing was used on them. Bounded by the catalogue: more than ten times the
    usual is ten times.
    """
    known = np.isfinite(before)
    days = known.sum(axis=-1)
    total = np.where(known, before, 0.0).sum(axis=-1)
    usable = (days >= least_days) & (total > 0) & (now >= 0)
    ratio = np.divide(100.0 * now * days, total, out=np.full(now.shape, np.nan), where=usable)
    return np.minimum(ratio, QUANTITIES["activity-index"].high)


def activity(grid: Grid, params: Params) -> Derived:
    """The index of each works that has a meter, at each step's end.

    Consumption of the enterprise's electricity meters that are fed from none of its own, of the last hours, against the
    same hours of up to seven days before. Days are 24 hours; working days and holidays are not told apart. A meter that
    is not covered takes the value of its whole works with it: part of a works would look like less activity.
    """
    assert isinstance(params.settings, Settings)  # noqa: S101 - the platform gives a system its own settings
    minutes, n, m = grid.inputs["energy"], len(params.assets), len(grid.ends)
    ends = np.array([grid.column(int(end)) for end in grid.ends], np.int64)
    columns = np.maximum(ends[:, None] - _DAY_MIN * np.arange(_DAYS + 1), 0)
    of_meter = used_before(minutes, columns, params.settings)
    used = np.zeros((n, m, _DAYS + 1))
    np.add.at(used, minutes.owner, of_meter)
    metered = np.unique(minutes.owner)
    index = index_of(used[metered, :, 0], used[metered, :, 1:], params.settings.least_days)
    return Derived(np.repeat(metered, m), np.tile(grid.ends, len(metered)), {"activity-index": index.ravel()})


ACTIVITY: Final = ParkDerivation(
    id="activity",
    kinds=("site",),
    inputs=(ParkInput("energy", "active-energy", Figure.CONSUMPTION, of=Of.TOP, kinds=("electricity-meter",)),),
    outputs=("activity-index",),
    compute=activity,
    every_s=3_600,
    window_s=8 * 86_400,
)
