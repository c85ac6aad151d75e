"""Which points a derivation reads and which it gives, worked out from the park's assets and points. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_sdk.derivation import AssetView, Input, Params, StreamDerivation
from park_sdk.frame import Int32s, Int64s

NO_POINT: Final = -1


@dataclass(frozen=True, slots=True)
class PointView:
    """A point that a derivation may read. max_age: µs, how long its value holds. period: µs between readings."""

    id: int
    asset: str
    quantity: str
    name: str
    period: int
    max_age: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A derived point that has to exist: of which asset, which quantity, and how often it will have a reading (µs)."""

    system: str
    derivation: str
    asset: str
    quantity: str
    period: int

    @property
    def name(self) -> str:
        """The point's name. No gateway can take it: a gateway's names have no dot."""
        return f"{self.system}.{self.quantity}"


@dataclass(frozen=True, slots=True)
class Bound:
    """A stream derivation with its a assets: k inputs, o outputs.

    inputs: i32[k, a], ids of points, NO_POINT where an optional input is missing. max_age: i64[k, a], µs. outputs:
    i32[o, a], ids of the derived points.
    """

    system: str
    derivation: StreamDerivation
    params: Params
    inputs: Int32s
    max_age: Int64s
    outputs: Int32s


def choose_point(wanted: Input, points: Iterable[PointView]) -> PointView | None:
    """The point of an asset that an input means: by its name, else the one called like its quantity, else the only."""
    found = [point for point in points if point.quantity == wanted.quantity]
    if wanted.point is not None:
        return next((point for point in found if point.name == wanted.point), None)
    if len(found) == 1:
        return found[0]
    return next((point for point in found if point.name == wanted.quantity), None)


def bindable(
    derivation: StreamDerivation, assets: Iterable[AssetView], points: Mapping[str, Sequence[PointView]]
) -> list[tuple[AssetView, list[PointView | None]]]:
    """The assets that a derivation can be computed for, with the points of its inputs. `points`: by asset."""
    found: list[tuple[AssetView, list[PointView | None]]] = []
    for asset in assets:
        if asset.kind not in derivation.kinds or any(name not in asset.design for name in derivation.design):
            continue
        chosen = [choose_point(each, points.get(asset.key, ())) for each in derivation.inputs]
        if all(point is not None or each.optional for point, each in zip(chosen, derivation.inputs, strict=True)):
            found.append((asset, chosen))
    return found


def wanted_points(
    system: str, derivation: StreamDerivation, chosen: Iterable[tuple[AssetView, Sequence[PointView | None]]]
) -> list[Wanted]:
    """The derived points of a derivation, asset by asset, outputs in their order."""
    wanted: list[Wanted] = []
    for asset, inputs in chosen:
        clock = inputs[0]
        period = max(round(derivation.every_s * 1e6), 1_000 if clock is None else clock.period)
        wanted += [Wanted(system, derivation.id, asset.key, quantity, period) for quantity in derivation.outputs]
    return wanted


def bind(
    system: str,
    derivation: StreamDerivation,
    chosen: Sequence[tuple[AssetView, Sequence[PointView | None]]],
    params: Params,
    derived: Mapping[tuple[str, str], int],
) -> Bound:
    """A derivation with its points. `params.assets` must be those of `chosen`; `derived`: id by (asset, name)."""
    k, o, a = len(derivation.inputs), len(derivation.outputs), len(chosen)
    inputs, max_age = np.full((k, a), NO_POINT, np.int32), np.zeros((k, a), np.int64)
    outputs = np.empty((o, a), np.int32)
    for at, (asset, points) in enumerate(chosen):
        for row, point in enumerate(points):
            if point is not None:
                inputs[row, at], max_age[row, at] = point.id, point.max_age
        outputs[:, at] = [derived[asset.key, f"{system}.{quantity}"] for quantity in derivation.outputs]
    return Bound(system, derivation, params, inputs, max_age, outputs)
