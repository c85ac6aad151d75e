"""Which counters to add up, so that nothing counts twice. Pure."""

from collections.abc import Container, Mapping, Sequence

import numpy as np

from park_sdk.derivation import AssetView
from park_sdk.frame import Bools
from park_sdk.report import PointView


def one_each(points: Sequence[PointView]) -> tuple[list[int], tuple[PointView, ...]]:
    """One counter of each asset and quantity, as indices in their order; and the counters of which none was taken.

    Of several, such as registers by tariff beside the whole, that which is called like its quantity stands for the
    asset; where none is, nobody can tell what they count.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for place, point in enumerate(points):
        found.setdefault((point.asset.key, point.quantity), []).append(place)
    kept: list[int] = []
    unclear: list[PointView] = []
    for (_, quantity), places in found.items():
        named = places if len(places) == 1 else [one for one in places if points[one].key.endswith(f"/{quantity}")]
        kept += named[:1]
        unclear += [] if named else [points[one] for one in places]
    return sorted(kept), tuple(unclear)


def tops(points: Sequence[PointView], assets: Sequence[AssetView]) -> Bools:
    """Which of these points nothing else among them holds: bool[p].

    A point is held by one whose asset feeds its own, directly or by way of assets of the same enterprise, such as a
    transformer that has no counter. `assets`: those of the park, as `Data.assets`.
    """
    known = {asset.key: asset for asset in (*assets, *(point.asset for point in points))}
    counted = {point.asset.key for point in points}
    return np.array([_is_top(point.asset, known, counted) for point in points], np.bool_)


def _is_top(asset: AssetView, known: Mapping[str, AssetView], counted: Container[str]) -> bool:
    seen = {asset.key}
    above = known.get(asset.fed_from or "")
    while above is not None and above.enterprise == asset.enterprise and above.key not in seen:
        if above.key in counted:
            return False
        seen.add(above.key)
        above = known.get(above.fed_from or "")
    return True
