"""An intake worker of the chain's model: the real staging, commits and retries over the model's database.

Only what speaks to servers is played: the link, the heart, and the turn of the main loop that `Intake` makes of them.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from park_platform.sensing import commits, dispatch
from park_platform.sensing.commits import commit_due, take_or_retry
from park_platform.sensing.dispatch import leaf_of
from park_platform.sensing.gateway_stream import GatewayStream
from park_platform.sensing.life import Counts, Life, Owned
from park_platform.sensing.link import Arrived
from park_platform.storage.workers import Claim
from park_wire.errors import OwnershipLost, StoreUnavailable
from park_wire.messages import Ack, Status
from support.chain_database import GATEWAY, ModelDatabase

_CALL_US: Final = 1_000_000


@dataclass(slots=True)
class ModelSource:
    """Where a worker loads from."""

    connection: ModelDatabase
    incarnation: Any


@dataclass(slots=True)
class ModelLink:
    """What a worker says. `say` takes its acks."""

    say: Callable[[Ack], None]
    confirmed: set[int] = field(default_factory=set[int])

    def publish(self, topic: str, payload: bytes) -> None:
        """Acks go on; live values interest nobody here."""
        if topic.endswith("/ack"):
            self.say(Ack.decode(payload))

    def acknowledge(self, messages: list[Arrived]) -> None:
        """PUBACKs: one for each message that waits for one."""
        for message in filter(_is_counted, messages):
            assert message.mid not in self.confirmed, f"a second PUBACK for {message.topic}"
            self.confirmed.add(message.mid)

    def unfollow(self, gateway: str) -> None:
        """Nothing follows from it: the world asks who owns the stream."""
        assert gateway


class _Heart:
    def check(self) -> None:
        """Beats."""


class Worker:
    """A process that owns the stream until somebody takes it; its memory is `life`."""

    def __init__(
        self, database: ModelDatabase, clock: Callable[[], int], say: Callable[[Ack], None], *, cautious: int = 0
    ) -> None:
        """It takes the stream at once; `cautious`: how many batches are tried alone, after a worker's death."""
        self.database = database
        self.inbox: list[Arrived] = []
        self.brought: set[int] = set()
        self._clock = clock
        self._called_at = 0
        self._link = ModelLink(say)
        self._name = f"gw-{GATEWAY}"
        self.life = self._begin(cautious=cautious)

    def _begin(self, *, cautious: int) -> Life:
        source: Any = ModelSource(self.database, self.database.incarnation)
        heart: Any = _Heart()
        link: Any = self._link
        life = Life(uuid4(), source, heart, link, self._clock, Counts(), [])
        claim = self.database.take(life.worker)
        life.owned[self._name] = Owned(self.database.load(source, claim), self._name, cautious)
        return life

    @property
    def owned(self) -> Owned:
        """The gateway's stream."""
        return self.life.owned[self._name]

    @property
    def is_busy(self) -> bool:
        """Whether anything waits here."""
        return bool(self.inbox) or self.owned.stream.staging.is_unfinished or not self.owned.stream.greeted

    def receive(self, arrived: Arrived) -> None:
        """A message of the broker."""
        self.inbox.append(arrived)
        if _is_counted(arrived):
            self.brought.add(arrived.mid)

    def gather(self) -> None:
        """Take what has come into the plan, as one that will be stopped before its commit. Raises OwnershipLost."""
        try:
            self._gather()
        except StoreUnavailable:
            self._live_again()

    def turn(self) -> None:
        """Take what has come, commit, answer. Raises OwnershipLost when the stream is somebody else's."""
        try:
            self._gather()
            now = self._clock()
            self.owned.stream.staging.expire_held(now)
            if self.owned.stream.is_due(now):
                commit_due(self.life, [self.owned])
            if not self.owned.stream.greeted and not 0 <= now - self._called_at < _CALL_US:
                self._called_at = now
                self._link.say(self.owned.stream.call(now, self.life.pace.credit))
        except StoreUnavailable:
            self._live_again()

    def _gather(self) -> None:
        self.owned.stream.staging.resume(self._clock())
        while self.inbox:
            take_or_retry(self.life, self.owned, self.inbox.pop(0))

    def _live_again(self) -> None:
        """As `Intake.run` after a lost connection: a new life, unless somebody has taken the stream meanwhile."""
        claim, innocent = self.owned.stream.claim, self.life.innocent
        self._link.acknowledge([one for one in self.owned.unanswered() if one.mid not in self._link.confirmed])
        tables = self.database.tables
        if tables.term > claim.term or self.life.source.incarnation != self.database.incarnation:
            raise OwnershipLost("another worker has taken it while this one was cut off")
        for _, sha256 in innocent:
            tables.attempts[sha256] = max(0, tables.attempts.get(sha256, 0) - 1)
        self.life = self._begin(cautious=0)

    def check_pubacks(self) -> None:
        """Each message is confirmed or waits; none is forgotten, or the broker's window would fill for ever."""
        waiting = {one.mid for one in (*self.inbox, *self.owned.unanswered()) if _is_counted(one)}
        assert self.brought == self._link.confirmed | waiting, "a message was neither kept nor acknowledged"
        assert not self._link.confirmed & waiting, "what still waits was acknowledged"


def _is_counted(arrived: Arrived) -> bool:
    # Only data comes with QoS 1 (decision 0008).
    return leaf_of(arrived) == "data"


def begin_attempt(connection: ModelDatabase, _stream: int, sha256: bytes) -> int:
    """As `storage.attempts.begin_attempt`."""
    attempts = connection.tables.attempts
    attempts[sha256] = attempts.get(sha256, 0) + 1
    return attempts[sha256]


def _take_back(connection: ModelDatabase, batches: list[tuple[int, bytes]]) -> None:
    for _, sha256 in batches:
        connection.tables.attempts[sha256] = max(0, connection.tables.attempts.get(sha256, 0) - 1)


def _load_stream(source: ModelSource, claim: Claim) -> GatewayStream:
    return source.connection.load(source, claim)


def _save_status(_connection: ModelDatabase, _gateway: int, _status: Status) -> None:
    """Nothing here depends on what a gateway says of itself."""


@contextmanager
def modelled_storage() -> Generator[None]:
    """Within it, `park_platform.sensing` speaks to a ModelDatabase where it would speak to PostgreSQL."""
    played: dict[tuple[Any, str], Any] = {
        (commits, "commit"): ModelDatabase.commit,
        (commits, "load_stream"): _load_stream,
        (commits, "begin_attempt"): begin_attempt,
        (commits, "take_back_attempts"): _take_back,
        (dispatch, "save_status"): _save_status,
    }
    real = {(module, name): getattr(module, name) for module, name in played}
    try:
        for (module, name), function in played.items():
            setattr(module, name, function)
        yield
    finally:
        for (module, name), function in real.items():
            setattr(module, name, function)
