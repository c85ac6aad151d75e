"""Pressure vessels: two LPG spheres, a batch reactor and a boiler drum, each with a relief valve.

A vessel's pressure is that of its process plus a surplus. The surplus is what the over-pressure fault feeds and what an
open relief valve takes away, so lifting, falling and reseating are the same for all four. Pressures are gauge, MPa.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

from park_sim.daytime import Daytime
from park_sim.electricity import Values
from park_sim.noise import SensorNoise, Wander, approach, generator

_VENT_S: Final = 8.0
_SETTLE_S: Final = 60.0


@dataclass(slots=True)
class ReliefValve:
    """Lifts at `set_mpa`, blows the vessel down towards `vent_to_mpa` and reseats at `reseat_mpa`."""

    set_mpa: float
    lifted: bool = False
    lifts: int = 0

    @property
    def reseat_mpa(self) -> float:
        """Where it closes again: 8 % below the set pressure."""
        return 0.92 * self.set_mpa

    @property
    def vent_to_mpa(self) -> float:
        """Where the pressure would go if it stayed open."""
        return 0.55 * self.set_mpa

    def look(self, pressure_mpa: float) -> None:
        """Lift or reseat."""
        if not self.lifted and pressure_mpa >= self.set_mpa:
            self.lifted = True
            self.lifts += 1
        elif self.lifted and pressure_mpa <= self.reseat_mpa:
            self.lifted = False


class Process(Protocol):
    """What goes on in a vessel: pressure (MPa gauge), temperature (°C), level (%)."""

    pressure_mpa: float
    temperature_c: float
    level_pct: float

    def step(self, now: Daytime, dt_s: float, air_c: float) -> None:
        """Move on by `dt_s`."""
        ...


@dataclass(slots=True)
class Vessel:
    """A vessel: its process, its relief valve and the surplus pressure. `overpressure_mpa_s` is set by the fault."""

    name: str
    process: Process
    relief: ReliefValve
    design_mpa: float
    surplus_mpa: float = 0.0
    overpressure_mpa_s: float = 0.0

    @property
    def pressure_mpa(self) -> float:
        """The pressure in the vessel, MPa gauge."""
        return self.process.pressure_mpa + self.surplus_mpa

    def step(self, now: Daytime, dt_s: float, air_c: float) -> None:
        """Move on by `dt_s`."""
        self.process.step(now, dt_s, air_c)
        if self.relief.lifted:
            target = self.relief.vent_to_mpa - self.process.pressure_mpa + self.overpressure_mpa_s * _VENT_S
            self.surplus_mpa = approach(self.surplus_mpa, target, dt_s, _VENT_S)
        elif self.overpressure_mpa_s:
            # Not beyond the set pressure within one step: a long step must not overshoot what the valve would stop.
            room = max(0.0, self.relief.set_mpa - self.pressure_mpa)
            self.surplus_mpa += min(self.overpressure_mpa_s * dt_s, room + 0.05 * self.relief.set_mpa)
        else:
            self.surplus_mpa = approach(self.surplus_mpa, 0.0, dt_s, _SETTLE_S)
        self.relief.look(self.pressure_mpa)

    def show(self, noise: SensorNoise) -> Values:
        """What the vessel's controller shows, canonical units."""
        return {
            "pressure": noise.around(self.pressure_mpa, 0.0015),
            "temperature": noise.around(self.process.temperature_c + 12.0 * max(0.0, self.surplus_mpa), 0.05),
            "level": noise.around(self.process.level_pct, 0.05),
            "relief-valve": float(self.relief.lifted),
        }


class Sphere:
    """An LPG sphere: vapour pressure of a propane-butane mixture at a temperature that follows the air's slowly.

    It is drawn down by the works and refilled, between 35 and 82 %: never above the 85 % that LPG allows.
    """

    def __init__(self, seed: int, name: str, draw_pct_h: float) -> None:
        rng = generator(seed, name)
        self.level_pct = rng.uniform(45.0, 75.0)
        self.temperature_c = -300.0
        self.pressure_mpa = 0.0
        self._draw_pct_h = draw_pct_h
        self._filling = False

    def step(self, now: Daytime, dt_s: float, air_c: float) -> None:
        """Move on by `dt_s`. The sun adds a few degrees in the afternoon."""
        sun_c = 6.0 * max(0.0, math.sin(math.pi * (now.hour - 6.0) / 12.0)) if 6.0 < now.hour < 18.0 else 0.0
        target = air_c + sun_c
        first = self.temperature_c < -273.0
        self.temperature_c = target if first else approach(self.temperature_c, target, dt_s, 5 * 3_600.0)
        self.pressure_mpa = saturation_mpa(self.temperature_c, 0.85, 20.0, 2_300.0)
        rate = 14.0 if self._filling else -self._draw_pct_h
        self.level_pct += rate * dt_s / 3_600.0
        if self.level_pct < 35.0:
            self._filling = True
        elif self.level_pct > 82.0:
            self._filling = False


