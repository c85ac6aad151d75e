"""Water, reclaimed water, gas and steam: a meter an enterprise and one main meter for the park, for each medium.

Balance: the main meter shows all enterprises and what the network loses between them.
"""

from dataclasses import dataclass
from typing import Final

from park_sim.daytime import HEAT, ROUND_THE_CLOCK, SHIFTS, Daytime, Demand, Shape
from park_sim.electricity import ENTERPRISES, Values
from park_sim.noise import SensorNoise, generator


@dataclass(slots=True)
class FlowMeter:
    """A flow per hour and what it has counted, in one unit (m3 or t)."""

    total: float
    per_hour: float = 0.0

    def count(self, per_hour: float, dt_s: float) -> None:
        """Let `per_hour` flow for `dt_s`."""
        self.per_hour = per_hour
        self.total += per_hour * dt_s / 3_600.0


@dataclass(frozen=True, slots=True)
class Medium:
    """What flows: its counter's name, the network's loss, pressure (MPa), temperature (°C), full loads by works."""

    name: str
    total: str
    loss: float
    pressure_mpa: float
    temperature_c: float
    demand: dict[str, tuple[float, Shape]]


STEAM_GJ_T: Final = 2.83
"""Enthalpy of the network's steam, GJ/t: 1.25 MPa gauge, 205 °C."""

MEDIA: Final = (
    Medium(
        "water",
        "volume",
        0.02,
        0.42,
        13.0,
        {
            "chem": (140.0, ROUND_THE_CLOCK),
            "alloy": (65.0, ROUND_THE_CLOCK),
            "food": (38.0, SHIFTS),
            "heat": (90.0, HEAT),
        },
    ),
    Medium(
        "reclaimed",
        "volume",
        0.015,
        0.35,
        17.0,
        {
            "chem": (80.0, ROUND_THE_CLOCK),
            "alloy": (110.0, ROUND_THE_CLOCK),
            "food": (6.0, SHIFTS),
            "heat": (60.0, HEAT),
        },
    ),
    Medium(
        "gas",
        "volume",
        0.004,
        0.36,
        11.0,
        {
            "chem": (620.0, ROUND_THE_CLOCK),
            "alloy": (240.0, ROUND_THE_CLOCK),
            "food": (85.0, SHIFTS),
            "heat": (310.0, HEAT),
        },
    ),
    Medium(
        "steam",
        "mass",
        0.03,
        1.25,
        205.0,
        {"chem": (34.0, ROUND_THE_CLOCK), "alloy": (4.0, ROUND_THE_CLOCK), "food": (6.5, SHIFTS), "heat": (5.0, HEAT)},
    ),
)


class Network:
    """One medium's network: the enterprises' meters and the main."""

    def __init__(self, seed: int, medium: Medium) -> None:
        rng = generator(seed, f"network/{medium.name}")
        self.medium = medium
        self.meters = {name: FlowMeter(full * rng.uniform(800.0, 1_200.0)) for name, (full, _) in medium.demand.items()}
        self.main = FlowMeter(sum(meter.total for meter in self.meters.values()) * (1.0 + medium.loss))
        self.loss_per_hour = 0.0
        self._demands = {
            name: Demand(seed, f"{name}-{medium.name}", full, shape, wander=0.06)
            for name, (full, shape) in medium.demand.items()
        }

    def step(self, now: Daytime, dt_s: float) -> None:
        """Move on by `dt_s`."""
        total = 0.0
        for name, demand in self._demands.items():
            flow = demand.step(now, dt_s)
            self.meters[name].count(flow, dt_s)
            total += flow
        self.loss_per_hour = total * self.medium.loss
        self.main.count(total + self.loss_per_hour, dt_s)

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What the meters show, canonical units, by instrument."""
        shown = {f"park-{self.medium.name}": self._face(self.main, 1.0, noise)}
        for name, meter in self.meters.items():
            # The pressure falls with the distance from the main.
            shown[f"{name}-{self.medium.name}"] = self._face(meter, 0.97, noise)
        return shown

    def _face(self, meter: FlowMeter, share: float, noise: SensorNoise) -> Values:
        values = {
            "flow": noise.near(meter.per_hour, 0.004),
            self.medium.total: meter.total,
            "pressure": noise.near(self.medium.pressure_mpa * share, 0.003),
            "temperature": noise.around(self.medium.temperature_c, 0.1),
        }
        if self.medium.name == "steam":
            values["heat-power"] = values["flow"] * STEAM_GJ_T
            values["heat-energy"] = meter.total * STEAM_GJ_T
        return values


assert all(set(medium.demand) == set(ENTERPRISES) for medium in MEDIA)  # noqa: S101  # a table, checked once
