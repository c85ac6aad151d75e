"""Outbox -> broker: sends what is unacknowledged, again and again, until the centre says that it is committed.

Nothing that the broker says deletes anything; only an ack of the centre does, and the outbox judges it. Live batches go
first; backfill gets the credit that the centre grants.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import Final

import structlog

from park_gateway.cancel import leave_if_cancelled
from park_gateway.flow import Flow
from park_gateway.mqtt import BrokerLost, Connection, Mqtt
from park_gateway.outbox import Verdict
from park_gateway.outbox_thread import OutboxThread
from park_wire.batch import Batch, Lane, Tombstone, encode_batch, encode_tombstone
from park_wire.errors import StoreFull, WireError
from park_wire.messages import Ack, Status

LIVE_WINDOW: Final = 32
FIRST_CREDIT: Final = 1
STATUS_S: Final = 5.0

_READ_AT_ONCE: Final = 8
_FIRST_DELAY_S: Final = 0.1
_MOST_DELAY_S: Final = 2.0
_STEADY_S: Final = 10.0
_JITTER: Final = 0.5
_GOODBYE_S: Final = 1.0

_random: Final = random.SystemRandom()

_log = structlog.get_logger()


@dataclass(slots=True)
class Delivery:
    """What is known of the way to the centre. `skew_us`: how far our clock is ahead of the centre's, once it is known.

    `resends`: how often a lane was begun again. `refused`: acks that could not be read; `full`: that found no room.
    """

    online: bool = False
    credit: int = FIRST_CREDIT
    skew_us: int | None = None
    resends: int = 0
    refused: int = 0
    full: int = 0


async def drain(outbox: OutboxThread, mqtt: Mqtt, delivery: Delivery | None = None) -> None:
    """Send what the outbox holds until cancelled, over as many connections as it takes; `delivery` tells how it goes.

    Raises StoreError when the outbox fails; a broker that is not there is waited for.
    """
    delivery = delivery or Delivery()
    loop = asyncio.get_running_loop()
    delay_s = _FIRST_DELAY_S
    lost = False
    while True:
        began = loop.time()
        try:
            will = await _status(outbox, delivery)
            async with mqtt.connected(will.encode()) as connection:
                lost = False
                _log.info("broker_connected", broker=str(mqtt))
                # In a task of its own: a group of tasks leaves Python 3.11 unsure whether its own was cancelled.
                await asyncio.create_task(_Conversation(outbox, connection, delivery).run())
        except BrokerLost as error:
            if not lost:
                _log.warning("broker_lost", error=str(error))
            lost = True
        finally:
            delivery.online = False
        # Where the connection ends in the turn of our cancellation, only its end is raised.
        leave_if_cancelled()
        # A broker that lets us in and throws us out again is not asked faster than one that is not there.
        delay_s = _FIRST_DELAY_S if loop.time() - began > _STEADY_S else min(2 * delay_s, _MOST_DELAY_S)
        await asyncio.sleep(delay_s * (1 - _JITTER * _random.random()))


async def _status(outbox: OutboxThread, delivery: Delivery) -> Status:
    store = outbox.outbox
    now = store.now()
    lanes = store.lanes.values()
    return Status(
        run=store.run,
        online=delivery.online,
        sent_at=now,
        depth=sum(lane.batches for lane in lanes),
        oldest_age_ms=max(lane.age_us(now) for lane in lanes) // 1_000,
        disk_free=await outbox.call(store.free_bytes),
        skew_us=delivery.skew_us or 0,
    )


class _Conversation:
    """One connection: what was sent on it and what the centre said."""

    def __init__(self, outbox: OutboxThread, connection: Connection, delivery: Delivery) -> None:
        self._thread = outbox
        self._outbox = outbox.outbox
        self._connection = connection
        self._delivery = delivery
        self._loop = asyncio.get_running_loop()
        self._epoch = b""
        self._flows: dict[Lane, Flow] = {}
        connection.on_room = outbox.changed.set

    async def run(self) -> None:
        """Say hello, then send and listen until the connection ends. Raises BrokerLost, StoreError."""
        self._delivery.online = True
        try:
            await self._begin()
            if self._outbox.config_version is not None:
                await self._send_birth(self._outbox.config_version)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send())
                group.create_task(self._listen())
                group.create_task(self._report())
        except ExceptionGroup as failures:
            # One of ours has failed and the others were cancelled for it.
            raise failures.exceptions[0] from None
        except asyncio.CancelledError:
            self._delivery.online = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._send_status()
            raise

    async def _begin(self) -> None:
        """Hello, and everything again from the oldest on: a new connection, or a new epoch."""
        hello = await self._thread.call(self._outbox.hello)
        self._connection.publish("hello", hello.encode())
        self._epoch = hello.epoch
        windows = {Lane.LIVE: LIVE_WINDOW, Lane.BACKFILL: self._delivery.credit}
        self._flows = {lane: Flow(windows[lane], at.oldest_seq, at.oldest_seq) for lane, at in hello.lanes.items()}
        self._thread.changed.set()

    # Up

    async def _send(self) -> None:
        changed = self._thread.changed
        while True:
            changed.clear()
            # Live is looked at again after each handful of backfill.
            if await self._send_some(Lane.LIVE) or await self._send_some(Lane.BACKFILL):
                continue
            due = min((flow.due for flow in self._flows.values() if flow.due is not None), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await changed.wait()
            for flow in self._flows.values():
                self._delivery.resends += flow.expire(self._loop.time())

    async def _send_some(self, lane: Lane) -> bool:
        flow = self._flows[lane]
        room = min(flow.room(self._outbox.lanes[lane].next_seq), _READ_AT_ONCE)
        if not room or not self._connection.has_room():
            return False
        first = flow.next
        messages = await self._thread.call(self._outbox.unacknowledged, lane, room, first)
        if self._flows[lane] is not flow or flow.next != first:
            # Begun again while they were read: others are the next ones now, or these numbers mean others.
            return True
        # A new epoch may have begun while they were read: then these numbers are void.
        current = [message for message in messages if message.envelope.epoch == self._epoch]
        for message in current:
            self._connection.publish("data", _encode(message))
            self._flows[lane].send(message.last_seq, self._loop.time())
        return bool(messages)

    async def _send_birth(self, config_version: bytes) -> None:
        payload = await self._thread.call(self._outbox.birth, config_version)
        if payload is None:
            _log.warning("birth_unknown", config_version=config_version.hex())
        else:
            self._connection.publish("birth", payload)

    async def _report(self) -> None:
        while True:
            await self._send_status()
            await asyncio.sleep(STATUS_S)

    async def _send_status(self) -> None:
        status = await _status(self._thread, self._delivery)
        self._connection.publish("status", status.encode())

    # Down

    async def _listen(self) -> None:
        while True:
            acks = [ack for payload in await self._connection.received() if (ack := self._decode(payload))]
            for ack in _without_outdated(acks):
                try:
                    await self._obey(ack)
                except StoreFull as error:
                    # Nothing was changed, and what the centre says it says again: there may be room then.
                    if not self._delivery.full:
                        _log.error("outbox_full", error=str(error))
                    self._delivery.full += 1

    def _decode(self, payload: bytes) -> Ack | None:
        try:
            return Ack.decode(payload)
        except WireError as error:
            self._delivery.refused += 1
            if self._delivery.refused == 1:
                _log.error("ack_refused", error=str(error))
            return None

    async def _obey(self, ack: Ack) -> None:
        if ack.need_birth is not None:
            await self._send_birth(ack.need_birth)
        if ack.run == self._outbox.run and ack.epoch == self._epoch:
            # Whatever else it says: how much may be under way is the centre's to say.
            self._delivery.credit = ack.credit
            if ack.new_epoch:
                await self._thread.call(self._outbox.new_epoch)
                await self._begin()
                return
            await self._acknowledge(ack)
        if ack.need_hello:
            hello = await self._thread.call(self._outbox.hello)
            self._connection.publish("hello", hello.encode())
            # Who asks holds nothing of ours; a timer that has backed off would keep the stream's new owner waiting.
            for flow in self._flows.values():
                self._delivery.resends += flow.restart()
            self._thread.changed.set()

    async def _acknowledge(self, ack: Ack) -> None:
        verdict = await self._thread.call(self._outbox.acknowledge, ack)
        if verdict is Verdict.DIVERGED:
            await self._begin()
            return
        self._delivery.skew_us = self._outbox.now() - ack.server_time
        self._flows[Lane.BACKFILL].window = ack.credit
        for lane, flow in self._flows.items():
            flow.acknowledge(self._outbox.lanes[lane].oldest_seq, self._loop.time())
        self._thread.changed.set()


def _encode(message: Batch | Tombstone) -> bytes:
    return encode_batch(message.envelope, message.sealed) if isinstance(message, Batch) else encode_tombstone(message)


def _without_outdated(acks: list[Ack]) -> list[Ack]:
    """The acks without those that ask for nothing and are followed by another of their run and epoch."""
    kept: list[Ack] = []
    seen: set[tuple[bytes, bytes]] = set()
    for ack in reversed(acks):
        asks = ack.new_epoch or ack.need_hello or ack.need_birth is not None
        if asks or (ack.run, ack.epoch) not in seen:
            kept.append(ack)
        if not asks:
            seen.add((ack.run, ack.epoch))
    return kept[::-1]
