"""The simulated park as physics: no sockets, no clock but its own, the same history for the same seed and steps.

Parts are stepped in the order in which they depend on each other: weather, consumers, boiler, pipelines, emissions,
gas detectors, traffic. `observe` gives what every instrument would show, sensor noise included, in canonical units.
"""

from typing import Final

from park_sim.air import AirStation, GasDetectors, Weather
from park_sim.daytime import Daytime, daytime_of
from park_sim.electricity import Electricity, Values
from park_sim.emissions import OUTFALL, STACK, WASTE_STORE, Outfall, Stack, WasteStore
from park_sim.noise import SensorNoise
from park_sim.pipelines import Pipelines
from park_sim.sluices import Sluices
from park_sim.traffic import Happening, Traffic
from park_sim.utilities import MEDIA, Network
from park_sim.vessels import VesselPark
from park_wire.quality import Mark

LONGEST_STEP_S: Final = 5.0
"""Longer steps are cut: control loops and a truck on a bend can't follow them."""
# What an open relief valve, and a leak of a line's whole flow, lead the nearest detector head to, %LEL.
_RELIEF_LEL: Final = 38.0
_LEAK_LEL: Final = 150.0


class World:
    """The park. `now_us` is its clock, µs since the epoch, UTC."""

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.now_us = start_us
        self.weather = Weather(seed)
        self.electricity = Electricity(seed)
        self.networks = {medium.name: Network(seed, medium) for medium in MEDIA}
        self.vessels = VesselPark(seed)
        self.pipelines = Pipelines(seed)
        self.sluices = Sluices(seed)
        self.stack = Stack(seed)
        self.outfall = Outfall(seed)
        self.waste_store = WasteStore(seed)
        self.air = AirStation(seed)
        self.gas = GasDetectors()
        self.traffic = Traffic(seed)
        self._noise = SensorNoise(seed)
        self._happened: list[Happening] = []
        # Lags have no past yet: a moment of history gives every part a value.
        self._move(1.0)

    def step(self, dt_s: float) -> None:
        """Move on by `dt_s`, in steps of at most LONGEST_STEP_S."""
        while dt_s > LONGEST_STEP_S:
            self._move(LONGEST_STEP_S)
            dt_s -= LONGEST_STEP_S
        if dt_s > 0.0:
            self._move(dt_s)

    def _move(self, dt_s: float) -> None:
        self.now_us += round(dt_s * 1e6)
        now: Daytime = daytime_of(self.now_us)
        self.weather.step(now, dt_s)
        self.electricity.step(now, dt_s, self.weather.air_c)
        for network in self.networks.values():
            network.step(now, dt_s)
        self.vessels.step(now, dt_s, self.weather.air_c, self.networks["steam"].main.per_hour)
        self.pipelines.step(now, dt_s, self.networks["gas"].main.per_hour)
        self.sluices.step(dt_s)
        self.stack.step(now, dt_s, self.vessels.drum.load)
        self.outfall.step(now, dt_s)
        self.waste_store.step(now, dt_s)
        self.air.step(now, dt_s, self.weather)
        self.gas.step(dt_s, self._escaping())
        self._happened += self.traffic.step(self.now_us, dt_s)

    def _escaping(self) -> dict[str, float]:
        vessels = self.vessels.vessels
        open_spheres = vessels["tank-1"].relief.lifted + vessels["tank-2"].relief.lifted
        return {
            "gas-tank-farm": _RELIEF_LEL * open_spheres,
            "gas-reactor": _RELIEF_LEL * vessels["reactor-1"].relief.lifted,
            "gas-pipeline": _LEAK_LEL
            * sum(line.leaking_m3h / line.normal_m3h for line in self.pipelines.lines.values()),
        }

    def observe(self) -> dict[str, Values]:
        """What every instrument shows now, canonical units, by instrument and point."""
        noise = self._noise
        shown = self.electricity.show(noise)
        for network in self.networks.values():
            shown |= network.show(noise)
        shown |= self.vessels.show(noise)
        shown |= self.pipelines.show(noise)
        shown |= self.sluices.show(noise)
        shown[STACK] = self.stack.show(noise)
        shown[OUTFALL] = self.outfall.show(noise)
        shown[WASTE_STORE] = self.waste_store.show(noise, self.weather.air_c)
        shown |= self.air.show(self.weather, noise)
        shown |= self.gas.show(noise)
        shown |= self.traffic.show(noise)
        return shown

    def marks(self) -> dict[str, Mark]:
        """The HJ 212 data mark of the instruments that have one."""
        return {STACK: self.stack.mark, OUTFALL: self.outfall.mark}

    def take_happenings(self) -> list[Happening]:
        """What happened since the last call: weigh tickets, gate passes."""
        taken, self._happened = self._happened, []
        return taken


def instruments() -> tuple[str, ...]:
    """The names of all instruments of the park: a site's devices are called like the instruments that they show."""
    return tuple(sorted(World(0, 0).observe()))
