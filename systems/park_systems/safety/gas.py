"""Gas detectors: the highest channel, each measured by the first alarm level of its gas."""

from typing import Final, cast

import numpy as np

from park_sdk.derivation import Columns, Input, Params, State, StreamDerivation, Window
from park_systems.safety.settings import Settings


def highest_share(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """The highest of a detector's channels in % of its gas's first alarm level: 100 is level 1, 200 is level 2.

    Levels: GB/T 50493-2019, see settings. Below zero counts as zero. A channel that is bad is left out, no value only
    if all are. Oxygen, dangerous on both sides, has rules of its own and is not in it.
    """
    levels = cast("Settings", params.settings).first_level.by_quantity()  # the system's own model, by contract
    shares = np.stack([window.values[each.name] / levels[each.quantity] for each in GAS.inputs])
    highest = np.max(shares, axis=0, where=np.isfinite(shares), initial=-np.inf)
    return {"gas-alarm-share": np.where(np.isfinite(highest), 100.0 * np.maximum(highest, 0.0), np.nan)}, state


GAS: Final = StreamDerivation(
    id="gas-alarm-share",
    kinds=("gas-detector",),
    inputs=(
        Input("channel_1", "gas-lel", point="channel-1"),
        *(Input(f"channel_{number}", "gas-lel", point=f"channel-{number}", optional=True) for number in (2, 3, 4)),
        *(
            Input(gas.replace("-", "_"), gas, optional=True)
            for gas in ("gas-h2s", "gas-co", "gas-nh3", "gas-cl2", "gas-so2")
        ),
    ),
    outputs=("gas-alarm-share",),
    compute=highest_share,
)
