"""Values that can't be are no values. Pure."""

import numpy as np

from park_sdk.frame import Floats
from park_wire.quantities import QUANTITIES


def plausible(quantity: str, value: Floats) -> Floats:
    """The values, NaN where they lie beyond the catalogue's range of the quantity."""
    known = QUANTITIES[quantity]
    return np.where((value >= known.low) & (value <= known.high), value, np.nan)
