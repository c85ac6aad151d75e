"""Which worker owns which stream: rendezvous hashing over the living workers, looked after 4 times a second."""

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import structlog

from park_platform.sensing.life import Life, Owned
from park_platform.sensing.load import load_stream, reload_config
from park_platform.storage.connect import database_errors
from park_platform.storage.resets import streams_with_resets
from park_platform.storage.streams import heard, rules_seq
from park_platform.storage.workers import StreamRow, living_workers, release_streams, stream_rows, take_stream
from park_wire.errors import OwnershipLost
from park_wire.topics import gateway_topic

log = structlog.get_logger()

KEEP_HOUSE_S: Final = 0.25
_CALL_S: Final = 1.0
# After a takeover from a dead worker the first batches are tried one by one: one of them may have killed it.
_CAUTIOUS_BATCHES: Final = 128


def chosen_worker(stream: str, workers: Sequence[UUID]) -> UUID:
    """The worker that should own a stream: the highest hash of (stream, worker). `workers` must not be empty."""
    return max(workers, key=lambda worker: hashlib.sha256(stream.encode() + worker.bytes).digest())


def to_take(rows: Iterable[StreamRow], worker: UUID, living: Sequence[UUID]) -> list[StreamRow]:
    """The free or abandoned streams that fall to this worker."""
    return [row for row in rows if (row.owner is None or row.abandoned) and chosen_worker(row.name, living) == worker]


def to_release(rows: Iterable[StreamRow], worker: UUID, living: Sequence[UUID]) -> list[StreamRow]:
    """The streams that this worker owns and another living worker should."""
    return [row for row in rows if row.owner == worker and chosen_worker(row.name, living) != worker]


def keep_house(life: Life) -> None:
    """Take and release streams, note who was heard, load what changed, call gateways that have not said hello.

    Raises OwnershipLost when somebody has taken a stream from this worker.
    """
    rows = [row for row in stream_rows(life.connection) if row.kind == "gateway"]
    _check(life, rows)
    # Ourselves too: a beat may be late.
    living = sorted({*living_workers(life.connection), life.worker})
    for row in to_release(rows, life.worker, living):
        _release(life, row.name)
    for row in to_take(rows, life.worker, living):
        _take(life, row)
    if life.heard:
        with database_errors():
            heard(life.connection, sorted(life.heard))
        life.heard.clear()
    _reload_changed(life)
    life.resets |= streams_with_resets(life.connection, [owned.stream.claim.stream for owned in life.owned.values()])
    _call(life)


def _check(life: Life, rows: Sequence[StreamRow]) -> None:
    mine = {row.name for row in rows if row.owner == life.worker}
    if lost := sorted(life.owned.keys() - mine):
        raise OwnershipLost(f"another worker has taken {', '.join(lost)}")


def _release(life: Life, name: str) -> None:
    owned = life.let_go(name)
    if owned is not None:
        release_streams(life.connection, [owned.stream.claim])
        log.info("stream_released", stream=name)


def _take(life: Life, row: StreamRow) -> None:
    claim = take_stream(life.connection, row, life.worker)
    if claim is None:
        return
    stream = load_stream(life.source, claim)
    if stream is None:
        release_streams(life.connection, [claim])
        return
    owned = Owned(stream, row.name, _CAUTIOUS_BATCHES if row.abandoned else 0)
    life.owned[row.name] = owned
    life.link.follow(owned.gateway)
    log.info("stream_taken", stream=row.name, term=claim.term, from_dead_worker=row.abandoned)


def _reload_changed(life: Life) -> None:
    # A stream whose gateway is silent commits nothing that would notice; its alarms must follow the rules too.
    seq = rules_seq(life.connection)
    for owned in life.owned.values():
        if owned.stream.config.rules_seq != seq:
            reload_config(life.source, owned.stream)


def _call(life: Life) -> None:
    now_s = time.monotonic()
    for owned in life.owned.values():
        waits = not owned.stream.greeted and life.link.is_following(owned.gateway)
        if waits and now_s - owned.called_at >= _CALL_S:
            owned.called_at = now_s
            call = owned.stream.call(life.clock(), life.pace.credit)
            life.link.publish(gateway_topic(owned.gateway, "ack"), call.encode())
