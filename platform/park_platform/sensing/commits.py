"""From plans to committed readings: all streams together, and when that fails each message alone (chain 4.3, 4.6)."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from park_platform.sensing.dispatch import leaf_of, refuse, take
from park_platform.sensing.life import FATAL, Life, Owned
from park_platform.sensing.link import Arrived
from park_platform.sensing.load import load_stream, reload_config
from park_platform.sensing.order import Verdict
from park_platform.sensing.plan import Message
from park_platform.sensing.publish import publish_acks, publish_values
from park_platform.sensing.tick import tick
from park_platform.storage.attempts import MOST_ATTEMPTS, begin_attempt, take_back_attempts
from park_platform.storage.commit import RulesChanged, commit
from park_platform.storage.readings import Fate
from park_platform.storage.work import Done
from park_wire.batch import read_message
from park_wire.errors import OwnershipLost, StoreError, StoreFull, StoreUnavailable, WireError

log = structlog.get_logger()

_MOST_RELOADS: Final = 5


def commit_due(life: Life, due: Sequence[Owned]) -> None:
    """Commit what these streams have planned; a message that can't be committed is found and put aside.

    Raises StoreUnavailable, StoreFull and OwnershipLost.
    """
    error = _failure_of(lambda: _commit(life, due))
    if error is not None:
        log.warning("commit_failed", reason=str(error), streams=[owned.name for owned in due])
        for owned in due:
            retry_alone(life, owned, "its commit failed together with others")


def take_or_retry(life: Life, owned: Owned, arrived: Arrived) -> None:
    """Take one message into its stream's plan, or alone while the stream is to be handled with caution."""
    if owned.cautious and leaf_of(arrived) == "data":
        owned.cautious -= 1
        owned.again = [arrived]
        reason = "a worker died while this batch may have been in its hands"
        error = _failure_of(lambda: _commit(life, [owned])) if owned.stream.is_due(life.clock()) else None
        if error is None:
            try_alone(life, owned, arrived, reason)
        else:
            # It is what came before that fails: a hello, perhaps.
            log.warning("commit_failed", reason=str(error), streams=[owned.name])
            owned.taken.append(arrived)
            retry_alone(life, owned, reason)
        owned.again = []
        return
    owned.taken.append(arrived)
    error = _failure_of(lambda: take(life, owned, arrived))
    if error is not None:
        log.warning("message_failed", gateway=owned.gateway, topic=arrived.topic, reason=str(error))
        retry_alone(life, owned, "a message failed before its commit")


def retry_alone(life: Life, owned: Owned, reason: str) -> None:
    """Throw away what a stream has in memory and take the messages since its last commit one by one."""
    life.counts.failures += 1
    owned.again, owned.taken = owned.taken, []
    _load_again(life, owned)
    while owned.again:
        try_alone(life, owned, owned.again[0], reason)
        owned.again = owned.again[1:]


def try_alone(life: Life, owned: Owned, arrived: Arrived, reason: str) -> None:
    """Take one message in a transaction of its own, then what waited for it in theirs."""
    if owned.stream.is_due(life.clock()):
        _commit(life, [owned])
    if leaf_of(arrived) != "data":
        error = _failure_of(lambda: _take_and_commit(life, owned, arrived))
        if error is not None:
            _load_again(life, owned)
            refuse(owned, arrived, str(error))
            _commit(life, [owned])
        return
    try:
        message = read_message(arrived.payload)
    except WireError as error:
        refuse(owned, arrived, str(error))
        _commit(life, [owned])
        return
    _try_message(life, owned, message, arrived, reason)
    while (waiting := owned.stream.staging.next_waiting()) is not None:
        _try_message(life, owned, *waiting, reason)


def _take_and_commit(life: Life, owned: Owned, arrived: Arrived) -> None:
    take(life, owned, arrived)
    _commit(life, [owned])


def _try_message(life: Life, owned: Owned, message: Message, arrived: Arrived, reason: str) -> None:
    if owned.stream.staging.judge(message) not in {Verdict.NEXT, Verdict.MISSED}:
        # Its content is not looked at.
        _take_alone(life, owned, message, arrived)
        return
    batch = (owned.stream.claim.stream, message.sha256)
    attempt = begin_attempt(life.connection, *batch)
    if attempt <= MOST_ATTEMPTS:
        try:
            error = _failure_of(lambda: _take_alone(life, owned, message, arrived))
        except (StoreUnavailable, StoreFull):
            life.innocent.append(batch)
            raise
        except OwnershipLost:
            with contextlib.suppress(StoreError):
                take_back_attempts(life.connection, [batch])
            raise
        if error is None:
            return
        identity = {"gateway": owned.gateway, "lane": message.envelope.lane, "seq": message.envelope.seq}
        log.warning("batch_failed", attempt=attempt, reason=str(error), **identity)
        reason = str(error)
        _load_again(life, owned)
        if attempt < MOST_ATTEMPTS:
            life.link.acknowledge([arrived])
            return
    owned.stream.staging.take_poison(message, arrived, f"failed {MOST_ATTEMPTS} times alone: {reason}", life.clock())
    _commit(life, [owned])


def _take_alone(life: Life, owned: Owned, message: Message, arrived: Arrived) -> None:
    owned.stream.staging.take_alone(message, arrived, life.clock())
    _commit(life, [owned])


def _failure_of(work: Callable[[], None]) -> Exception | None:
    """What a message did that nobody foresaw. The boundary behind which one gateway's bytes stop nobody else."""
    try:
        work()
    except FATAL:
        raise
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _load_again(life: Life, owned: Owned) -> None:
    stream = load_stream(life.source, owned.stream.claim)
    if stream is None:
        raise OwnershipLost(f"the gateway of stream {owned.name} was removed")
    again = {arrived.key for arrived in owned.again}
    # What is not tried again here, the gateway sends again.
    dropped = [arrived for arrived in owned.stream.staging.unanswered() if arrived.key not in again]
    stream.greeted = owned.stream.greeted
    owned.stream = stream
    life.link.acknowledge(dropped)


def _commit(life: Life, due: Sequence[Owned]) -> None:
    life.heart.check()
    now = life.clock()
    began = time.monotonic()
    for _ in range(_MOST_RELOADS):
        works = [owned.stream.work(now) for owned in due]
        try:
            done = commit(life.connection, works, incarnation=life.incarnation, tick=tick, now=now)
        except RulesChanged:
            for owned in due:
                reload_config(life.source, owned.stream)
        else:
            break
    else:
        raise StoreUnavailable("assets or rules change faster than they can be loaded")
    ended = time.monotonic()
    life.pace.note(ended - began, ended)
    _count(life, done)
    for owned, committed in zip(due, done.streams, strict=True):
        owned.taken = []
        answers = owned.stream.installed(committed, now, life.pace.credit)
        publish_values(life.link, owned.name, committed)
        publish_acks(life.link, owned.gateway, answers)


def _count(life: Life, done: Done) -> None:
    counts = life.counts
    counts.commits += 1
    counts.readings += done.copied.count(Fate.STORED)
    counts.duplicates += done.copied.count(Fate.DUPLICATE)
    counts.conflicts += done.copied.count(Fate.CONFLICT)
    counts.quarantined += done.copied.count(Fate.QUARANTINED)
    counts.known_events += done.known_events
