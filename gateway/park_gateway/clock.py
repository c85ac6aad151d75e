"""Time by an anchor: wall time is read once, after that the monotonic clock counts (chain.md 3.5).

So a step of the wall clock moves no reading. When the two have come apart the gateway anchors anew, and that is an
event: whoever looks at the data sees that time jumped, and by how much.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from park_wire.batch import Event

STEP_US: Final = 500_000
"""The anchor is renewed when wall time and anchored time differ by more than this."""

CLOCK_EVENT: Final = "clock"
"""The kind of the event that says so."""


def wall_us() -> int:
    """The wall clock in µs UTC."""
    return time.time_ns() // 1_000


def monotonic_us() -> int:
    """The monotonic clock in µs."""
    return time.monotonic_ns() // 1_000


@dataclass(slots=True)
class Anchor:
    """Anchored time of one process. `wall` and `monotonic` are the clocks, in µs; a test passes its own."""

    wall: Callable[[], int] = wall_us
    monotonic: Callable[[], int] = monotonic_us
    _offset: int = 0

    def __post_init__(self) -> None:
        self._offset = self.wall() - self.monotonic()

    def now(self) -> int:
        """Anchored time, µs UTC. Never steps but by `renew`."""
        return self._offset + self.monotonic()

    def skew(self) -> int:
        """How far the wall clock is ahead of anchored time, µs."""
        return self.wall() - self.now()

    def renew(self, device: str) -> Event | None:
        """Anchor anew if the wall clock has stepped or drifted away; the event that says so, in the name of `device`.

        The event's time is anchored time before the step, so it stands behind the last reading of the old time.
        """
        skew = self.skew()
        if abs(skew) <= STEP_US:
            return None
        before = self.now()
        self._offset += skew
        return Event(device, before, CLOCK_EVENT, {"step_us": skew, "before_us": before, "after_us": before + skew})