class Reactor:
    """A batch reactor: charge, heat, react, cool, discharge, in four hours, over and over."""

    # (minutes, temperature it is led to, level at the end)
    _PHASES: Final = (
        (30.0, 30.0, 74.0),
        (40.0, 165.0, 74.0),
        (95.0, 168.0, 72.0),
        (50.0, 45.0, 72.0),
        (25.0, 40.0, 8.0),
    )

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "reactor")
        self._minute = rng.uniform(0.0, 240.0)
        self._exotherm = Wander(generator(seed, "exotherm"), 1.2, 240.0)
        self.temperature_c = 60.0
        self.level_pct = 60.0
        self.pressure_mpa = 0.0
        self.phase = 0

    def step(self, now: Daytime, dt_s: float, air_c: float) -> None:
        """Move on by `dt_s`."""
        self._minute = (self._minute + dt_s / 60.0) % 240.0
        left = self._minute
        phase = 0
        while left >= self._PHASES[phase][0]:
            left -= self._PHASES[phase][0]
            phase += 1
        _, target_c, level_pct = self._PHASES[phase]
        self.phase = phase
        wanted_c = target_c + (self._exotherm.step(dt_s) if phase == 2 else 0.0)
        self.temperature_c = approach(self.temperature_c, wanted_c, dt_s, 480.0)
        self.level_pct = approach(self.level_pct, level_pct, dt_s, 420.0)
        self.pressure_mpa = 0.04 + saturation_mpa(self.temperature_c, 0.82, 165.0, 4_300.0, gauge=False)


class Drum:
    """A boiler drum at 2.45 MPa: firing follows the steam that is drawn, so pressure dips when demand rises."""

    SET_MPA: Final = 2.45
    _MPA_PER_T: Final = 1.4
    _LIMIT_S: Final = 2.0

    def __init__(self, seed: int) -> None:
        self.pressure_mpa = self.SET_MPA
        self.temperature_c = boiling_c(self.SET_MPA)
        self.level_pct = 50.0
        self.steam_t_h = 0.0
        """Drawn from outside: set before each step."""
        self.fired_t_h = 0.0
        self._trim = 0.0
        self._swell = Wander(generator(seed, "drum"), 1.5, 45.0)

    @property
    def load(self) -> float:
        """Firing as a share of the boiler's 75 t/h."""
        return self.fired_t_h / 75.0

    def step(self, now: Daytime, dt_s: float, air_c: float) -> None:
        """Move on by `dt_s`, in steps that the pressure control can follow."""
        steps = max(1, math.ceil(dt_s / self._LIMIT_S))
        for _ in range(steps):
            self._control(dt_s / steps)
        self.temperature_c = boiling_c(self.pressure_mpa)
        self.level_pct = 50.0 + self._swell.step(dt_s) - 20.0 * (self.pressure_mpa - self.SET_MPA)

    def _control(self, dt_s: float) -> None:
        if not self.fired_t_h:
            self.fired_t_h = self.steam_t_h
        error = self.SET_MPA - self.pressure_mpa
        self._trim = max(-5.0, min(5.0, self._trim + 0.4 * error * dt_s))
        wanted = max(0.0, self.steam_t_h + 180.0 * error + self._trim)
        self.fired_t_h = approach(self.fired_t_h, wanted, dt_s, 20.0)
        self.pressure_mpa += (self.fired_t_h - self.steam_t_h) * self._MPA_PER_T * dt_s / 3_600.0


def saturation_mpa(celsius: float, at_mpa: float, at_c: float, slope_k: float, *, gauge: bool = True) -> float:
    """Vapour pressure through one known point (absolute), after Clausius-Clapeyron; gauge unless told otherwise."""
    absolute = at_mpa * math.exp(slope_k * (1.0 / (at_c + 273.15) - 1.0 / (celsius + 273.15)))
    return absolute - 0.101325 if gauge else absolute


def boiling_c(gauge_mpa: float) -> float:
    """Boiling temperature of water at this gauge pressure, good to 2 °C up to 4 MPa."""
    return 100.0 * ((max(0.0, gauge_mpa) + 0.101325) / 0.101325) ** 0.25


class VesselPark:
    """The four vessels by name."""

    def __init__(self, seed: int) -> None:
        self.drum = Drum(seed)
        made = (
            Vessel("tank-1", Sphere(seed, "tank-1", 1.3), ReliefValve(1.70), 1.77),
            Vessel("tank-2", Sphere(seed, "tank-2", 0.9), ReliefValve(1.70), 1.77),
            Vessel("reactor-1", Reactor(seed), ReliefValve(1.50), 1.60),
            Vessel("boiler-drum-1", self.drum, ReliefValve(2.75), 2.90),
        )
        self.vessels = {vessel.name: vessel for vessel in made}

    def step(self, now: Daytime, dt_s: float, air_c: float, steam_t_h: float) -> None:
        """Move on by `dt_s` while the works draw `steam_t_h`."""
        self.drum.steam_t_h = steam_t_h
        for vessel in self.vessels.values():
            vessel.step(now, dt_s, air_c)

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What the controllers show, canonical units, by instrument."""
        return {name: vessel.show(noise) for name, vessel in self.vessels.items()}
