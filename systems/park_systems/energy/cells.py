"""Numbers as a document shows them: what is not known is None. Pure."""

import numpy as np

from park_sdk.frame import Floats


def percent(share: float | None) -> float | None:
    """A share in %."""
    return None if share is None else 100.0 * share


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
    return None if np.isnan(value) else float(value)
