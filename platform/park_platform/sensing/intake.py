"""The intake worker: takes streams, collects what their gateways publish, commits it, answers. One thread does it all.

    MQTT ── link.take ──> dispatch ──> GatewayStream.take_* ──> work ──> storage.commit ──> publish_values, acks, PUBACK
                                            ^                               │
                                            └────────── installed ──────────┘

Whatever fails, memory is thrown away and loaded again from the database; the gateways send again what has no ack.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

import structlog

from park_platform.sensing.gateway_stream import GatewayStream
from park_platform.sensing.link import Arrived, Link
from park_platform.sensing.load import load_stream, reload_config
from park_platform.sensing.ownership import Heart, to_release, to_take
from park_platform.sensing.publish import publish_acks, publish_values
from park_platform.sensing.tick import tick
from park_platform.storage.alarms import streams_with_resets
from park_platform.storage.commit import ConfigChanged, Work, commit, count_attempt
from park_platform.storage.connect import Connection, connect, database_errors
from park_platform.storage.readings import Fate
from park_platform.storage.roles import check_roles
from park_platform.storage.streams import heard, point_map, save_birth, save_status
from park_platform.storage.workers import (
    Claim,
    check_durability,
    db_incarnation,
    leave,
    living_workers,
    lock_streams,
    register_worker,
    release_streams,
    stream_rows,
    take_stream,
)
from park_wire.batch import read_message
from park_wire.errors import OwnershipLost, StoreError, StoreUnavailable, WireError
from park_wire.messages import Birth, Hello, Status
from park_wire.topics import gateway_topic, parse_gateway_topic

log = structlog.get_logger()

COLLECT_S: Final = 0.02
MOST_ROWS: Final = 50_000
_KEEP_HOUSE_S: Final = 0.25
_CALL_S: Final = 1.0
_MOST_TRIES: Final = 3
# After a takeover from a dead worker the first batches are tried one by one: one of them may have killed it.
_CAUTIOUS_BATCHES: Final = 128


def now_us() -> int:
    """The centre's clock in µs UTC."""
    return time.time_ns() // 1_000


@dataclass(slots=True)
class _Owned:
    """A stream that this worker owns. `cautious`: how many batches are still to be tried one by one."""

    stream: GatewayStream
    name: str
    cautious: int
    called_at: float = 0.0


@dataclass(slots=True)
class Counts:
    """What this worker has done since it started; for `park top` and the tests."""

    commits: int = 0
    readings: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    retained: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Session:
    """One life on one database connection."""

    connection: Connection
    worker: UUID
    incarnation: UUID
    heart: Heart
    owned: dict[str, _Owned] = field(default_factory=dict[str, _Owned])
    kept_house_at: float = 0.0
    backlog: deque[Arrived] = field(default_factory=deque[Arrived])
    heard: set[int] = field(default_factory=set[int])
    resets: set[int] = field(default_factory=set[int])


