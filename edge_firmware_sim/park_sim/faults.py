"""Faults by command: what is wrong in the simulated park now, and what its devices show then.

`over-pressure` and `leak` change the world; the others change what a device shows or whether it answers.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from park_gateway.point import DeviceModel, Order, Protocol
from park_sim.electricity import Values
from park_sim.fault_kinds import KINDS, FaultKind, Scope
from park_sim.site import FieldDevice
from park_sim.world import World
from park_wire.errors import ConfigError, Fault
from park_wire.quality import Quality


@dataclass(slots=True)
class ActiveFault:
    """A fault that is on. `frozen` holds the values at which a stuck device stays."""

    kind: FaultKind
    device: str
    points: frozenset[str]
    magnitude: float
    since_us: int
    until_us: int | None
    frozen: Values

    @property
    def target(self) -> str:
        """The device, with the point where one was named."""
        return f"{self.device}/{next(iter(self.points))}" if len(self.points) == 1 else self.device


@dataclass(frozen=True, slots=True)
class Shown:
    """What a device shows after its faults: values, and the quality of those that are not good."""

    values: Values
    quality: dict[str, Quality]
    answers: bool
    model: DeviceModel


class Faults:
    """The faults of one field. Times are µs of the wall clock."""

    def __init__(self, devices: Iterable[FieldDevice], world: World) -> None:
        self._devices = {device.id: device for device in devices}
        self._world = world
        self._active: dict[tuple[str, str], ActiveFault] = {}

    @property
    def active(self) -> list[ActiveFault]:
        """The faults that are on, oldest first."""
        return sorted(self._active.values(), key=lambda fault: fault.since_us)

    def start(
        self, kind_name: str, target: str, now_us: int, magnitude: float | None = None, duration_s: float | None = None
    ) -> ActiveFault:
        """Let a fault begin at `device` or `device/point`. Raises ConfigError naming what is known."""
        kind = KINDS.get(kind_name)
        if kind is None:
            raise _unknown("fault", kind_name, KINDS)
        device_name, _, point = target.partition("/")
        known = self.targets(kind)
        if device_name not in known:
            raise _unknown(f"{kind.scope.value} for {kind.name}", device_name, known)
        if magnitude is not None and (kind.magnitude is None or not math.isfinite(magnitude)):
            remedy = "leave out --magnitude" if kind.magnitude is None else f"give a number of {kind.unit}"
            raise ConfigError([Fault(kind.name, "--magnitude", f"{magnitude} has no meaning here", remedy)])
        if duration_s is not None and not 0.0 < duration_s < math.inf:
            raise ConfigError([Fault(kind.name, "--for", f"{duration_s} is not a time", "give seconds above 0")])
        length_s = kind.duration_s if duration_s is None else duration_s
        fault = ActiveFault(
            kind,
            device_name,
            self._points(kind, self._devices[device_name], point),
            (kind.magnitude or 0.0) if magnitude is None else magnitude,
            now_us,
            None if length_s is None else now_us + round(length_s * 1e6),
            {},
        )
        self._active[kind.name, fault.target] = fault
        self._bend(fault, on=True)
        return fault

    def _points(self, kind: FaultKind, device: FieldDevice, point: str) -> frozenset[str]:
        names = [own.name for own in device.model.points]
        if kind.scope is not Scope.POINT:
            if point:
                remedy = f"name the device only: {device.id}"
                raise ConfigError([Fault(kind.name, f"{device.id}/{point}", "befalls a whole device", remedy)])
            return frozenset(names)
        if not point:
            return frozenset(names if kind.every_point else names[:1])
        if point not in names:
            raise _unknown(f"point of {device.id}", point, names)
        return frozenset([point])

    def targets(self, kind: FaultKind) -> list[str]:
        """The devices that a fault of this kind can befall."""
        match kind.scope:
            case Scope.VESSEL:
                return sorted(self._devices.keys() & self._world.vessels.vessels.keys())
            case Scope.PIPELINE:
                return sorted(self._devices.keys() & self._world.pipelines.lines.keys())
            case Scope.WORDS:
                return sorted(device.id for device in self._devices.values() if _has_word_order(device.model))
            case Scope.DEVICE | Scope.POINT:
                return sorted(self._devices)

    def clear(self, target: str) -> list[ActiveFault]:
        """End all faults of a device, or of everything for "all". Raises ConfigError for an unknown device."""
        device_name = target.partition("/")[0]
        if target != "all" and device_name not in self._devices:
            raise _unknown("device", device_name, ["all", *self._devices])
        return [self._end(fault) for fault in self.active if target in ("all", fault.device) or fault.target == target]

    def expire(self, now_us: int) -> list[ActiveFault]:
        """End the faults whose time is over."""
        return [self._end(fault) for fault in self.active if fault.until_us is not None and fault.until_us <= now_us]

    def _end(self, fault: ActiveFault) -> ActiveFault:
        del self._active[fault.kind.name, fault.target]
        self._bend(fault, on=False)
        return fault

    def _bend(self, fault: ActiveFault, *, on: bool) -> None:
        """Faults of the world itself."""
        strength = fault.magnitude if on else 0.0
        if fault.kind.scope is Scope.VESSEL:
            self._world.vessels.vessels[fault.device].overpressure_mpa_s = strength
        elif fault.kind.scope is Scope.PIPELINE:
            line = self._world.pipelines.lines[fault.device]
            line.leak_m3h = strength / 100.0 * line.normal_m3h

    def show(self, device: FieldDevice, values: Values, now_us: int) -> Shown:
        """What `device` shows when its instruments see `values`."""
        mine = [fault for fault in self._active.values() if fault.device == device.id]
        if not mine:
            return Shown(values, {}, answers=True, model=device.model)
        shown, quality = dict(values), dict[str, Quality]()
        answers, model = True, device.model
        for fault in mine:
            match fault.kind.name:
                case "offline":
                    answers = False
                case "wrong-word-order":
                    model = replace(model, word_order=Order.BIG if model.word_order is Order.LITTLE else Order.LITTLE)
                case _:
                    _distort(fault, shown, quality, now_us)
        return Shown(shown, quality, answers, model)


def _distort(fault: ActiveFault, shown: Values, quality: dict[str, Quality], now_us: int) -> None:
    """Faults of single points, in place."""
    minutes = (now_us - fault.since_us) / 60e6
    for name in fault.points & shown.keys():
        match fault.kind.name:
            case "stuck":
                shown[name] = fault.frozen.setdefault(name, shown[name])
            case "drift":
                shown[name] += fault.magnitude / 100.0 * minutes * abs(shown[name])
                quality[name] = Quality.UNCERTAIN_SENSOR_NOT_ACCURATE
            case "spike":
                # A flow that rests at 0 jumps, too.
                shown[name] += fault.magnitude / 100.0 * max(1.0, abs(shown[name]))
            case "nan":
                shown[name] = math.nan
                quality[name] = Quality.BAD_SENSOR_FAILURE
            case _:
                return


def _has_word_order(model: DeviceModel) -> bool:
    return model.protocol is Protocol.MODBUS and any(register.type.words > 1 for register in model.registers)


def _unknown(what: str, word: str, known: Iterable[str]) -> ConfigError:
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, 0.5)
    remedy = (f"did you mean {near[0]}? " if near else "") + f"known are {', '.join(names) or 'none'}"
    return ConfigError([Fault("park sim fault", what, f"{word!r} is not known", remedy)])
