"""The intake worker: takes streams, collects what their gateways publish, commits it, answers. One thread does it all.

    MQTT ── link.take ──> dispatch ──> Staging.take_* ──> work ──> storage.commit ──> publish_values, acks, PUBACK
                                            ^                           │
                                            └──────── installed ────────┘

Whatever fails, memory is thrown away and loaded again from the database; the gateways send again what has no ack.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Final
from uuid import UUID, uuid4

import structlog

from park_platform.sensing.commits import commit_due, take_or_retry
from park_platform.sensing.heart import Heart
from park_platform.sensing.life import Counts, Life
from park_platform.sensing.link import Arrived, Link
from park_platform.sensing.load import Source
from park_platform.sensing.ownership import KEEP_HOUSE_S, keep_house
from park_platform.sensing.staging import MOST_ROWS
from park_platform.storage.attempts import take_back_attempts
from park_platform.storage.connect import Connection, connect
from park_platform.storage.roles import check_roles
from park_platform.storage.workers import (
    Claim,
    check_durability,
    db_incarnation,
    end_former_life,
    leave,
    register_worker,
)
from park_sdk.system import System
from park_wire.clock import wall_us
from park_wire.errors import StoreFull, StoreUnavailable
from park_wire.topics import parse_gateway_topic

log = structlog.get_logger()

COLLECT_S: Final = 0.02
BACKFILL_ROWS: Final = 5_000
"""After how many rows a commit of backfill is full: about as long as a live batch may wait for it."""
BACKFILL_WAITS_S: Final = 0.2
_FIRST_DELAY_S: Final = 0.1
_MOST_DELAY_S: Final = 5.0
_SAY_COUNTS_S: Final = 60.0


class Intake:
    """An intake worker as a value: `run` until `stop` is called from another thread or a signal."""

    def __init__(
        self, db_url: str, mqtt_url: str, systems: Mapping[str, System], *, clock: Callable[[], int] = wall_us
    ) -> None:
        """systems: what is installed; the park says which are used. Raises ConfigError when an address is none."""
        self._db_url = db_url
        self._link = Link(mqtt_url, "ingest")
        self._systems = systems
        self._clock = clock
        self._stopping = threading.Event()
        self._former: tuple[UUID, list[Claim]] | None = None
        self._innocent: list[tuple[int, bytes]] = []
        self._trouble: str | None = None
        self._commits_before = 0
        self._said_counts = Counts()
        self._counts_said_at = time.monotonic()
        self.counts = Counts()

    def stop(self) -> None:
        """Finish the current transaction, give the streams back and end `run`."""
        self._stopping.set()
        self._link.wake()

    def run(self) -> None:
        """Work until stopped. Raises OwnershipLost when another worker took over: the process should start anew."""
        self._link.start()
        delay_s = _FIRST_DELAY_S
        try:
            while not self._stopping.is_set():
                try:
                    with connect(self._db_url, "park ingest") as connection:
                        self._live(connection)
                except (StoreUnavailable, StoreFull) as error:
                    delay_s = _FIRST_DELAY_S if self._trouble is None else min(delay_s * 2, _MOST_DELAY_S)
                    self._say_lost("database_full" if isinstance(error, StoreFull) else "database_lost", error)
                    self._stopping.wait(delay_s)
        finally:
            self._link.stop()

    # one life on one connection -----------------------------------------------------------------------------------

    def _live(self, connection: Connection) -> None:
        check_roles(connection, "ingest")
        check_durability(connection)
        self._end_former(connection)
        worker = uuid4()
        register_worker(connection, worker)
        life = Life(
            worker=worker,
            source=Source(connection, db_incarnation(connection), self._systems, self._clock),
            heart=Heart(self._db_url, worker),
            link=self._link,
            clock=self._clock,
            counts=self.counts,
            innocent=self._innocent,
        )
        life.heart.start()
        try:
            while not self._stopping.is_set():
                life.heart.check()
                self._turn(life)
            leave(connection, worker)
        except (StoreUnavailable, StoreFull):
            self._former = (worker, [owned.stream.claim for owned in life.owned.values()])
            raise
        finally:
            life.heart.stop()
            life.end()

    def _end_former(self, connection: Connection) -> None:
        take_back_attempts(connection, self._innocent)
        self._innocent.clear()
        if self._former is not None:
            end_former_life(connection, *self._former)
            self._former = None

    def _turn(self, life: Life) -> None:
        if time.monotonic() - life.house_kept_at >= KEEP_HOUSE_S:
            keep_house(life)
            life.house_kept_at = time.monotonic()
        self._gather(life)
        now = self._clock()
        for owned in life.owned.values():
            owned.stream.staging.expire_held(now)
        due = [
            owned
            for owned in life.owned.values()
            if owned.stream.is_due(now) or owned.stream.claim.stream in life.resets
        ]
        life.resets.clear()
        if due:
            commit_due(life, due)
        self._say_back(life)
        self._say_counts()

    def _gather(self, life: Life) -> None:
        """Dispatch what waits, live first, and what comes within 20 ms of the first message, until a commit is full.

        Backfill has commits of its own, short ones, so that a live batch never waits for a long one; where live leaves
        it none, a batch of it goes along now and then.
        """
        for owned in life.owned.values():
            owned.stream.staging.resume(self._clock())
        room = MOST_ROWS - sum(owned.stream.staging.plan.rows for owned in life.owned.values())
        urgent, backfill = life.urgent, life.backfill
        if not urgent:
            idle_s = max(0.0, life.house_kept_at + KEEP_HOUSE_S - time.monotonic())
            life.receive(self._link.take(idle_s if room == MOST_ROWS and not backfill else 0.0))
        if urgent:
            self._gather_live(life, room)
            if not backfill or time.monotonic() - life.backfilled_at < BACKFILL_WAITS_S:
                return
            room = 1
        room = min(room, BACKFILL_ROWS)
        while backfill and room > 0:
            room -= self._dispatch(life, backfill.popleft())
            life.backfilled_at = time.monotonic()

    def _gather_live(self, life: Life, room: int) -> None:
        closes_at = life.urgent[0].at + COLLECT_S
        while room > 0:
            if not life.urgent:
                left_s = closes_at - time.monotonic()
                life.receive(self._link.take(left_s) if left_s > 0 else ())
            if not life.urgent:
                return
            room -= self._dispatch(life, life.urgent.popleft())

    def _dispatch(self, life: Life, arrived: Arrived) -> int:
        """Give a message to its stream; returns how many rows the next commit has got from it."""
        owned = life.owned.get("gw-" + parse_gateway_topic(arrived.topic)[0])
        if arrived.retained or owned is None:
            self.counts.retained += arrived.retained
            self._link.acknowledge([arrived])
            return 0
        life.heard.add(owned.stream.gateway.id)
        before = owned.stream.staging.plan.rows
        take_or_retry(life, owned, arrived)
        return max(0, owned.stream.staging.plan.rows - before)

    # what is said ---------------------------------------------------------------------------------------------------

    def _say_counts(self) -> None:
        if time.monotonic() - self._counts_said_at < _SAY_COUNTS_S:
            return
        self._counts_said_at = time.monotonic()
        if self.counts != self._said_counts:
            self._said_counts = replace(self.counts)
            log.info("intake_counts", **asdict(self.counts))

    def _say_lost(self, trouble: str, error: Exception) -> None:
        if self._trouble != trouble:
            log.warning(trouble, reason=str(error))
        self._trouble = trouble
        self._commits_before = self.counts.commits

    def _say_back(self, life: Life) -> None:
        # A full database lets us in and fails with the first commit.
        if self._trouble is not None and (self.counts.commits > self._commits_before or not life.owned):
            log.info("database_back")
            self._trouble = None
