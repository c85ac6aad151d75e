"""What leaves the park: a stack with a continuous emission monitor, a wastewater outfall, a hazardous-waste store."""

import math
from typing import Final

from park_sim.daytime import SHIFTS, Daytime, Demand
from park_sim.electricity import Values
from park_sim.noise import SensorNoise, Wander, approach, generator
from park_wire.quality import Mark

STACK: Final = "stack-1"
OUTFALL: Final = "outfall-1"
WASTE_STORE: Final = "waste-store-1"

_REFERENCE_O2: Final = 6.0
_RUNNING: Final = 1.0
_CALIBRATING: Final = 2.0


def converted(measured: float, o2_pct: float) -> float:
    """Concentration at 6 % O2 (HJ 212-2017, equation 28). The oxygen is held below that of air, as loggers do."""
    return measured * (21.0 - _REFERENCE_O2) / (21.0 - min(o2_pct, 20.9))


class Stack:
    """The boiler's stack behind its scrubber. Each night at two the analysers take 20 minutes of span gas."""

    _MEANS: Final = {"so2": 21.0, "nox": 36.0, "dust": 4.2}
    _SPAN: Final = {"so2": 80.0, "nox": 80.0, "dust": 0.0}

    def __init__(self, seed: int) -> None:
        self._wander = {name: Wander(generator(seed, f"stack/{name}"), 0.12, 1_200.0) for name in self._MEANS}
        self._o2 = Wander(generator(seed, "stack/o2"), 0.35, 600.0)
        self.values = dict(self._MEANS)
        self.o2_pct = 7.0
        self.load = 0.6
        self.mark = Mark.NORMAL

    def step(self, now: Daytime, dt_s: float, load: float) -> None:
        """Move on by `dt_s` with the boiler at this share of its load."""
        self.load = load
        self.o2_pct = 8.2 - 2.0 * load + self._o2.step(dt_s)
        self.mark = Mark.CALIBRATING if 2.0 <= now.hour < 2.0 + 1.0 / 3.0 else Mark.NORMAL
        for name, mean in self._MEANS.items():
            real = mean * (0.7 + 0.45 * load) * math.exp(self._wander[name].step(dt_s))
            target = self._SPAN[name] if self.mark is Mark.CALIBRATING else real
            # The analyser's own answer time.
            self.values[name] = approach(self.values[name], target, dt_s, 25.0)

    def show(self, noise: SensorNoise) -> Values:
        """What the monitor shows, canonical units."""
        o2 = noise.around(self.o2_pct, 0.02)
        values: Values = {"o2": o2}
        for name, value in self.values.items():
            shown = max(0.0, noise.near(value, 0.005))
            values[name] = shown
            values[f"{name}-converted"] = converted(shown, o2)
        velocity = noise.near(4.0 + 9.0 * self.load, 0.01)
        values["velocity"] = velocity
        # 5 m2 of cross-section, wet and hot gas to the dry standard state.
        values["flow"] = 3_600.0 * 5.0 * velocity * 0.74
        values["temperature"] = noise.around(51.0, 0.1)
        values["pressure"] = noise.around(-0.12, 0.004)
        values["humidity"] = noise.around(12.4, 0.1)
        values["treatment-state"] = _CALIBRATING if self.mark is Mark.CALIBRATING else _RUNNING
        return values


class Outfall:
    """The treatment plant's outfall. Each night at three the analysers take 15 minutes of standard solution."""

    _MEANS: Final = {"cod": 31.0, "ammonia-nitrogen": 1.6, "total-phosphorus": 0.24, "total-nitrogen": 9.1}

    def __init__(self, seed: int) -> None:
        self._wander = {name: Wander(generator(seed, f"outfall/{name}"), 0.1, 3_600.0) for name in self._MEANS}
        self._demand = Demand(seed, "outfall", 210.0, SHIFTS, wander=0.05)
        self._acid = Wander(generator(seed, "outfall/ph"), 0.12, 5_400.0)
        self.flow_m3h = 0.0
        self.volume_m3 = generator(seed, "outfall").uniform(200_000.0, 260_000.0)
        self.values = dict(self._MEANS)
        self.mark = Mark.NORMAL

    def step(self, now: Daytime, dt_s: float) -> None:
        """Move on by `dt_s`. At night the plant still treats what it buffered."""
        self.flow_m3h = 90.0 + self._demand.step(now, dt_s)
        self.volume_m3 += self.flow_m3h * dt_s / 3_600.0
        self._acid.step(dt_s)
        self.mark = Mark.CALIBRATING if 3.0 <= now.hour < 3.25 else Mark.NORMAL
        for name, mean in self._MEANS.items():
            real = mean * math.exp(self._wander[name].step(dt_s))
            target = 2.0 * mean if self.mark is Mark.CALIBRATING else real
            self.values[name] = approach(self.values[name], target, dt_s, 60.0)

    def show(self, noise: SensorNoise) -> Values:
        """What the station shows, canonical units."""
        values = {name: max(0.0, noise.near(value, 0.005)) for name, value in self.values.items()}
        values["flow"] = noise.near(self.flow_m3h, 0.005)
        values["volume"] = self.volume_m3
        values["ph"] = noise.around(7.4 + self._acid.value, 0.01)
        values["temperature"] = noise.around(16.5, 0.05)
        return values


class WasteStore:
    """Hazardous waste: brought in small lots on working days, fetched by a truck before the store is full."""

    FULL_T: Final = 20.0

    def __init__(self, seed: int) -> None:
        self._rng = generator(seed, "waste")
        self.weight_t = self._rng.uniform(6.0, 12.0)
        self._next_s = self._rng.uniform(600.0, 5_400.0)

    def step(self, now: Daytime, dt_s: float) -> None:
        """Move on by `dt_s`."""
        if now.weekend or not 8.0 < now.hour < 18.0:
            return
        self._next_s -= dt_s
        if self._next_s > 0.0:
            return
        self._next_s = self._rng.uniform(1_200.0, 7_200.0)
        if self.weight_t > 0.85 * self.FULL_T:
            self.weight_t -= self._rng.uniform(13.0, 15.0)
        else:
            self.weight_t += self._rng.uniform(0.05, 0.4)

    def show(self, noise: SensorNoise, air_c: float) -> Values:
        """What the store's controller shows, canonical units."""
        return {
            "weight": noise.around(self.weight_t, 0.0005),
            "level": 100.0 * self.weight_t / self.FULL_T,
            "temperature": noise.around(14.0 + 0.3 * (air_c - 8.0), 0.05),
        }
