"""Two pipelines: natural gas to the park's works, and methanol from the chemical works to the loading station.

A pipeline is one volume with an inlet resistance: what flows in and not out is packed into the line and raises its
pressure. Steps are backward Euler, so the balance in - out - leak = line pack holds exactly for any step.
"""

from dataclasses import dataclass
from typing import Final

from park_sim.daytime import Daytime
from park_sim.electricity import Values
from park_sim.noise import SensorNoise, Wander, generator


@dataclass(slots=True)
class Line:
    """A pipeline. Flows in m3/h (gas: at standard conditions), pressures MPa gauge, line pack m3.

    `pack_m3_per_mpa` is how much more the line holds per MPa, `inlet_m3h_per_mpa` how easily it is fed from
    `supply_mpa`. `leak_m3h` is set by the fault: the flow through the hole at the line's normal pressure.
    """

    name: str
    pack_m3_per_mpa: float
    inlet_m3h_per_mpa: float
    supply_mpa: float
    normal_mpa: float
    normal_m3h: float
    temperature_c: float
    pressure_mpa: float
    inflow_m3h: float = 0.0
    outflow_m3h: float = 0.0
    leaking_m3h: float = 0.0
    leak_m3h: float = 0.0
    in_total_m3: float = 0.0
    out_total_m3: float = 0.0

    @property
    def line_pack_m3(self) -> float:
        """How much is packed into the line above atmospheric pressure."""
        return self.pressure_mpa * self.pack_m3_per_mpa

    def step(self, dt_s: float, wanted_m3h: float) -> None:
        """Move on by `dt_s` while the far end draws `wanted_m3h`, as long as the line can give it."""
        hours = dt_s / 3_600.0
        # The far end's valve passes less when the line runs empty; so does the hole.
        draw = wanted_m3h * min(1.0, max(0.0, self.pressure_mpa) / (0.4 * self.normal_mpa))
        hole = self.leak_m3h / self.normal_mpa
        fed = self.pressure_mpa * self.pack_m3_per_mpa + hours * (self.inlet_m3h_per_mpa * self.supply_mpa - draw)
        self.pressure_mpa = fed / (self.pack_m3_per_mpa + hours * (self.inlet_m3h_per_mpa + hole))
        self.inflow_m3h = self.inlet_m3h_per_mpa * (self.supply_mpa - self.pressure_mpa)
        self.outflow_m3h = draw
        self.leaking_m3h = hole * self.pressure_mpa
        self.in_total_m3 += self.inflow_m3h * hours
        self.out_total_m3 += self.outflow_m3h * hours

    def show(self, noise: SensorNoise) -> Values:
        """What the line's terminal unit shows, canonical units."""
        friction = 0.5 * (self.supply_mpa - self.pressure_mpa)
        return {
            "flow-in": noise.near(self.inflow_m3h, 0.002),
            "flow-out": noise.near(self.outflow_m3h, 0.002),
            "pressure-in": noise.around(self.pressure_mpa + friction, 0.0005),
            "pressure-out": noise.around(self.pressure_mpa - friction, 0.0005),
            "temperature": noise.around(self.temperature_c, 0.05),
        }


_PUMP_H: Final = 3.0
_PUMP_ON_H: Final = 2.0


class Pipelines:
    """`pipeline-1` feeds the park's gas network; `pipeline-2` is pumped two hours out of three."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "pipelines")
        self._offset_h = rng.uniform(0.0, _PUMP_H)
        self._valve = Wander(generator(seed, "loading"), 0.03, 120.0)
        gas = Line("pipeline-1", 2_090.0, 42_000.0, 0.40, 0.37, 1_250.0, 9.0, 0.37)
        gas.in_total_m3, gas.out_total_m3 = 81_000.0, 80_910.0
        methanol = Line("pipeline-2", 0.9, 300.0, 0.90, 0.70, 60.0, 16.0, 0.70)
        methanol.in_total_m3, methanol.out_total_m3 = 5_200.0, 5_199.2
        self.lines = {line.name: line for line in (gas, methanol)}

    def step(self, now: Daytime, dt_s: float, gas_m3h: float) -> None:
        """Move on by `dt_s` while the park draws `gas_m3h`."""
        self.lines["pipeline-1"].step(dt_s, gas_m3h)
        pumping = (now.hour + 24.0 * now.day + self._offset_h) % _PUMP_H < _PUMP_ON_H
        self.lines["pipeline-2"].step(dt_s, 60.0 * (1.0 + self._valve.step(dt_s)) if pumping else 0.0)

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What the terminal units show, canonical units, by instrument."""
        return {name: line.show(noise) for name, line in self.lines.items()}
