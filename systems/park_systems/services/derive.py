"""How many requests wait for the park, how many are late, and how much time the most urgent has left.

The promise and its hours are the park's own; no standard sets them.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from park_sdk.derivation import Derived, Grid, Params, ParkDerivation
from park_sdk.frame import Floats, Int64s
from park_sdk.register import Row
from park_systems.services.clock import hours_between, to_us
from park_systems.services.registers import WITH_THE_PARK
from park_systems.services.settings import Settings

REGISTER: Final = "services.requests"
_FARTHEST_H: Final = 10_000.0


def remaining_hours(rows: Sequence[Row], at: Int64s, settings: Settings, zone: Any) -> Floats:
    """What is left of each request's term at these instants (µs UTC), f64[m, r]: term - hours since it was asked.

    Hours as `Settings.working` counts them. NaN before it was asked; negative when it is overdue.
    """
    asked = np.array([to_us(row.record.asked_at) for row in rows], np.int64)
    term = np.array([settings.term(row.record.kind) for row in rows], np.float64)
    left = term[None, :] - hours_between(asked, at, settings.working, zone)
    return np.where(asked[None, :] <= at[:, None], np.clip(left, -_FARTHEST_H, _FARTHEST_H), np.nan)


def count_requests(grid: Grid, params: Params) -> Derived:
    """Requests with the park, those of them that are overdue, and the smallest time left (h), at each step's end.

    With the park are requests that are open or accepted now: a returned or an answered one waits for its enterprise,
    and its clock is not looked at. Without any there is no time left to tell: NaN.
    """
    assert isinstance(params.settings, Settings)  # noqa: S101 - the platform gives a system its own settings
    rows = [row for row in params.registers[REGISTER] if row.state is None or row.state in WITH_THE_PARK]
    left = remaining_hours(rows, grid.ends, params.settings, params.time_zone)
    least = np.fmin.reduce(left, axis=1, initial=np.inf)
    columns = {
        "ticket-count": np.isfinite(left).sum(axis=1).astype(np.float64),
        "ticket-overdue": (left < 0).sum(axis=1).astype(np.float64),
        "sla-remaining": np.where(np.isfinite(least), least, np.nan),
    }
    m, a = len(grid.ends), len(params.assets)
    return Derived(
        np.repeat(np.arange(a), m), np.tile(grid.ends, a), {name: np.tile(each, a) for name, each in columns.items()}
    )


REQUESTS: Final = ParkDerivation(
    id="requests",
    kinds=("park",),
    inputs=(),
    outputs=("ticket-count", "ticket-overdue", "sla-remaining"),
    compute=count_requests,
    every_s=60,
    registers=(REGISTER,),
)
