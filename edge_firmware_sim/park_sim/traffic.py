"""Six trucks between two gates, a weighbridge and the works; gate passes and weigh tickets on their way.

Roads: one main road from north to south; every place hangs on it by a straight side road. Metres east and north of the
park's middle are turned into degrees only when shown.
"""

import math
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from park_sim.electricity import Values
from park_sim.noise import SensorNoise, approach, generator

WEIGHBRIDGE: Final = "weighbridge-1"
GATES: Final = ("gate-north", "gate-south")

_Place = tuple[float, float]
_PLACES: Final[dict[str, _Place]] = {
    "gate-north": (0.0, 1_500.0),
    "gate-south": (0.0, -1_500.0),
    WEIGHBRIDGE: (40.0, 1_250.0),
    "chem": (900.0, 600.0),
    "alloy": (850.0, -700.0),
    "food": (-800.0, 500.0),
    "heat": (-780.0, -600.0),
}
_MIDDLE_LAT: Final = 40.658
_MIDDLE_LON: Final = 109.840
_M_PER_DEGREE: Final = 111_320.0
_CRUISE_M_S: Final = 26.0 / 3.6
_CREEP_M_S: Final = 6.0 / 3.6
_WEIGHING_S: Final = 35.0
_BARRIER_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the field: device, kind, time (µs since the epoch, UTC) and body, keys as on the wire."""

    device: str
    kind: str
    time_us: int
    body: dict[str, str | float | bool]


BODIES: Final[dict[str, dict[str, type[str | float | bool]]]] = {
    "weigh-ticket": {
        "ticket": str,
        "plate": str,
        "direction": str,
        "material": str,
        "gross_t": float,
        "tare_t": float,
        "net_t": float,
    },
    "gate-pass": {"gate": str, "plate": str, "direction": str, "vehicle_class": str, "dangerous": bool},
}
"""The kinds of events and what their bodies hold."""


class Stage(StrEnum):
    """Where a truck is in its round."""

    OUTSIDE = "outside"
    TO_FIRST_WEIGHING = "to the first weighing"
    FIRST_WEIGHING = "first weighing"
    TO_WORKS = "to the works"
    AT_WORKS = "at the works"
    TO_SECOND_WEIGHING = "to the second weighing"
    SECOND_WEIGHING = "second weighing"
    TO_GATE = "to the gate"


_NEXT: Final = {stage: following for stage, following in zip(Stage, [*list(Stage)[1:], Stage.OUTSIDE], strict=True)}
_WEIGHING: Final = {Stage.FIRST_WEIGHING, Stage.SECOND_WEIGHING}


@dataclass(frozen=True, slots=True)
class Job:
    """What a truck does: whose goods, which way ("in": it arrives loaded), whether they are dangerous."""

    works: str
    material: str
    direction: str
    dangerous: bool


_JOBS: Final = (
    ("蒙B·T1001", Job("chem", "甲醇 methanol", "out", dangerous=True)),
    ("蒙B·T1002", Job("chem", "液化石油气 LPG", "in", dangerous=True)),
    ("蒙B·T2001", Job("alloy", "硅铁 ferrosilicon", "out", dangerous=False)),
    ("蒙B·T2002", Job("alloy", "硅石 quartz", "in", dangerous=False)),
    ("蒙B·T3001", Job("food", "冷冻食品 frozen food", "out", dangerous=False)),
    ("蒙B·T4001", Job("heat", "煤 coal", "in", dangerous=False)),
)


@dataclass(slots=True)
class Truck:
    """A truck: position (m), speed (m/s), what is left of its way, weights (t) and how long it stays where it is."""

    name: str
    plate: str
    job: Job
    rng: random.Random
    gate: str
    tare_t: float
    at: _Place
    stage: Stage = Stage.OUTSIDE
    wait_s: float = 0.0
    speed_m_s: float = 0.0
    cargo_t: float = 0.0
    first_weight_t: float = 0.0
    way: list[_Place] = field(default_factory=list[_Place])

    @property
    def weight_t(self) -> float:
        """What a scale shows with the truck on it."""
        return self.tare_t + self.cargo_t

    def head_for(self, place: str) -> None:
        """Take the way there: back to the main road, along it, and off again."""
        end = _PLACES[place]
        self.way = [(0.0, self.at[1]), (0.0, end[1]), end]

    def drive(self, dt_s: float) -> bool:
        """Drive for `dt_s`; returns whether it has arrived. Nobody cruises into a stop: the last 40 m are crept."""
        left = sum(math.dist(a, b) for a, b in zip([self.at, *self.way], self.way, strict=False))
        target = _CRUISE_M_S if left > 40.0 else _CREEP_M_S
        self.speed_m_s = approach(self.speed_m_s, target, dt_s, 4.0)
        reach = self.speed_m_s * dt_s
        while self.way:
            gap = math.dist(self.at, self.way[0])
            if gap > reach:
                share = reach / gap
                east, north = self.at
                self.at = (east + (self.way[0][0] - east) * share, north + (self.way[0][1] - north) * share)
                return False
            reach -= gap
            self.at = self.way.pop(0)
        self.speed_m_s = 0.0
        return True

    def show(self, noise: SensorNoise) -> Values:
        """What the truck's terminal shows, canonical units. A satellite fix is good to 2 m or so."""
        east, north = noise.around(self.at[0], 1.0), noise.around(self.at[1], 1.0)
        return {
            "longitude": _MIDDLE_LON + east / (_M_PER_DEGREE * math.cos(math.radians(_MIDDLE_LAT))),
            "latitude": _MIDDLE_LAT + north / _M_PER_DEGREE,
            "speed": self.speed_m_s * 3.6,
        }