class Intake:
    """An intake worker as a value: `run` until `stop` is called from another thread or a signal."""

    def __init__(self, db_url: str, mqtt_url: str, *, clock: Callable[[], int] = now_us) -> None:
        self._db_url = db_url
        self._link = Link(mqtt_url, "ingest")
        self._clock = clock
        self._stopping = threading.Event()
        self.counts = Counts()

    def stop(self) -> None:
        """Finish the current transaction, give the streams back and end `run`."""
        self._stopping.set()
        self._link.wake()

    def run(self) -> None:
        """Work until stopped. Raises OwnershipLost when another worker took over: the process should start anew."""
        self._link.start()
        delay_s, lost = 0.2, False
        try:
            while not self._stopping.is_set():
                try:
                    with connect(self._db_url, "park ingest") as connection:
                        if lost:
                            log.info("database_back")
                        delay_s, lost = 0.2, False
                        self._live(connection)
                except StoreUnavailable as error:
                    if not lost:
                        log.warning("database_lost", reason=str(error))
                    lost = True
                    self._stopping.wait(delay_s)
                    delay_s = min(delay_s * 2, 5.0)
        finally:
            self._link.stop()

    # one life on one connection -----------------------------------------------------------------------------------

    def _live(self, connection: Connection) -> None:
        check_roles(connection, "ingest")
        check_durability(connection)
        worker = uuid4()
        register_worker(connection, worker)
        heart = Heart(self._db_url, worker)
        session = _Session(connection, worker, db_incarnation(connection), heart)
        heart.start()
        try:
            while not self._stopping.is_set():
                heart.seen()
                if heart.failed:
                    raise StoreUnavailable("the connection that beats for this worker ended")
                self._turn(session)
            leave(connection, worker)
        finally:
            heart.stop()
            for name in list(session.owned):
                self._link.unfollow(session.owned.pop(name).stream.gateway.key)

    def _turn(self, session: _Session) -> None:
        now_s = time.monotonic()
        if now_s - session.kept_house_at >= _KEEP_HOUSE_S:
            session.kept_house_at = now_s
            self._keep_house(session)
        if not session.backlog:
            session.backlog += self._link.take(_KEEP_HOUSE_S / 5)
            if session.backlog:
                session.backlog += self._collect()
        by_gateway = self._take_messages(session)
        for owned in session.owned.values():
            owned.stream.expire_held(self._clock())
        due = [
            owned
            for owned in session.owned.values()
            if not owned.stream.idle or owned.stream.claim.stream in session.resets
        ]
        session.resets.clear()
        if due:
            self._commit(session, due, by_gateway)

    def _collect(self) -> list[Arrived]:
        # The first message opens a window of 20 ms, so that one commit serves many batches.
        end = time.monotonic() + COLLECT_S
        more: list[Arrived] = []
        while (left := end - time.monotonic()) > 0:
            more += self._link.take(left)
        return more

    def _take_messages(self, session: _Session) -> dict[str, list[Arrived]]:
        """Dispatch the backlog until a commit is full; returns what was dispatched, by stream."""
        taken: dict[str, list[Arrived]] = {}
        while session.backlog:
            arrived = session.backlog.popleft()
            name = "gw-" + parse_gateway_topic(arrived.topic)[0]
            owned = session.owned.get(name)
            if arrived.retained or owned is None:
                self.counts.retained += arrived.retained
                self._link.acknowledge([arrived])
                continue
            taken.setdefault(name, []).append(arrived)
            session.heard.add(owned.stream.gateway.id)
            self._dispatch(session, owned, [arrived])
            if sum(owned.stream.planned_rows for owned in session.owned.values()) >= MOST_ROWS:
                break
        return taken

    # streams --------------------------------------------------------------------------------------------------------

    def _keep_house(self, session: _Session) -> None:
        connection, worker = session.connection, session.worker
        rows = [row for row in stream_rows(connection) if row.kind == "gateway"]
        living = living_workers(connection) or [worker]
        if worker not in living:
            living.append(worker)
        mine = {row.name for row in rows if row.owner == worker}
        for name in list(session.owned):
            if name not in mine:
                raise OwnershipLost(f"stream {name} belongs to another worker now")
        releasing = to_release(rows, worker, living)
        for row in releasing:
            owned = session.owned.pop(row.name, None)
            if owned is not None:
                self._link.unfollow(owned.stream.gateway.key)
                release_streams(connection, [owned.stream.claim])
        for row in to_take(rows, worker, living):
            claim = take_stream(connection, row, worker)
            if claim is not None:
                self._adopt(session, row.name, claim, cautious=_CAUTIOUS_BATCHES if row.abandoned else 0)
        if session.heard:
            with database_errors():
                heard(connection, sorted(session.heard))
            session.heard.clear()
        session.resets = streams_with_resets(
            connection, [owned.stream.claim.stream for owned in session.owned.values()]
        )
        now_s = time.monotonic()
        for owned in session.owned.values():
            waits = not owned.stream.greeted and self._link.is_following(owned.stream.gateway.key)
            if waits and now_s - owned.called_at >= _CALL_S:
                owned.called_at = now_s
                ack = owned.stream.call(self._clock())
                self._link.publish(gateway_topic(owned.stream.gateway.key, "ack"), ack.encode())

    def _adopt(self, session: _Session, name: str, claim: Claim, *, cautious: int) -> None:
        stream = load_stream(session.connection, claim)
        if stream is None:
            release_streams(session.connection, [claim])
            return
        session.owned[name] = _Owned(stream, name, cautious)
        self._link.follow(stream.gateway.key)
        log.info("stream_taken", stream=name, term=claim.term, cautious=bool(cautious))

    def _reload(self, session: _Session, owned: _Owned) -> None:
        with database_errors():
            stream = load_stream(session.connection, owned.stream.claim)
        if stream is None:
            raise OwnershipLost(f"the gateway of stream {owned.name} was removed")
        stream.greeted = owned.stream.greeted
        owned.stream = stream

    # messages -------------------------------------------------------------------------------------------------------

    def _dispatch(self, session: _Session, owned: _Owned, messages: Sequence[Arrived]) -> None:
        for arrived in messages:
            _, leaf = parse_gateway_topic(arrived.topic)
            try:
                match leaf:
                    case "data":
                        self._take_data(session, owned, arrived)
                    case "hello":
                        owned.stream.take_hello(Hello.decode(arrived.payload), arrived)
                    case "birth":
                        self._take_birth(session, owned, Birth.decode(arrived.payload), arrived)
                    case "status":
                        self._take_status(session, owned, Status.decode(arrived.payload), arrived)
            except WireError as error:
                log.warning(
                    "message_malformed", gateway=owned.stream.gateway.key, topic=arrived.topic, reason=str(error)
                )
                owned.stream.take_malformed(arrived, error)

    def _take_data(self, session: _Session, owned: _Owned, arrived: Arrived) -> None:
        message = read_message(arrived.payload)
        if owned.cautious:
            owned.cautious -= 1
            self._try_alone(session, owned, arrived, "a worker died while this batch may have been in its hands")
            return
        owned.stream.take_data(message, arrived, self._clock())

    def _take_birth(self, session: _Session, owned: _Owned, birth: Birth, arrived: Arrived) -> None:
        gateway = owned.stream.gateway
        known = point_map(session.connection, gateway.id, birth.config_version)
        if known is None:
            with database_errors(), session.connection.transaction():
                lock_streams(session.connection, [owned.stream.claim], session.incarnation)
                save_birth(session.connection, gateway, birth)
            known = point_map(session.connection, gateway.id, birth.config_version)
            reload_config(session.connection, owned.stream)
            log.info("birth_taken", gateway=gateway.key, points=len(birth.points))
        if known is not None:
            owned.stream.take_birth(known, birth.config_version)
        self._link.acknowledge([arrived])

    def _take_status(self, session: _Session, owned: _Owned, status: Status, arrived: Arrived) -> None:
        with database_errors():
            save_status(session.connection, owned.stream.gateway.id, status)
        self._link.acknowledge([arrived])

    # commits --------------------------------------------------------------------------------------------------------

    def _commit(self, session: _Session, due: Sequence[_Owned], by_gateway: dict[str, list[Arrived]]) -> None:
        try:
            self._commit_together(session, due)
        except (StoreUnavailable, OwnershipLost):
            raise
        except Exception as error:  # noqa: BLE001  # any fault of a batch: find the batch, keep the rest
            self.counts.failures += 1
            log.warning("commit_failed", reason=str(error), streams=[owned.name for owned in due])
            for owned in due:
                self._reload(session, owned)
            for owned in due:
                self._commit_each(session, owned, by_gateway.get(owned.name, ()))

    def _commit_each(self, session: _Session, owned: _Owned, messages: Sequence[Arrived]) -> None:
        for arrived in messages:
            if parse_gateway_topic(arrived.topic)[1] == "data":
                self._try_alone(session, owned, arrived, "its commit failed together with others")
            else:
                self._dispatch(session, owned, [arrived])
                self._commit_together(session, [owned])

    def _try_alone(self, session: _Session, owned: _Owned, arrived: Arrived, reason: str) -> None:
        """Try one batch in a transaction of its own; the third failure makes it a dead letter (chain 4.6)."""
        try:
            message = read_message(arrived.payload)
        except WireError as error:
            owned.stream.take_malformed(arrived, error)
            self._commit_together(session, [owned])
            return
        if not owned.stream.idle:
            self._commit_together(session, [owned])
        tried = count_attempt(session.connection, owned.stream.claim.stream, message.sha256, reason)
        try:
            if tried >= _MOST_TRIES:
                owned.stream.take_poison(message, arrived, f"failed {tried} times alone: {reason}")
            else:
                owned.stream.take_data(message, arrived, self._clock())
            self._commit_together(session, [owned])
        except (StoreUnavailable, OwnershipLost):
            raise
        except Exception as error:  # noqa: BLE001  # the batch is counted; the next ones get their turn
            self.counts.failures += 1
            log.warning("batch_failed", gateway=owned.stream.gateway.key, seq=message.envelope.seq, reason=str(error))
            self._reload(session, owned)
            self._link.acknowledge([arrived])

    def _commit_together(self, session: _Session, due: Sequence[_Owned]) -> None:
        now = self._clock()
        for _ in range(5):
            works: list[Work] = [owned.stream.work(now) for owned in due]
            try:
                done, copied = commit(session.connection, works, incarnation=session.incarnation, tick=tick, now=now)
                break
            except ConfigChanged:
                for owned in due:
                    reload_config(session.connection, owned.stream)
        else:
            raise StoreError("points or rules change faster than they can be loaded")
        self.counts.commits += 1
        self.counts.readings += copied.count(Fate.STORED)
        self.counts.duplicates += copied.count(Fate.DUPLICATE)
        self.counts.conflicts += copied.count(Fate.CONFLICT)
        self.counts.quarantined += copied.count(Fate.QUARANTINED)
        for owned, committed in zip(due, done, strict=True):
            answers = owned.stream.installed(committed, now)
            publish_values(self._link, owned.name, committed)
            publish_acks(self._link, owned.stream.gateway.key, answers)
