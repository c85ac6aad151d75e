"""Weather, the air quality station and the gas detectors."""

import math
from typing import Final

from park_sim.daytime import Daytime
from park_sim.electricity import Values
from park_sim.noise import SensorNoise, Wander, approach, generator

STATION: Final = "air-1"


class Weather:
    """Air temperature (°C), humidity (%), pressure (hPa), wind (m/s, degrees)."""

    def __init__(self, seed: int) -> None:
        self._warm = Wander(generator(seed, "warmth"), 3.0, 86_400.0)
        self._gust = Wander(generator(seed, "gust"), 0.35, 180.0)
        self._turn = Wander(generator(seed, "turn"), 45.0, 5_400.0)
        self._glass = Wander(generator(seed, "glass"), 4.0, 43_200.0)
        self.air_c = 8.0
        self.wind_m_s = 3.0
        self.wind_deg = 300.0
        self.pressure_hpa = 898.0

    @property
    def humidity_pct(self) -> float:
        """Relative humidity: the warmer, the drier."""
        return max(15.0, min(98.0, 55.0 - 2.2 * (self.air_c - 8.0)))

    def step(self, now: Daytime, dt_s: float) -> None:
        """Move on by `dt_s`. It is warmest at three in the afternoon."""
        swing = math.cos(2.0 * math.pi * (now.hour - 15.0) / 24.0)
        self.air_c = 8.0 + 6.5 * swing + self._warm.step(dt_s)
        self.wind_m_s = max(0.1, 3.2 + 1.4 * swing) * math.exp(self._gust.step(dt_s))
        self.wind_deg = (300.0 + self._turn.step(dt_s)) % 360.0
        self.pressure_hpa = 898.0 + self._glass.step(dt_s)


class AirStation:
    """Concentrations in ambient air, µg/m3 (CO: mg/m3): worse at rush hours and in still air."""

    _MEANS: Final = {"pm25": 34.0, "pm10": 78.0, "so2": 14.0, "no2": 31.0, "co": 0.7, "o3": 62.0}

    def __init__(self, seed: int) -> None:
        self._wander = {name: Wander(generator(seed, f"air/{name}"), 0.3, 5_400.0) for name in self._MEANS}
        self.values = dict(self._MEANS)
        self.bustle = 0.5
        """How busy the park is, 0 to 1."""

    def step(self, now: Daytime, dt_s: float, weather: Weather) -> None:
        """Move on by `dt_s`."""
        rush = 1.0 + 0.35 * math.exp(-((now.hour - 8.0) ** 2) / 3.0) + 0.3 * math.exp(-((now.hour - 19.0) ** 2) / 4.0)
        sun = max(0.0, math.sin(math.pi * (now.hour - 7.0) / 13.0)) if 7.0 < now.hour < 20.0 else 0.0
        self.bustle = 0.15 if now.weekend or not 6.0 < now.hour < 21.0 else 0.9
        still = max(0.5, min(1.8, 3.2 / weather.wind_m_s))
        for name, mean in self._MEANS.items():
            shape = 0.5 + 1.3 * sun if name == "o3" else rush * (0.6 + 0.4 * still)
            self.values[name] = mean * shape * math.exp(self._wander[name].step(dt_s))

    def show(self, weather: Weather, noise: SensorNoise) -> dict[str, Values]:
        """What the station shows, canonical units."""
        values = {name: noise.near(value, 0.01) for name, value in self.values.items()}
        values["wind-speed"] = noise.near(weather.wind_m_s, 0.02)
        values["wind-direction"] = weather.wind_deg
        values["temperature"] = noise.around(weather.air_c, 0.05)
        values["humidity"] = noise.around(weather.humidity_pct, 0.3)
        values["air-pressure"] = noise.around(weather.pressure_hpa, 0.1)
        values["rainfall"] = 0.0
        values["noise"] = noise.around(46.0 + 9.0 * self.bustle, 0.6)
        return {STATION: values}


ZONES: Final = ("gas-tank-farm", "gas-reactor", "gas-pipeline")
"""Gas detector controllers: channels 1 to 4 combustible, then H2S, CO, NH3 and O2."""
_HEADS: Final = 4
_FIRST_LEVEL: Final = {"lel": 25.0, "h2s": 10.0, "co": 20.0, "nh3": 20.0}
"""First alarm level that the heads are set to, %LEL and mg/m3; the second is twice that."""


class GasDetectors:
    """Heads that show next to nothing until something escapes."""

    def __init__(self) -> None:
        self.lel = {zone: [0.0] * _HEADS for zone in ZONES}

    def step(self, dt_s: float, escaping: dict[str, float]) -> None:
        """Move on by `dt_s`; `escaping` is the %LEL that a zone's nearest head is led to."""
        for zone, heads in self.lel.items():
            source = escaping.get(zone, 0.0)
            for number, shown in enumerate(heads):
                # Each head stands farther from the source than the one before.
                heads[number] = approach(shown, source / (1.0 + number), dt_s, 6.0 + 4.0 * number)

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What the controllers show, canonical units, by instrument."""
        return {zone: self._face(heads, noise) for zone, heads in self.lel.items()}

    @staticmethod
    def _face(heads: list[float], noise: SensorNoise) -> Values:
        shown = [("lel", max(0.0, min(100.0, noise.around(0.6 + head, 0.15)))) for head in heads]
        shown += [
            (gas, max(0.0, noise.around(usual, 0.05))) for gas, usual in (("h2s", 0.2), ("co", 1.1), ("nh3", 0.4))
        ]
        values: Values = {}
        for number, (gas, value) in enumerate(shown, 1):
            values[f"channel-{number}"] = value
            values[f"state-{number}"] = float(min(2.0, value // _FIRST_LEVEL[gas]))
        values["channel-8"] = noise.around(20.9 - 0.02 * heads[0], 0.02)
        values["state-8"] = 0.0 if 19.5 < values["channel-8"] < 23.5 else 1.0
        return values