class Traffic:
    """All trucks, the weighbridge with its queue of one place, and the two gates' barriers."""

    def __init__(self, seed: int) -> None:
        self.trucks: dict[str, Truck] = {}
        for number, (plate, job) in enumerate(_JOBS, 1):
            name = f"truck-{number}"
            rng = generator(seed, name)
            gate = rng.choice(GATES)
            truck = Truck(name, plate, job, rng, gate, rng.uniform(13.8, 15.6), _PLACES[gate])
            # Not all at once after the start, and the first within a minute.
            truck.wait_s = 20.0 if number == 1 else rng.uniform(60.0, 1_500.0)
            self.trucks[name] = truck
        self.on_bridge: Truck | None = None
        self._barrier_s: dict[str, float] = dict.fromkeys(GATES, 0.0)
        self._tickets = 0

    def step(self, now_us: int, dt_s: float) -> list[Happening]:
        """Move on by `dt_s` to `now_us`; returns what happened."""
        happened: list[Happening] = []
        for gate, left in self._barrier_s.items():
            self._barrier_s[gate] = max(0.0, left - dt_s)
        for truck in self.trucks.values():
            if truck.way:
                arrived = truck.drive(dt_s)
            else:
                truck.wait_s -= dt_s
                arrived = truck.wait_s <= 0.0
            if arrived:
                self._enter(truck, _NEXT[truck.stage], now_us, happened)
        return happened

    def _enter(self, truck: Truck, stage: Stage, now_us: int, happened: list[Happening]) -> None:
        if stage in _WEIGHING and self.on_bridge is not None:
            # Somebody stands on the bridge: look again shortly.
            truck.wait_s = 1.0
            return
        if truck.stage in _WEIGHING:
            self._weigh(truck, now_us, happened)
        truck.stage = stage
        match stage:
            case Stage.OUTSIDE:
                happened.append(self._pass(truck, "out", now_us))
                truck.wait_s = truck.rng.uniform(300.0, 2_400.0)
            case Stage.TO_FIRST_WEIGHING:
                truck.gate = truck.rng.choice(GATES)
                truck.at = _PLACES[truck.gate]
                truck.cargo_t = truck.rng.uniform(16.0, 30.0) if truck.job.direction == "in" else 0.0
                happened.append(self._pass(truck, "in", now_us))
                truck.head_for(WEIGHBRIDGE)
            case Stage.TO_SECOND_WEIGHING:
                truck.cargo_t = 0.0 if truck.job.direction == "in" else truck.rng.uniform(16.0, 30.0)
                truck.head_for(WEIGHBRIDGE)
            case Stage.FIRST_WEIGHING | Stage.SECOND_WEIGHING:
                self.on_bridge = truck
                truck.wait_s = _WEIGHING_S
            case Stage.TO_WORKS:
                truck.head_for(truck.job.works)
            case Stage.AT_WORKS:
                truck.wait_s = truck.rng.uniform(600.0, 2_700.0)
            case Stage.TO_GATE:
                truck.gate = truck.rng.choice(GATES)
                truck.head_for(truck.gate)

    def _weigh(self, truck: Truck, now_us: int, happened: list[Happening]) -> None:
        self.on_bridge = None
        # A scale with steps of 20 kg.
        weight_t = round(truck.weight_t / 0.02) * 0.02
        if truck.stage is Stage.FIRST_WEIGHING:
            truck.first_weight_t = weight_t
            return
        gross_t, tare_t = max(weight_t, truck.first_weight_t), min(weight_t, truck.first_weight_t)
        self._tickets += 1
        body: dict[str, str | float | bool] = {
            "ticket": f"{now_us // 86_400_000_000:05d}-{self._tickets:05d}",
            "plate": truck.plate,
            "direction": truck.job.direction,
            "material": truck.job.material,
            "gross_t": round(gross_t, 2),
            "tare_t": round(tare_t, 2),
            "net_t": round(gross_t - tare_t, 2),
        }
        happened.append(Happening(WEIGHBRIDGE, "weigh-ticket", now_us, body))

    def _pass(self, truck: Truck, direction: str, now_us: int) -> Happening:
        self._barrier_s[truck.gate] = _BARRIER_S
        body: dict[str, str | float | bool] = {
            "gate": truck.gate,
            "plate": truck.plate,
            "direction": direction,
            "vehicle_class": "truck",
            "dangerous": truck.job.dangerous,
        }
        return Happening(truck.gate, "gate-pass", now_us, body)

    def show(self, noise: SensorNoise) -> dict[str, Values]:
        """What terminals, weighbridge and gates show, canonical units, by instrument."""
        shown = {name: truck.show(noise) for name, truck in self.trucks.items()}
        load = 0.0 if self.on_bridge is None else self.on_bridge.weight_t
        shown[WEIGHBRIDGE] = {"load": noise.around(load, 0.004)}
        for gate, left in self._barrier_s.items():
            shown[gate] = {"barrier": float(left > 0.0)}
        return shown
