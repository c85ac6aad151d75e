"""The field between world and wire: what every device shows now, faults included, and what is true behind it.

The world moves in fixed ticks, so that its history depends on the seed and not on how busy the machine is; between two
ticks everything stands still.
"""

from collections.abc import Sequence
from typing import Final

from park_gateway.device import image
from park_sim.faults import Faults, Shown
from park_sim.journal import Journal
from park_sim.site import FieldDevice
from park_sim.traffic import Happening
from park_sim.world import World
from park_wire.quality import Mark

TICK_S: Final = 0.1
_NEAR_SET: Final = 0.95
"""A vessel is over-pressured, for the journal, from 95 % of its relief valve's set pressure."""


class Field:
    """The world as its devices show it."""

    def __init__(self, world: World, devices: Sequence[FieldDevice], journal: Journal) -> None:
        self.world = world
        self.devices = {device.id: device for device in devices}
        self.faults = Faults(devices, world)
        self.journal = journal
        self._shown: dict[str, Shown] = {}
        self._marks: dict[str, Mark] = {}
        self._images: dict[str, dict[int, int]] = {}
        self._states: dict[tuple[str, str], bool] = {}

    def tick(self, now_us: int, dt_s: float) -> list[Happening]:
        """Move the world on by `dt_s`; `now_us` is the wall clock's. Returns the events of the site's devices."""
        for fault in self.faults.expire(now_us):
            self.journal.note_fault(now_us, fault.kind.name, fault.target, on=False, magnitude=fault.magnitude)
        self.world.step(dt_s)
        seen = self.world.observe()
        self._marks = self.world.marks()
        self._images.clear()
        self._shown = {device.id: self.faults.show(device, seen[device.id], now_us) for device in self.devices.values()}
        self._note_states(now_us)
        return [happening for happening in self.world.take_happenings() if happening.device in self.devices]

    def shown(self, device_id: str) -> Shown:
        """What a device shows since the last tick."""
        return self._shown[device_id]

    def words(self, device_id: str) -> dict[int, int]:
        """The registers of a Modbus device since the last tick, address to word."""
        words = self._images.get(device_id)
        if words is None:
            shown = self._shown[device_id]
            words = self._images[device_id] = image(shown.model, shown.values, self._marks.get(device_id))
        return words

    def _note_states(self, now_us: int) -> None:
        for device_id, state, true, value in self._truths():
            if self._states.get((device_id, state), False) != true:
                self._states[device_id, state] = true
                self.journal.note_state(now_us, device_id, state, on=true, value=value)

    def _truths(self) -> list[tuple[str, str, bool, float]]:
        """Device, state, whether it is so, and the value behind it: of the world, not of its instruments."""
        truths: list[tuple[str, str, bool, float]] = []
        lines = self.world.pipelines.lines.values()
        for vessel in self.world.vessels.vessels.values():
            pressure = vessel.pressure_mpa
            near = pressure >= _NEAR_SET * vessel.relief.set_mpa
            truths.append((vessel.name, "over-pressure", near, pressure))
            truths.append((vessel.name, "relief-lifted", vessel.relief.lifted, pressure))
        truths += [(line.name, "leaking", line.leaking_m3h > 0.0, line.leaking_m3h) for line in lines]
        truths += [(name, "calibrating", mark is Mark.CALIBRATING, float(mark)) for name, mark in self._marks.items()]
        return truths
