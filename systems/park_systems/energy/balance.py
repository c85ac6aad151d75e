"""Balance of a meter with its sub-meters over the running hour: what one counted and the others did not.

A check of the platform's own, after the idea of an energy balance network (GB/T 28749-2012, whose text was not at
hand). What imbalance is too much the park has to confirm.
"""

from collections.abc import Callable, Sequence
from typing import Final, cast

import numpy as np

from park_sdk.derivation import Derived, Figure, Grid, Of, Params, ParkDerivation, ParkInput
from park_sdk.frame import Floats
from park_systems.energy.minutes import by_owner, counted, has_point
from park_systems.energy.settings import Settings
from park_wire.quantities import QUANTITIES

_HOUR: Final = 60
_STEP_S: Final = 900


def imbalance(own: Floats, fed: Floats, least: float) -> Floats:
    """(own - fed) / own in %; NaN where `own` is below `least`. Held to what the catalogue can show."""
    share = np.divide(own - fed, own, out=np.full(own.shape, np.nan), where=own >= least)
    known = QUANTITIES["imbalance"]
    # Sub-meters that count a hundred times as much must not vanish as an impossible value.
    return np.clip(100.0 * share, known.low, known.high)


def hour_imbalance(grid: Grid, params: Params, least: Callable[[Settings], float]) -> Derived:
    """The imbalance of the hour before each step's end, of meters that feed others.

    No value when one of the meters is covered for less than 90 % of the hour, or a gap reaches into it.
    """
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    n = len(params.assets)
    own, fed = (by_owner(each, counted(grid, each, _HOUR), n) for each in (grid.inputs["own"], grid.inputs["fed"]))
    # A meter that feeds no other has no balance, not a bad one.
    feeds = np.flatnonzero(has_point(grid.inputs["own"], n) & has_point(grid.inputs["fed"], n))
    value = imbalance(own[feeds], fed[feeds], least(settings))
    return Derived(np.repeat(feeds, len(grid.ends)), np.tile(grid.ends, len(feeds)), {"imbalance": value.reshape(-1)})


def _balance(kind: str, quantity: str, least: Callable[[Settings], float]) -> ParkDerivation:
    return ParkDerivation(
        id=f"balance-{kind}",
        kinds=(kind,),
        inputs=(
            ParkInput("own", quantity, Figure.CONSUMPTION),
            ParkInput("fed", quantity, Figure.CONSUMPTION, Of.FED, (kind,)),
        ),
        outputs=("imbalance",),
        compute=lambda grid, params: hour_imbalance(grid, params, least),
        every_s=_STEP_S,
        # An hour before the end of the first step, and the minute before that.
        window_s=3_600 - _STEP_S + 60,
    )


BALANCES: Final[Sequence[ParkDerivation]] = (
    _balance("electricity-meter", "active-energy", lambda settings: settings.least_kwh),
    _balance("water-meter", "water-volume", lambda settings: settings.least_water_m3),
    _balance("reclaimed-water-meter", "reclaimed-water-volume", lambda settings: settings.least_water_m3),
    _balance("gas-meter", "gas-volume", lambda settings: settings.least_gas_m3),
    # By mass: heat is lost on the way, steam is not.
    _balance("steam-meter", "steam-mass", lambda settings: settings.least_steam_t),
)
