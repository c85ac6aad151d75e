"""Messages that wait, uncommitted, for what comes before them or for their birth (chain 4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from park_platform.sensing.link import Arrived
from park_platform.sensing.order import LaneOrder, Verdict
from park_platform.sensing.plan import LaneKey, Message, RunKey
from park_wire.batch import Lane

MOST_HELD: Final = 64
HOLD_US: Final = 2_000_000


@dataclass(slots=True)
class _Waiting:
    since: int
    items: dict[int, tuple[Message, Arrived]] = field(default_factory=dict[int, tuple[Message, Arrived]])


class Holding:
    """What waits, by (run, epoch, lane): two runs of one outbox must not complete each other's holes."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bytes, bytes, Lane], _Waiting] = {}

    def lanes(self) -> set[LaneKey]:
        """The lanes in which something waits."""
        return {(epoch, lane) for _, epoch, lane in self._waiting}

    def put(self, message: Message, arrived: Arrived, now: int) -> Arrived | None:
        """Keep a message; returns the copy that it replaces, which nobody will acknowledge any more."""
        envelope = message.envelope
        waiting = self._waiting.setdefault((envelope.run, envelope.epoch, envelope.lane), _Waiting(now))
        former = waiting.items.get(envelope.seq)
        waiting.items[envelope.seq] = (message, arrived)
        return None if former is None else former[1]

    def ready(self, key: LaneKey, order: LaneOrder) -> tuple[Message, Arrived] | None:
        """The first message of a lane that need not wait for another any more, whatever is to become of it."""
        for (_, epoch, lane), waiting in self._waiting.items():
            if (epoch, lane) == key:
                message, arrived = waiting.items[min(waiting.items)]
                if order.judge(message) is not Verdict.EARLY:
                    return message, arrived
        return None

    def drop(self, message: Message) -> None:
        """A message waits no longer."""
        envelope = message.envelope
        key = (envelope.run, envelope.epoch, envelope.lane)
        waiting = self._waiting[key]
        del waiting.items[envelope.seq]
        if not waiting.items:
            del self._waiting[key]

    def expire(self, now: int) -> Iterator[tuple[RunKey, list[Arrived]]]:
        """Let go of what has waited for too long, or is too much."""
        for (run, epoch, lane), waiting in list(self._waiting.items()):
            if now - waiting.since > HOLD_US or len(waiting.items) > MOST_HELD:
                del self._waiting[run, epoch, lane]
                yield (run, epoch), [arrived for _, arrived in waiting.items.values()]

    def everything(self) -> list[Arrived]:
        """All that waits."""
        return [arrived for waiting in self._waiting.values() for _, arrived in waiting.items.values()]
