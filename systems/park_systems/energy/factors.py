"""Which conversion factor applies at a time. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from park_sdk.days import day_begins, day_ends
from park_sdk.frame import FOREVER, Floats, Int64s, Rows
from park_systems.energy.registers import Carrier, FactorRow, Figure

REGISTER: Final = "energy.factors"


@dataclass(frozen=True, slots=True)
class Applied:
    """Factors at n times. value: f64[n], NaN where none is in force. used: those that are used at any of the times."""

    value: Floats
    used: tuple[FactorRow, ...]


def factors_at(
    rows: Iterable[FactorRow],
    carrier: Carrier,
    figure: Figure,
    at: Int64s,
    zone: ZoneInfo,
    *,
    use_unconfirmed: bool,
) -> Applied:
    """The factor of a carrier at these times (i64[n], µs UTC); of several in force that which came into force last.

    A row is valid by whole days of the park. Where none is in force nothing is guessed.
    """
    counts = [
        row for row in rows if row.carrier == carrier and row.figure == figure and (row.confirmed or use_unconfirmed)
    ]
    counts.sort(key=lambda row: row.valid_from)
    chosen = np.full(len(at), -1, np.intp)
    for number, row in enumerate(counts):
        chosen[(at >= day_begins(row.valid_from, zone)) & (at < _end(row, zone))] = number
    value = np.array([*(row.factor for row in counts), np.nan])[chosen]
    return Applied(value, _used(counts, chosen))


def _used(rows: Sequence[FactorRow], chosen: Rows) -> tuple[FactorRow, ...]:
    return tuple(rows[number] for number in range(len(rows)) if (chosen == number).any())


def _end(row: FactorRow, zone: ZoneInfo) -> int:
    return FOREVER if row.valid_to is None else day_ends(row.valid_to, zone)
