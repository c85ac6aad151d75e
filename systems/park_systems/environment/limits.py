"""Which limit applies to an asset at a time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from park_sdk.days import day_begins, day_ends
from park_sdk.derivation import Params
from park_sdk.frame import FOREVER, Floats, Int64s, Rows
from park_systems.environment.registers import LimitRow, Pollutant
from park_systems.environment.settings import Settings

REGISTER = "environment.limits"


@dataclass(frozen=True, slots=True)
class Applied:
    """Limits row by row, f64[n]; NaN where none applies. reference_o2: that of the settings where no row gives one."""

    limit: Floats
    lower: Floats
    reference_o2: Floats


def limits_of(
    params: Params, pollutant: Pollutant, asset: Rows, at: Int64s, averaging: Sequence[str] = ("instant", "hour", "day")
) -> Applied:
    """The strictest limit of a pollutant that applies to each asset at each time.

    Args:
        params: With the limits register's rows.
        pollutant: Of the register.
        asset: intp[n], into `params.assets`.
        at: i64[n], µs UTC; a row is valid by whole days of the park.
        averaging: Rows of these averaging times count.
    """
    settings = cast("Settings", params.settings)  # the system's own model, by contract
    n = len(asset)
    limit, lower = np.full(n, np.inf), np.full(n, -np.inf)
    reference = np.full(n, settings.reference_o2)
    for row in (cast("LimitRow", each.record) for each in params.registers.get(REGISTER, ())):
        counts = row.confirmed or settings.judge_unconfirmed
        if row.pollutant != pollutant or row.averaging not in averaging or not counts:
            continue
        named = np.array([row.asset in {None, each.key} for each in params.assets], np.bool_)
        applies = named[asset] & (at >= day_begins(row.valid_from, params.time_zone)) & (at < _end(row, params))
        stricter = applies & (row.limit < limit)
        reference[stricter] = settings.reference_o2 if row.o2_reference is None else row.o2_reference
        limit[stricter] = row.limit
        if row.lower_limit is not None:
            lower[applies] = np.maximum(lower[applies], row.lower_limit)
    return Applied(np.where(np.isinf(limit), np.nan, limit), np.where(np.isinf(lower), np.nan, lower), reference)


def _end(row: LimitRow, params: Params) -> int:
    return FOREVER if row.valid_to is None else day_ends(row.valid_to, params.time_zone)
