"""A small system of the park stream for tests, and what it must give, minute by minute, the slow and plain way.

`total` adds the pressures of all vessels up over two minutes, `highest` looks five minutes back, `loaded` sums the tons
of a vessel's tickets. A step without data has no row. `brittle` raises when it sees more than 3.5.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from park_sdk.alarm_rule import AlarmRule, Selector, Strict
from park_sdk.derivation import (
    MINUTE_US,
    Derived,
    EventInput,
    Figure,
    Grid,
    Of,
    Params,
    ParkDerivation,
    ParkInput,
)
from park_sdk.rules import Priority
from park_sdk.system import CONTRACT, System
from park_wire.quantities import Text

TOTAL_S: Final = 120
HIGHEST_S: Final = 300
_TEXT: Final = Text("某", "some")


class Settings(Strict):
    """Nothing to set."""


def _rows(rows: Sequence[tuple[int, int, float]], quantity: str) -> Derived:
    return Derived(
        np.array([row[0] for row in rows], np.intp),
        np.array([row[1] for row in rows], np.int64),
        {quantity: np.array([row[2] for row in rows], np.float64)},
    )


def _total(grid: Grid, params: Params) -> Derived:
    value = grid.inputs["pressure"].value
    rows: list[tuple[int, int, float]] = []
    for end in grid.ends.tolist():
        minutes = value[:, grid.column(end - TOTAL_S * 1_000_000) : grid.column(end)]
        if np.isfinite(minutes).any():
            rows.append((0, end, float(np.nansum(minutes))))
    return _rows(rows, "imbalance")


def _highest(grid: Grid, params: Params) -> Derived:
    pressure = grid.inputs["pressure"]
    rows: list[tuple[int, int, float]] = []
    for owner, value in zip(pressure.owner.tolist(), pressure.value, strict=True):
        for end in grid.ends.tolist():
            minutes = value[grid.column(end - HIGHEST_S * 1_000_000) : grid.column(end)]
            if np.isfinite(minutes).any():
                rows.append((owner, end, float(np.nanmax(minutes))))
    return _rows(rows, "pressure-ratio")


def _loaded(grid: Grid, params: Params) -> Derived:
    tickets = grid.events["tickets"]
    rows: list[tuple[int, int, float]] = []
    for asset in range(len(params.assets)):
        for end in grid.ends.tolist():
            inside = (tickets.owner == asset) & (tickets.time > end - MINUTE_US) & (tickets.time <= end)
            tons = [float(tickets.body[row]["tons"]) for row in np.flatnonzero(inside).tolist()]
            if tons:
                rows.append((asset, end, sum(tons)))
    return _rows(rows, "level")


def _brittle(grid: Grid, params: Params) -> Derived:
    if np.nanmax(grid.inputs["pressure"].value, initial=0.0) > 3.5:
        raise OverflowError("more than 3.5")
    return _rows(
        [(asset, end, 1.0) for asset in range(len(params.assets)) for end in grid.ends.tolist()], "stirrer-speed"
    )


def _rules(settings: Settings) -> list[AlarmRule]:
    words = {"name": _TEXT, "cause": _TEXT, "consequence": _TEXT, "action": _TEXT, "respond_s": 60, "source": "test"}
    on = Selector(quantity="imbalance")
    return [
        AlarmRule.model_validate(
            {"id": "much", "kind": "H", "on": on, "limit": 5.0, "priority": Priority.HIGH, **words}
        )
    ]


_PRESSURE: Final = ParkInput("pressure", "pressure", Figure.MEAN, Of.PARK, ("vessel",), "p-0")
TREE: Final = System(
    id="tree",
    contract=CONTRACT,
    name=_TEXT,
    settings=Settings,
    rules=_rules,
    derivations=(
        ParkDerivation("total", ("plant",), (_PRESSURE,), ("imbalance",), _total, every_s=TOTAL_S),
        ParkDerivation(
            "highest",
            ("vessel",),
            (ParkInput("pressure", "pressure", Figure.HIGH, point="p-0"),),
            ("pressure-ratio",),
            _highest,
            every_s=60,
            window_s=HIGHEST_S - 60,
        ),
        ParkDerivation("loaded", ("vessel",), (EventInput("tickets", "ticket"),), ("level",), _loaded, every_s=60),
    ),
)
BRITTLE: Final = System(
    id="brittle",
    contract=CONTRACT,
    name=_TEXT,
    settings=Settings,
    rules=lambda settings: (),
    derivations=(ParkDerivation("speed", ("plant",), (_PRESSURE,), ("stirrer-speed",), _brittle, every_s=60),),
)
SYSTEMS: Final = {"tree": TREE, "brittle": BRITTLE}

Minutes = Mapping[tuple[str, int], Sequence[float]]
"""The readings of a vessel in the minute that begins at a time, each holding as long as the others."""


def by_hand(minutes: Minutes, end: int) -> dict[tuple[str, str], dict[int, float]]:
    """The rows of `total` and `highest` up to `end`, by (asset, quantity) and time, from all that was ever read."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    vessels = sorted({vessel for vessel, _ in minutes})
    first = min((at for _, at in minutes), default=end)
    for at in range(first + MINUTE_US, end + 1, MINUTE_US):
        inside = [
            sum(values) / len(values)
            for (_, begin), values in minutes.items()
            if at - TOTAL_S * 1_000_000 <= begin < at and values
        ]
        if inside and at % (TOTAL_S * 1_000_000) == 0:
            found.setdefault(("plant", "imbalance"), {})[at] = math.fsum(inside)
        for vessel in vessels:
            seen = [
                max(values)
                for (name, begin), values in minutes.items()
                if name == vessel and at - HIGHEST_S * 1_000_000 <= begin < at and values
            ]
            if seen:
                found.setdefault((vessel, "pressure-ratio"), {})[at] = max(seen)
    return found
