"""A park for the intake's benchmark: of 16,000 points 2,550 feed the systems, as in a park; the rest are meters'.

Each gateway has its share of every kind of asset, and each asset a device of its own that is read once a second.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from park_platform.park_file import ParkFile
from park_wire.messages import Birth, BirthPoint
from park_wire.quantities import QUANTITIES

_TEXT: Final = {"zh": "测", "en": "bench"}
# 4 rules a point, in steps of its noise; none trips, because noise ends at 4 steps.
_RULES: Final = (("hh", "HH", 9.0), ("h", "H", 8.0), ("l", "L", -8.0), ("ll", "LL", -9.0))
# For each system what a park sets once it has confirmed its own limits: all stream derivations have their rules.
SYSTEMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "economy": {},
    "energy": {},
    "environment": {"judge_unconfirmed": True, "confirmed": ["stack-share", "stack-dilution", "outfall-share"]},
    "logistics": {"forbidden_zones": ["tank-farm"], "zone_speeds": {"works": 20, "tank-farm": 5}},
    "safety": {"confirmed": ["pressure-ratio-h", "pressure-ratio-hh", "time-to-limit"]},
    "services": {},
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """Assets of a kind in 16,000 points. points: (name, quantity)."""

    kind: str
    count: int
    points: tuple[tuple[str, str], ...]
    design: Mapping[str, float]


def _plain(*quantities: str) -> tuple[tuple[str, str], ...]:
    return tuple((quantity, quantity) for quantity in quantities)


_FLOWS: Final = (("flow-in", "pipeline-flow"), ("flow-out", "pipeline-flow"))
_PRESSURES: Final = (("pressure-in", "pipeline-pressure"), ("pressure-out", "pipeline-pressure"))
_CHANNELS: Final = tuple((f"channel-{n}", "gas-lel") for n in range(1, 5))
_KINDS: Final = (
    _Kind("sphere-tank", 400, _plain("pressure"), {"pressure": 2.0}),
    _Kind("pipeline", 100, (*_FLOWS, *_PRESSURES), {"line-pack": 10.0, "pipeline-imbalance": 50.0}),
    _Kind("stack", 50, _plain("o2", "so2", "nox", "dust", "flue-flow", "treatment-state"), {}),
    _Kind("outfall", 50, _plain("wastewater-flow", "cod", "ammonia-nitrogen", "ph"), {}),
    _Kind("truck", 200, _plain("speed", "longitude", "latitude"), {}),
    _Kind("gas-detector", 100, (*_CHANNELS, ("gas-h2s", "gas-h2s")), {}),
)
_METER: Final = _plain("active-energy", "active-power", "voltage", "current", "power-factor")
_OF: Final = 16_000
# What a quantity is usually, and the step of its noise, in the canonical unit.
_USUAL: Final[Mapping[str, tuple[float, float]]] = {
    "pressure": (1.0, 0.005),
    "pipeline-flow": (100.0, 0.5),
    "pipeline-pressure": (0.6, 0.002),
    "o2": (8.0, 0.2),
    "so2": (20.0, 0.5),
    "nox": (30.0, 0.5),
    "dust": (5.0, 0.1),
    "flue-flow": (100_000.0, 500.0),
    "treatment-state": (1.0, 0.0),
    "wastewater-flow": (50.0, 1.0),
    "cod": (30.0, 1.0),
    "ammonia-nitrogen": (2.0, 0.1),
    "ph": (7.2, 0.05),
    "speed": (14.0, 0.5),
    "longitude": (109.84, 0.001),
    "latitude": (40.658, 0.0007),
    "gas-lel": (3.0, 0.3),
    "gas-h2s": (1.0, 0.1),
    "active-energy": (100_000.0, 0.0),
    "active-power": (200.0, 2.0),
    "voltage": (230.0, 0.5),
    "current": (300.0, 2.0),
    "power-factor": (0.9, 0.005),
}
_ZONES: Final = {
    "boundary": [[109.82674, 40.64363], [109.85326, 40.64363], [109.85326, 40.67237], [109.82674, 40.67237]],
    "works": [[109.82757, 40.64947], [109.85243, 40.64947], [109.85243, 40.66626], [109.82757, 40.66626]],
    "tank-farm": [[109.84746, 40.65962], [109.8522, 40.65962], [109.8522, 40.66141], [109.84746, 40.66141]],
}


@dataclass(frozen=True, slots=True)
class Device:
    """An asset's device: its kind, its points' (name, quantity), and the asset's design values."""

    key: str
    kind: str
    points: tuple[tuple[str, str], ...]
    design: Mapping[str, float]


def devices_of(gateway: int, gateways: int, points: int) -> list[Device]:
    """The devices of one of so many gateways, each with so many points."""
    found: list[Device] = []
    for kind in _KINDS:
        count = round(kind.count * gateways * points / _OF)
        share = range(count * gateway // gateways, count * (gateway + 1) // gateways)
        found += [Device(f"{kind.kind}-{n}", kind.kind, kind.points, kind.design) for n in share]
    left = points - sum(len(device.points) for device in found)
    for n in range(-(-left // len(_METER))):
        part = _METER[: left - n * len(_METER)]
        found.append(Device(f"meter-{gateway}-{n}", "electricity-meter", part, {}))
    return found


def park_of(
    names: Sequence[str],
    points: int,
    systems: Mapping[str, Mapping[str, Any]],
    people: Sequence[Mapping[str, Any]] = (),
) -> ParkFile:
    """A park with these gateways, each with so many points, that uses these systems and knows these people."""
    return ParkFile.model_validate(
        {
            "park": {"id": "bench", "name": _TEXT},
            "system": systems,
            "person": people,
            "zone": [{"id": key, "name": _TEXT, "outline": outline} for key, outline in _ZONES.items()],
            "gateway": [{"id": name, "name": _TEXT} for name in names],
            "asset": [
                {
                    "id": device.key,
                    "kind": device.kind,
                    "name": _TEXT,
                    "design": device.design,
                    "devices": [f"{name}/{device.key}"],
                }
                for number, name in enumerate(names)
                for device in devices_of(number, len(names), points)
            ],
            "rule": list(_rules()),
        }
    )


def _rules() -> Iterator[dict[str, Any]]:
    for quantity, (usual, step) in _USUAL.items():
        for key, kind, steps in _RULES:
            yield {
                "id": f"{quantity}-{key}",
                "name": _TEXT,
                "kind": kind,
                "on": {"quantity": quantity},
                "limit": usual + steps * (step or 1.0),
                "deadband": 0.1 * step,
                "on_delay_s": 1.0,
                "off_delay_s": 1.0,
                "priority": "low",
                "cause": _TEXT,
                "consequence": _TEXT,
                "action": _TEXT,
                "respond_s": 60,
                "source": "bench",
            }


def birth_of(devices: Sequence[Device]) -> Birth:
    """The birth of a gateway with these devices."""
    points = [(device.key, name, quantity) for device in devices for name, quantity in device.points]
    return Birth.of(
        tuple(
            BirthPoint(n, device, name, quantity, (known := QUANTITIES[quantity]).unit, known.low, known.high, 1_000)
            for n, (device, name, quantity) in enumerate(points)
        )
    )


def usual_values(devices: Sequence[Device]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What each point of these devices reads, and the step of its noise: f64[2, points]."""
    return np.array([_USUAL[quantity] for device in devices for _, quantity in device.points], np.float64).T
