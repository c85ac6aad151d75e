"""Numbers as a document shows them: what is not known is None. Pure."""

from typing import Final

import numpy as np

from park_sdk.frame import Floats

_DIGITS: Final = 6


def rounded(value: float | None) -> float | None:
    """A figure without what the subtraction of large counters leaves behind: 20.35, not 20.34999999999127."""
    return None if value is None else round(value, _DIGITS)


def percent(share: float | None) -> float | None:
    """A share in %."""
    return None if share is None else rounded(100.0 * share)


def least(values: Floats) -> float | None:
    """The smallest of those that are known."""
    known = values[np.isfinite(values)]
    return float(known.min()) if len(known) else None


def most(values: Floats) -> float | None:
    """The largest of those that are known."""
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else None


def cell(value: float) -> float | None:
    """A number of a table; None for NaN."""
    return None if np.isnan(value) else rounded(float(value))
