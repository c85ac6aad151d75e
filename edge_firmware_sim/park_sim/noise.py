"""Seeded randomness of the world: slow wander of loads and fast noise of sensors.

Every part of the world draws from its own generator, so that adding a part does not change the others' histories.
"""

import math
import random
from dataclasses import dataclass, field
from typing import Final

_TABLE_LENGTH: Final = 4_093
"""Prime, so that no fixed number of sensors walks the table in step with it."""


def generator(seed: int, part: str) -> random.Random:
    """The generator of one part of the world."""
    return random.Random(f"{seed}/{part}")


@dataclass(slots=True)
class Wander:
    """A first-order (Ornstein-Uhlenbeck) drift around 0 with standard deviation `sigma` and memory `memory_s`.

    The step is exact for any length, so one long step has the statistics of many short ones.
    """

    rng: random.Random
    sigma: float
    memory_s: float
    value: float = 0.0
    _dt_s: float = field(default=-1.0, repr=False)
    _keep: float = field(default=0.0, repr=False)
    _kick: float = field(default=0.0, repr=False)

    def step(self, dt_s: float) -> float:
        """Move on by `dt_s` and return the new value."""
        if dt_s != self._dt_s:
            self._dt_s = dt_s
            self._keep = math.exp(-dt_s / self.memory_s)
            self._kick = self.sigma * math.sqrt(1.0 - self._keep * self._keep)
        self.value = self.value * self._keep + self._kick * self.rng.gauss(0.0, 1.0)
        return self.value


class SensorNoise:
    """Fast Gaussian noise from a table: some 400 sensors are read each step, and drawing each would cost most of it."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "sensor-noise")
        # Clipped at 3 sigma: a counted test of limits must not depend on one draw in ten thousand.
        self._table = [max(-3.0, min(3.0, rng.gauss(0.0, 1.0))) for _ in range(_TABLE_LENGTH)]
        self._at = 0

    def near(self, value: float, relative: float) -> float:
        """`value` with noise of this relative standard deviation."""
        self._at = (self._at + 1) % _TABLE_LENGTH
        return value * (1.0 + relative * self._table[self._at])

    def around(self, value: float, sigma: float) -> float:
        """`value` with noise of this standard deviation."""
        self._at = (self._at + 1) % _TABLE_LENGTH
        return value + sigma * self._table[self._at]


def approach(value: float, target: float, dt_s: float, lag_s: float) -> float:
    """First-order lag: where `value` is after `dt_s` on its way to `target`. Exact for any step."""
    return target + (value - target) * math.exp(-dt_s / lag_s)
