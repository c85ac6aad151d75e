"""Demand (需量): mean power over the last 15 minutes, sliding by the minute, as a demand meter forms it.

No standard sets the sliding minute. 15 min is the period of the demand meters that tariffs bill by; what a park is
billed is on its bill, not here.
"""

from typing import Final

import numpy as np

from park_sdk.derivation import Derived, Figure, Grid, Params, ParkDerivation, ParkInput
from park_systems.energy.minutes import counted

_PERIOD: Final = 15
_PER_HOUR: Final = 60 / _PERIOD


def demand(grid: Grid, params: Params) -> Derived:
    """kW: what the meter counted in the last 15 minutes (kWh) times 4.

    Counted, not the mean of the power read: the counter integrates between readings, a power is read now and then. The
    price is its resolution, 4 steps of the counter per kWh. No value with less than 90 % of the 15 minutes covered, or
    while they hold the first reading after a gap that began before them.
    """
    meters = grid.inputs["energy"]
    power = counted(grid, meters, _PERIOD) * _PER_HOUR
    # One point of each asset: the first that serves it.
    owner, first = np.unique(meters.owner, return_index=True)
    return Derived(
        np.repeat(owner, len(grid.ends)), np.tile(grid.ends, len(owner)), {"demand": power[first].reshape(-1)}
    )


DEMAND: Final = ParkDerivation(
    id="demand",
    kinds=("electricity-meter",),
    inputs=(ParkInput("energy", "active-energy", Figure.CONSUMPTION),),
    outputs=("demand",),
    compute=demand,
    every_s=60,
    # 15 minutes before the end of the first step, and the minute before that.
    window_s=15 * 60,
)
