"""One life of an intake worker: what it holds as long as its database connection lasts."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from park_platform.sensing.gateway_stream import GatewayStream
from park_platform.sensing.heart import Heart
from park_platform.sensing.link import Arrived, Link
from park_platform.sensing.load import Source
from park_platform.sensing.pace import Pace
from park_platform.storage.connect import Connection
from park_wire.batch import seems_backfill
from park_wire.errors import OwnershipLost, StoreFull, StoreUnavailable

FATAL: Final = (StoreUnavailable, StoreFull, OwnershipLost)
"""What ends a life: it says nothing about the message at hand."""


@dataclass(slots=True)
class Counts:
    """What a worker has done since it started. Its log says it once a minute (`intake_counts`).

    retained: messages with the retain flag, which are ignored. failures: of commits and of messages before them.
    """

    commits: int = 0
    readings: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    known_events: int = 0
    retained: int = 0
    failures: int = 0


@dataclass(slots=True)
class Owned:
    """A stream that this worker owns.

    cautious: how many batches are still to be tried one by one. called_at: when its gateway was last asked for a hello.
    taken: the messages since the last commit, which a failed one has to try again. again: those that are tried again.
    """

    stream: GatewayStream
    name: str
    cautious: int = 0
    called_at: float = 0.0
    taken: list[Arrived] = field(default_factory=list[Arrived])
    again: list[Arrived] = field(default_factory=list[Arrived])

    @property
    def gateway(self) -> str:
        """The key of its gateway."""
        return self.stream.gateway.key

    def unanswered(self) -> list[Arrived]:
        """Every message that was taken and not yet acknowledged to the broker, once each."""
        messages = [*self.taken, *self.again, *self.stream.staging.unanswered()]
        return list({message.key: message for message in messages}.values())


@dataclass(slots=True)
class Life:
    """A worker's connection, its incarnation, and everything that goes with them when they end.

    innocent: batches that were tried alone when the database went away; it outlives this life. urgent, backfill: what
    has arrived and was not looked at yet. backfilled_at: when something of the backfill was.
    """

    worker: UUID
    source: Source
    heart: Heart
    link: Link
    clock: Callable[[], int]
    counts: Counts
    innocent: list[tuple[int, bytes]]
    pace: Pace = field(default_factory=Pace)
    owned: dict[str, Owned] = field(default_factory=dict[str, Owned])
    urgent: deque[Arrived] = field(default_factory=deque[Arrived])
    backfill: deque[Arrived] = field(default_factory=deque[Arrived])
    backfilled_at: float = float("-inf")
    heard: set[int] = field(default_factory=set[int])
    resets: set[int] = field(default_factory=set[int])
    house_kept_at: float = float("-inf")

    @property
    def connection(self) -> Connection:
        """The one database connection of this life."""
        return self.source.connection

    @property
    def incarnation(self) -> UUID:
        """The database's, as it was when this life began."""
        return self.source.incarnation

    def receive(self, messages: Iterable[Arrived]) -> None:
        """Keep what has arrived, each lane in its order."""
        for message in messages:
            (self.backfill if seems_backfill(message.payload) else self.urgent).append(message)

    def let_go(self, name: str) -> Owned | None:
        """Hold a stream no longer: its messages are acknowledged to the broker, and its gateway sends them again."""
        owned = self.owned.pop(name, None)
        if owned is not None:
            self.link.acknowledge(owned.unanswered())
            self.link.unfollow(owned.gateway)
        return owned

    def end(self) -> None:
        """Let go of everything. What the broker counts as unacknowledged would fill its window for ever."""
        for name in list(self.owned):
            self.let_go(name)
        self.link.acknowledge([*self.urgent, *self.backfill])
        self.urgent.clear()
        self.backfill.clear()
