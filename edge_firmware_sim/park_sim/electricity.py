"""The electricity of the park: a 110 kV incomer, one 10 kV feeder an enterprise, two sub-meters below each.

Balance: an enterprise's meter shows its loads and its transformers' losses; the incomer shows all enterprises and the
network's losses, 2 to 3 % depending on the load.
"""

import math
from dataclasses import dataclass
from typing import Final

from park_sim.daytime import ROUND_THE_CLOCK, SHIFTS, TARIFF, Daytime, Demand, Shape
from park_sim.noise import SensorNoise, Wander, generator

Values = dict[str, float]

_TRANSFORMER_LOSS: Final = 0.008
_NETWORK_LOSS: Final = 0.02
_NETWORK_LOSS_AT_FULL_LOAD: Final = 0.03
_FULL_LOAD_KW: Final = 48_000.0
_PHASES: Final = (("a", 0.335), ("b", 0.329), ("c", 0.336))
_ROOT_3: Final = math.sqrt(3.0)


@dataclass(slots=True)
class Meter:
    """One electricity meter, primary side: what flows through and what it has counted (kWh, kvarh)."""

    volts: float
    power_factor: float
    energy_kwh: float
    reactive_kvarh: float
    power_kw: float = 0.0

    @property
    def reactive_kvar(self) -> float:
        """Reactive power in kvar."""
        return self.power_kw * math.tan(math.acos(self.power_factor))

    def count(self, power_kw: float, dt_s: float) -> None:
        """Let `power_kw` flow for `dt_s`."""
        self.power_kw = power_kw
        self.energy_kwh += power_kw * dt_s / 3_600.0
        self.reactive_kvarh += self.reactive_kvar * dt_s / 3_600.0


@dataclass(slots=True)
class Feeder:
    """An enterprise's connection: metered loads by sub-meter, the rest of its load, and its own meter."""

    name: str
    main: Meter
    subs: dict[str, tuple[Demand, Meter]]
    rest: Demand

    def step(self, now: Daytime, dt_s: float, extra_kw: dict[str, float]) -> float:
        """Move on by `dt_s`; returns the power at the main meter in kW."""
        total = self.rest.step(now, dt_s)
        for name, (demand, meter) in self.subs.items():
            power = demand.step(now, dt_s) * extra_kw.get(name, 1.0)
            meter.count(power, dt_s)
            total += power
        total *= 1.0 + _TRANSFORMER_LOSS
        self.main.count(total, dt_s)
        return total


@dataclass(frozen=True, slots=True)
class _Plan:
    """An enterprise's loads in kW: two metered ones and the rest."""

    name: str
    subs: dict[str, tuple[float, float, Shape]]
    rest: float
    shape: Shape
    power_factor: float


_PLANS: Final = (
    _Plan(
        "chem",
        {"chem-reactors": (3_800.0, 10_000.0, ROUND_THE_CLOCK), "chem-utilities": (210.0, 400.0, ROUND_THE_CLOCK)},
        2_100.0,
        ROUND_THE_CLOCK,
        0.93,
    ),
    _Plan(
        "alloy",
        {"alloy-furnace-1": (13_500.0, 35_000.0, TARIFF), "alloy-furnace-2": (12_800.0, 35_000.0, TARIFF)},
        1_900.0,
        ROUND_THE_CLOCK,
        0.91,
    ),
    _Plan(
        "food",
        {"food-cold-store": (160.0, 400.0, ROUND_THE_CLOCK), "food-packing": (130.0, 400.0, SHIFTS)},
        420.0,
        SHIFTS,
        0.95,
    ),
    _Plan(
        "heat",
        {"heat-fans": (190.0, 400.0, ROUND_THE_CLOCK), "heat-pumps": (175.0, 400.0, ROUND_THE_CLOCK)},
        900.0,
        ROUND_THE_CLOCK,
        0.92,
    ),
)
ENTERPRISES: Final = tuple(plan.name for plan in _PLANS)


