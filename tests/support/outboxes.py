"""Outboxes for tests: a clock that a test moves, readings, and the acks of an honest centre."""

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from park_gateway.outbox import Outbox
from park_gateway.reading import Readings
from park_gateway.trace import Trace
from park_wire.batch import Batch, Lane, Tombstone
from park_wire.messages import Ack, Birth, BirthPoint

START_US = 1_763_900_000_000_000
SECOND_US = 1_000_000
QUOTA_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Clock:
    """Anchored time that stands still until a test moves it."""

    now_us: int = START_US

    def __call__(self) -> int:
        return self.now_us

    def wait(self, seconds: float) -> None:
        """Let time pass; a negative number is a step back."""
        self.now_us += round(seconds * SECOND_US)


def birth_of(*names: str) -> Birth:
    """A birth with these points at device "meter"."""
    return Birth.of(
        tuple(
            BirthPoint(index, "meter", name, "active-power", "kW", 0.0, 1e6, 1_000) for index, name in enumerate(names)
        )
    )


BIRTH = birth_of("a", "b")
_opened: list[Outbox] = []


def open_outbox(
    folder: Path, clock: Clock, *, quota_bytes: int = QUOTA_BYTES, trace: Trace | None = None, birth: Birth = BIRTH
) -> Outbox:
    """An outbox that is ready to seal."""
    outbox = Outbox.open(folder, quota_bytes=quota_bytes, now=clock, trace=trace)
    _opened.append(outbox)
    outbox.add_birth(birth)
    return outbox


def close_outboxes() -> None:
    """Close all that `open_outbox` opened; closing twice does no harm."""
    while _opened:
        _opened.pop().close()


def readings_at(time_us: int, *values: float) -> Readings:
    """Readings of point 0 at one time."""
    n = len(values)
    return Readings(array("I", bytes(4 * n)), array("q", [time_us] * n), array("d", values), array("B", bytes(n)),
                    array("B", bytes(n)))  # fmt: skip


def seal_values(outbox: Outbox, clock: Clock, *values: float) -> None:
    """Put values that were read now, and seal them."""
    outbox.put(readings_at(clock(), *values))
    outbox.seal(clock())


def values_in(messages: list[Batch | Tombstone]) -> list[float]:
    """The values of batches, in order."""
    return [value for message in messages if isinstance(message, Batch) for value in message.content().columns.value]


def waiting(outbox: Outbox, lane: Lane = Lane.LIVE) -> list[Batch | Tombstone]:
    """Everything that a lane still holds."""
    return outbox.unacknowledged(lane, 100_000)


def filled(outbox: Outbox, clock: Clock, batches: int) -> list[Any]:
    """Live batches that hold 0, 1, 2, ... and wait."""
    for value in range(batches):
        seal_values(outbox, clock, float(value))
        clock.wait(0.1)
    return waiting(outbox)


def ack_up_to(outbox: Outbox, *messages: Batch | Tombstone, credit: int = 8) -> Ack:
    """What an honest centre says when it has committed these, the last of each lane."""
    marks = {message.envelope.lane: (message.last_seq, message.sha256) for message in messages}
    return Ack(outbox.run, outbox.epoch, marks, credit, START_US)
