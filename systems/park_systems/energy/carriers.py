"""Energy of a site and of the park by the hour: kWh, coal equivalent and CO2, over the meters at the top of each tree.

Energy is summed where it comes in: sub-meters are in the figure of the meter that feeds them. Coal equivalent by GB/T
2589-2020 (综合能耗计算通则) with equivalent values (当量值), CO2 location-based (GHG Protocol Scope 2 Guidance,
2015): consumption times factor. What is fed back into the grid is not taken off, and water and compressed air, which
carry no energy of their own, are left out.
"""

from collections.abc import Mapping
from typing import Final, cast

import numpy as np

from park_sdk.derivation import Derived, Figure, Grid, Of, Params, ParkDerivation, ParkInput
from park_sdk.frame import Floats
from park_systems.energy import registers
from park_systems.energy.factors import REGISTER, factors_at
from park_systems.energy.minutes import by_owner, counted, has_point, points_of
from park_systems.energy.settings import Settings

_HOUR: Final = 60
CARRIERS: Final[Mapping[str, registers.Carrier]] = {
    "electricity": "electricity",
    "gas": "natural-gas",
    "heat": "heat",
}
"""The carrier that each input counts: kWh, m3 at standard conditions, GJ."""
OUTPUTS: Final[Mapping[str, registers.Figure]] = {"coal-equivalent-hour": "coal-equivalent", "co2-hour": "co2"}


def site_hours(grid: Grid, params: Params) -> Derived:
    """Electricity (kWh), coal equivalent (kgce) and CO2 (kgCO2) of each hour.

    An hour has no value when one of the meters is covered for less than 90 % of it or a gap reaches into it from
    before, when a carrier's factor is not in force, or when a steam meter counts mass but no heat. Without an
    electricity meter there are no kWh; a carrier that has no meter adds nothing.
    """
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    rows = [cast("registers.FactorRow", row.record) for row in params.registers.get(REGISTER, ())]
    n = len(params.assets)
    # A figure belongs to the hour that ends: a factor that begins at its end does not apply to it.
    at = grid.ends - 1
    amount = {name: by_owner(grid.inputs[name], counted(grid, grid.inputs[name], _HOUR), n) for name in CARRIERS}
    metered = {name: has_point(grid.inputs[name], n) for name in CARRIERS}
    steam = grid.inputs["steam"]
    without_heat = points_of(steam, n) > points_of(grid.inputs["heat"], n)
    amount["heat"][without_heat] = np.nan
    metered["heat"] |= without_heat
    columns: dict[str, Floats] = {}
    for output, figure in OUTPUTS.items():
        total = np.zeros((n, len(at)))
        for name, carrier in CARRIERS.items():
            factor = factors_at(
                rows, carrier, figure, at, params.time_zone, use_unconfirmed=settings.use_unconfirmed
            ).value
            total += np.where(metered[name][:, None], amount[name] * factor, 0.0)
        columns[output] = total
    columns["energy-hour"] = np.where(metered["electricity"][:, None], amount["electricity"], np.nan)
    asset, step = np.indices((n, len(at))).reshape(2, -1)
    # A site without meters has no figures, not bad ones.
    kept = np.any(list(metered.values()), axis=0)[asset]
    asset, step = asset[kept], step[kept]
    return Derived(asset, grid.ends[step], {name: column[asset, step] for name, column in columns.items()})


SITE_HOURS: Final = ParkDerivation(
    id="carriers",
    kinds=("site", "park"),
    inputs=(
        ParkInput("electricity", "active-energy", Figure.CONSUMPTION, Of.TOP, ("electricity-meter",)),
        ParkInput("gas", "gas-volume", Figure.CONSUMPTION, Of.TOP, ("gas-meter",)),
        ParkInput("heat", "heat-energy", Figure.CONSUMPTION, Of.TOP, ("steam-meter",)),
        ParkInput("steam", "steam-mass", Figure.CONSUMPTION, Of.TOP, ("steam-meter",)),
    ),
    outputs=(*OUTPUTS, "energy-hour"),
    compute=site_hours,
    every_s=3_600,
    # The minute before the hour says whether a gap reaches into it.
    window_s=60,
    registers=(REGISTER,),
)
