"""A month's account from what its meters counted: which meters count, by day and by carrier. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from park_sdk.derivation import AssetView
from park_sdk.frame import Bools, Floats, Int64s
from park_sdk.metering import one_each, tops
from park_sdk.report import PointView, Totals
from park_systems.energy.cells import rounded
from park_systems.energy.factors import factors_at
from park_systems.energy.registers import Carrier, FactorRow, Figure

CARRIERS: Final[Mapping[str, Carrier]] = {
    "active-energy": "electricity",
    "gas-volume": "natural-gas",
    "heat-energy": "heat",
}
"""The carrier that a counter counts. Steam by mass and water have none."""


@dataclass(frozen=True, slots=True)
class Meters:
    """The counters of a report: one of each asset and quantity, p points in s days that have begun.

    top: bool[p], whether it counts in the sums. amount: f64[p, s]. covered, estimated: f64[p, s], 0 to 1. elapsed:
    f64[s], the share of the day that is over. start: i64[s], µs. unclear: assets and quantities that are left out,
    because of several counters none is called like its quantity.
    """

    points: tuple[PointView, ...]
    top: Bools
    start: Int64s
    amount: Floats
    covered: Floats
    estimated: Floats
    elapsed: Floats
    unclear: tuple[tuple[str, str], ...] = ()

    def of(self, quantity: str) -> Bools:
        """bool[p]: the top meters of a quantity."""
        return self.top & np.array([point.quantity == quantity for point in self.points], np.bool_)

    def blank(self) -> Bools:
        """bool[p]: of which nothing is known in the whole month."""
        return np.logical_and.reduce((self.covered <= 0) & (self.amount <= 0), axis=1)

    def by_day(self, quantity: str) -> Floats:
        """f64[s]: what the top meters counted; NaN without one, or on a day of which nothing is known of one."""
        chosen = self.of(quantity)
        if not chosen.any():
            return np.full(len(self.start), np.nan)
        blank = (self.covered[chosen] <= 0) & (self.amount[chosen] <= 0)
        return np.where(blank.any(axis=0), np.nan, self.amount[chosen].sum(axis=0))

    def month(self, quantity: str) -> float | None:
        """What the top meters counted in all; None without one, or when nothing is known of one in the whole month."""
        chosen = self.of(quantity)
        if not chosen.any() or self.blank()[chosen].any():
            return None
        return rounded(float(self.amount[chosen].sum()))

    def coverage(self) -> Floats:
        """f64[p]: the share of the time that is over which good readings cover; NaN before the month begins."""
        past = self.elapsed.sum()
        return np.clip(self.covered.sum(axis=1) / past, 0, 1) if past > 0 else np.full(len(self.points), np.nan)

    def assumed(self) -> Floats:
        """f64[p]: the share of the amount that rests on an assumption; NaN where nothing was counted."""
        amount = self.amount.sum(axis=1)
        empty = np.full(len(self.points), np.nan)
        return np.divide((self.amount * self.estimated).sum(axis=1), amount, out=empty, where=amount > 0)

    def without_heat(self) -> tuple[str, ...]:
        """Top steam meters that count mass and no heat: their energy is not known."""
        heat = {point.asset.key for point in self.points if point.quantity == "heat-energy"}
        mass = self.of("steam-mass").tolist()
        return tuple(
            point.asset.key for point, top in zip(self.points, mass, strict=True) if top and point.asset.key not in heat
        )


def read_meters(totals: Totals, assets: Sequence[AssetView], enterprise: str | None, now: int, step_us: int) -> Meters:
    """The counters that a report is about, without days that have not begun at `now` (µs).

    Of several counters of one quantity on one asset, such as registers by tariff, that which is called like its
    quantity stands for it, else none does. assets: those of the park. enterprise: None: the park's own meters are top.
    """
    kept, unclear = one_each(totals.points)
    start = np.asarray(totals.start, np.int64)
    begun = start < now
    points = tuple(totals.points[each] for each in kept)
    place = np.array(kept, np.intp)
    return Meters(
        points,
        _top(points, assets, enterprise),
        start[begun],
        np.nan_to_num(totals.value[place][:, begun], nan=0.0),
        np.nan_to_num(totals.covered[place][:, begun], nan=0.0),
        np.nan_to_num(totals.estimated[place][:, begun], nan=0.0),
        np.clip((now - start[begun]) / step_us, 0.0, 1.0),
        tuple(dict.fromkeys((point.asset.key, point.quantity) for point in unclear)),
    )


def _top(points: Sequence[PointView], assets: Sequence[AssetView], enterprise: str | None) -> Bools:
    """Of the enterprise and held by none of the same; of the park itself and fed from nothing."""
    own = [
        point.asset.enterprise == enterprise and (enterprise is not None or point.asset.fed_from is None)
        for point in points
    ]
    return tops(points, assets) & np.array(own, np.bool_)


@dataclass(frozen=True, slots=True)
class Converted:
    """A figure by day, f64[s], NaN where a factor is missing or an amount is unknown; `month`: their sum.

    The month counts days of which nothing is known as nothing, as the amounts' sums do, but lacks no factor. missing:
    carriers without a factor on some day. used: the rows that were applied.
    """

    by_day: Floats
    month: float | None
    missing: tuple[Carrier, ...]
    used: tuple[FactorRow, ...]


def convert(
    meters: Meters, figure: Figure, rows: Sequence[FactorRow], zone: ZoneInfo, *, use_unconfirmed: bool
) -> Converted:
    """Coal equivalent or CO2 of the top meters, each day with the factor of that day."""
    by_day, total = np.zeros(len(meters.start)), 0.0
    missing: list[Carrier] = []
    used: list[FactorRow] = []
    unknown = bool(meters.without_heat())
    for quantity, carrier in CARRIERS.items():
        chosen = meters.of(quantity)
        if not chosen.any():
            continue
        applied = factors_at(rows, carrier, figure, meters.start, zone, use_unconfirmed=use_unconfirmed)
        by_day = by_day + meters.by_day(quantity) * applied.value
        total += float((meters.amount[chosen].sum(axis=0) * applied.value).sum())
        used += applied.used
        if np.isnan(applied.value).any():
            missing.append(carrier)
        unknown |= meters.month(quantity) is None
    metered = any(meters.of(quantity).any() for quantity in CARRIERS)
    if unknown or missing or not metered:
        total = np.nan
    if meters.without_heat() or not metered:
        by_day = np.full(len(meters.start), np.nan)
    return Converted(by_day, None if np.isnan(total) else rounded(total), tuple(missing), tuple(used))
