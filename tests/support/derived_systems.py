"""Two small systems for tests of stream derivations on real gateways, whose points are p-0, p-1, … of one device.

`gauge` gives an asset's pressure over its design pressure with an alarm on it, the mean pressure of the last seconds,
which needs a memory, and the pressure times a factor from its register. `brittle` raises when it reads more than 3.5.
"""

from typing import Annotated, Final

import numpy as np

from park_sdk.alarm_rule import AlarmRule, Selector, Strict
from park_sdk.derivation import Columns, Input, Params, State, StreamDerivation, Window
from park_sdk.frame import Floats
from park_sdk.register import Label, Register
from park_sdk.rules import Priority
from park_sdk.system import CONTRACT, System
from park_wire.quantities import Text

MEAN_US: Final = 5_000_000
_MOST: Final = 64
_TEXT: Final = Text("某", "some")
_PRESSURE: Final = Input("pressure", "pressure", "p-0")


class Settings(Strict):
    """The ratio from which an alarm is raised."""

    limit: float = 0.9


class Factor(Strict):
    """What an asset's pressure is multiplied by."""

    asset: Annotated[str, Label("资产", "Asset")]
    factor: Annotated[float, Label("系数", "Factor")]


def _ratio(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    return {"pressure-ratio": window.values["pressure"] / params.design("pressure")[window.asset]}, state


def _mean(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """The mean of all that was read in the MEAN_US up to a reading, itself included."""
    times, values = state["time"].copy(), state["value"].copy()
    mean: Floats = np.empty(len(window))
    for row, (asset, at) in enumerate(zip(window.asset.tolist(), window.time.tolist(), strict=True)):
        times[asset] = np.roll(times[asset], 1)
        values[asset] = np.roll(values[asset], 1)
        times[asset, 0], values[asset, 0] = at, window.values["pressure"][row]
        mean[row] = values[asset][times[asset] > at - MEAN_US].mean()
    return {"pressure-rate": mean}, {"time": times, "value": values}


def _memory(n: int) -> State:
    return {"time": np.zeros((n, _MOST), np.int64), "value": np.zeros((n, _MOST))}


def _scaled(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    factors = {row.record.asset: row.record.factor for row in params.registers["gauge.factors"]}
    factor = np.array([factors.get(asset.key, np.nan) for asset in params.assets])
    return {"level": window.values["pressure"] * factor[window.asset]}, state


def _brittle(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    if (window.values["pressure"] > 3.5).any():
        raise OverflowError("more than 3.5")
    return {"temperature-margin": window.values["pressure"]}, state


def _rules(settings: Settings) -> list[AlarmRule]:
    return [
        AlarmRule(
            id="high",
            name=_TEXT,
            kind="H",
            on=Selector(quantity="pressure-ratio"),
            limit=settings.limit,
            priority=Priority.HIGH,
            cause=_TEXT,
            consequence=_TEXT,
            action=_TEXT,
            respond_s=60,
            source="test",
        )
    ]


GAUGE: Final = System(
    id="gauge",
    contract=CONTRACT,
    name=_TEXT,
    settings=Settings,
    rules=_rules,
    derivations=(
        StreamDerivation(
            id="ratio", kinds=("vessel",), inputs=(_PRESSURE,), outputs=("pressure-ratio",), compute=_ratio,
            design=("pressure",),
        ),
        StreamDerivation(
            id="mean", kinds=("vessel",), inputs=(_PRESSURE,), outputs=("pressure-rate",), compute=_mean,
            new_state=_memory, window_s=MEAN_US / 1e6,
        ),
        StreamDerivation(
            id="scaled", kinds=("vessel",), inputs=(_PRESSURE,), outputs=("level",), compute=_scaled,
            registers=("gauge.factors",),
        ),
    ),
    registers=(Register("factors", _TEXT, Factor, ("asset",)),),
)  # fmt: skip
BRITTLE: Final = System(
    id="brittle",
    contract=CONTRACT,
    name=_TEXT,
    settings=Settings,
    rules=lambda settings: (),
    derivations=(
        StreamDerivation(
            id="margin", kinds=("vessel",), inputs=(_PRESSURE,), outputs=("temperature-margin",), compute=_brittle
        ),
    ),
)
SYSTEMS: Final = {"gauge": GAUGE, "brittle": BRITTLE}

# For `IntakeProcess(fault=…)`: it has these systems installed. `{tests}` is the folder of the tests.
INSTALLED: Final = """
sys.path.append({tests!r})
from park_platform.cli import ingest
from support.derived_systems import SYSTEMS
ingest.load_systems = lambda: SYSTEMS
"""