class Electricity:
    """All feeders and the incomer. `air_c` drives refrigeration, furnaces are tapped every two hours."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "electricity")

        def meter(volts: float, power_factor: float, scale: float) -> Meter:
            energy = scale * rng.uniform(0.8, 1.2)
            return Meter(volts, power_factor, energy, energy * math.tan(math.acos(power_factor)))

        self.feeders = {
            plan.name: Feeder(
                plan.name,
                meter(10_000.0, plan.power_factor, 60_000.0),
                {
                    name: (Demand(seed, name, kw, shape), meter(volts, plan.power_factor, 9_000.0))
                    for name, (kw, volts, shape) in plan.subs.items()
                },
                Demand(seed, f"{plan.name}-rest", plan.rest, plan.shape),
            )
            for plan in _PLANS
        }
        self.incomer = meter(110_000.0, 0.96, 400_000.0)
        self.loss_kw = 0.0
        self.hertz = 50.0
        self._hertz = Wander(generator(seed, "frequency"), 0.015, 20.0)
        self._volts = Wander(generator(seed, "voltage"), 0.006, 300.0)
        self._tapping = (rng.uniform(0.0, 2.0), rng.uniform(0.0, 2.0))

    def step(self, now: Daytime, dt_s: float, air_c: float) -> None:
        """Move on by `dt_s`."""
        extra = {
            "alloy-furnace-1": self._furnace(now.hour, self._tapping[0]),
            "alloy-furnace-2": self._furnace(now.hour, self._tapping[1]),
            "food-cold-store": max(0.6, 1.0 + 0.018 * (air_c - 15.0)),
        }
        total = sum([feeder.step(now, dt_s, extra) for feeder in self.feeders.values()])
        share = _NETWORK_LOSS + (_NETWORK_LOSS_AT_FULL_LOAD - _NETWORK_LOSS) * min(1.0, total / _FULL_LOAD_KW)
        self.loss_kw = total * share
        self.incomer.count(total + self.loss_kw, dt_s)
        self.hertz = 50.0 + self._hertz.step(dt_s)
        self._volts.step(dt_s)

    @staticmethod
    def _furnace(hour: float, offset: float) -> float:
        # Ten minutes at 55 % while the melt is tapped, every two hours.
        return 0.55 if (hour + offset) % 2.0 < 1.0 / 6.0 else 1.0

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What the meters show, canonical units, by instrument."""
        shown = {"park-incomer": self._face(self.incomer, noise)}
        for name, feeder in self.feeders.items():
            shown[f"{name}-electricity"] = self._face(feeder.main, noise)
            for sub, (_, meter) in feeder.subs.items():
                shown[sub] = self._face(meter, noise)
        return shown

    def _face(self, meter: Meter, noise: SensorNoise) -> Values:
        # A heavier feeder sags more: 2 % at full network load.
        level = 1.0 + self._volts.value - 0.02 * self.incomer.power_kw / _FULL_LOAD_KW
        power = noise.near(meter.power_kw, 0.002)
        reactive = power * math.tan(math.acos(meter.power_factor))
        apparent = power / meter.power_factor
        values = {
            "active-power": power,
            "reactive-power": reactive,
            "apparent-power": apparent,
            "power-factor": meter.power_factor,
            "frequency": self.hertz,
            "active-energy": meter.energy_kwh,
            "active-energy-export": 0.0,
            "reactive-energy": meter.reactive_kvarh,
        }
        phase_volts = meter.volts / _ROOT_3 * level
        for phase, share in _PHASES:
            volts = noise.near(phase_volts, 0.001)
            values[f"voltage-{phase}"] = volts
            values[f"active-power-{phase}"] = power * share
            values[f"reactive-power-{phase}"] = reactive * share
            values[f"current-{phase}"] = apparent * share * 1_000.0 / volts
            values[f"power-factor-{phase}"] = meter.power_factor
            values[f"thd-voltage-{phase}"] = noise.around(2.1, 0.05)
        return values
