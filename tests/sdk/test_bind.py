"""Which points a derivation reads and gives."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from park_sdk.bind import NO_POINT, PointView, bind, bindable, choose_point, wanted_points
from park_sdk.derivation import AssetView, Columns, Input, Params, State, StreamDerivation, Window
from support.derived_oracle import Nothing

SECOND = 1_000_000


def compute(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    raise NotImplementedError


def derivation(*inputs: Input, **fields: Any) -> StreamDerivation:
    return StreamDerivation(
        id="d", kinds=("vessel", "drum"), inputs=inputs, outputs=("level", "imbalance"), compute=compute, **fields
    )


def point(number: int, asset: str, name: str, quantity: str = "pressure", period: int = SECOND) -> PointView:
    return PointView(number, asset, quantity, name, period, 3 * period)


def test_which_point_an_input_means() -> None:
    two = [point(1, "a", "top"), point(2, "a", "bottom"), point(3, "a", "pressure", "temperature")]
    by_quantity, by_name = Input("p", "pressure"), Input("p", "pressure", "bottom")
    assert choose_point(by_quantity, two[:1]) == two[0], "the only one"
    assert choose_point(by_quantity, two) is None, "neither is called like the quantity"
    named = point(4, "a", "pressure")
    assert choose_point(by_quantity, [*two, named]) == named
    assert choose_point(by_name, two) == two[1]
    assert choose_point(by_name, two[:1]) is None, "the only one has another name"
    assert choose_point(Input("p", "pressure", "pressure"), two) is None, "that point is of another quantity"


def test_which_assets_it_is_computed_for() -> None:
    wanted = derivation(Input("p", "pressure"), Input("t", "temperature", optional=True), design=("pressure",))
    design = {"pressure": 2.0}
    assets = [
        AssetView("both", "vessel", design=design),
        AssetView("without-t", "drum", design=design),
        AssetView("without-p", "vessel", design=design),
        AssetView("no-design", "vessel"),
        AssetView("other-kind", "pump", design=design),
        AssetView("no-points", "vessel", design=design),
    ]
    points = {key: [point(10 + n, key, "pressure")] for n, key in enumerate(["both", "without-t", "no-design"])}
    points["other-kind"] = [point(20, "other-kind", "pressure")]
    points["without-p"] = [point(30, "without-p", "temperature", "temperature")]
    points["both"].append(point(40, "both", "temperature", "temperature"))
    found = bindable(wanted, assets, points)
    assert [(asset.key, [each and each.id for each in chosen]) for asset, chosen in found] == [
        ("both", [10, 40]),
        ("without-t", [11, None]),
    ]


@pytest.mark.parametrize(("every_s", "period"), [(0.0, 2 * SECOND), (0.5, 2 * SECOND), (10.0, 10 * SECOND)])
def test_a_derived_point_has_a_reading_as_often_as_its_clock_or_its_stretches(every_s: float, period: int) -> None:
    wanted = derivation(Input("p", "pressure"), every_s=every_s)
    chosen = [(AssetView("a", "vessel"), [point(1, "a", "pressure", period=2 * SECOND)])]
    assert [(each.name, each.asset, each.period) for each in wanted_points("sys", wanted, chosen)] == [
        ("sys.level", "a", period),
        ("sys.imbalance", "a", period),
    ]


def test_points_stand_by_input_and_asset() -> None:
    wanted = derivation(Input("p", "pressure"), Input("t", "temperature", optional=True))
    chosen = [
        (AssetView("a", "vessel"), [point(1, "a", "p"), point(2, "a", "t", "temperature", 5 * SECOND)]),
        (AssetView("b", "vessel"), [point(3, "b", "p"), None]),
    ]
    ids = {("a", "sys.level"): 7, ("a", "sys.imbalance"): 8, ("b", "sys.level"): 9, ("b", "sys.imbalance"): 10}
    params = Params(tuple(asset for asset, _ in chosen), Nothing(), {}, (), ZoneInfo("UTC"))
    bound = bind("sys", wanted, chosen, params, ids)
    assert bound.inputs.tolist() == [[1, 3], [2, NO_POINT]]
    assert bound.max_age.tolist() == [[3 * SECOND, 3 * SECOND], [15 * SECOND, 0]]
    assert bound.outputs.tolist() == [[7, 9], [8, 10]]
    assert bound.system == "sys"
