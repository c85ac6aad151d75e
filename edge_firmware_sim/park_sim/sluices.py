"""Two sluice gates of the park's drainage: a command, a motor that follows it, limit switches, water on both sides."""

import random
from dataclasses import dataclass
from typing import Final

from park_sim.electricity import Values
from park_sim.noise import SensorNoise, Wander, approach, generator

_SPEED_PCT_S: Final = 1.0
_INRUSH_S: Final = 1.0
_POSITIONS: Final = (0.0, 25.0, 50.0, 75.0, 100.0)


@dataclass(slots=True)
class Sluice:
    """One gate. Position and command in % open, levels in m above the sill."""

    name: str
    rng: random.Random
    upstream: Wander
    position_pct: float
    command_pct: float
    next_command_s: float
    downstream_m: float = 0.8
    moving_s: float = 0.0

    @property
    def upstream_m(self) -> float:
        """The level before the gate."""
        return 2.4 + self.upstream.value

    def step(self, dt_s: float) -> None:
        """Move on by `dt_s`: take a new command when it is time, drive towards it, let the water follow."""
        self.next_command_s -= dt_s
        if self.next_command_s <= 0.0:
            self.command_pct = self.rng.choice([at for at in _POSITIONS if at != self.command_pct])
            self.next_command_s = self.rng.uniform(1_800.0, 7_200.0)
        gap = self.command_pct - self.position_pct
        reach = _SPEED_PCT_S * dt_s
        self.position_pct += max(-reach, min(reach, gap))
        self.moving_s = self.moving_s + dt_s if gap else 0.0
        self.upstream.step(dt_s)
        wanted = 0.8 + 0.012 * self.position_pct
        self.downstream_m = approach(self.downstream_m, min(wanted, self.upstream_m), dt_s, 600.0)

    def show(self, noise: SensorNoise) -> Values:
        """What the gate's controller shows, canonical units."""
        running = 0.0 if not self.moving_s else 46.0 if self.moving_s <= _INRUSH_S else 11.5
        return {
            "position": max(0.0, noise.around(self.position_pct, 0.05)),
            "command": self.command_pct,
            "motor-current": noise.near(running, 0.03),
            "limit-open": float(self.position_pct >= 99.5),
            "limit-closed": float(self.position_pct <= 0.5),
            "upstream-level": noise.around(self.upstream_m, 0.003),
            "downstream-level": noise.around(self.downstream_m, 0.003),
        }


class Sluices:
    """Both gates by name."""

    def __init__(self, seed: int) -> None:
        self.gates = {name: self._made(seed, name) for name in ("sluice-1", "sluice-2")}

    @staticmethod
    def _made(seed: int, name: str) -> Sluice:
        rng = generator(seed, name)
        at = rng.choice(_POSITIONS)
        upstream = Wander(generator(seed, f"{name}/upstream"), 0.12, 7_200.0)
        return Sluice(name, rng, upstream, at, at, rng.uniform(60.0, 3_600.0))

    def step(self, dt_s: float) -> None:
        """Move on by `dt_s`."""
        for gate in self.gates.values():
            gate.step(dt_s)

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What the controllers show, canonical units, by instrument."""
        return {name: gate.show(noise) for name, gate in self.gates.items()}
