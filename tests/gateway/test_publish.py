"""Outbox, broker and centre: what is sent when, and what makes the outbox let go of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from park_gateway.mqtt import MOST_UNCONFIRMED, Mqtt
from park_gateway.outbox_thread import OutboxThread
from park_gateway.publish import LIVE_WINDOW, Delivery, drain
from park_platform.embedded.accounts import INGEST
from park_platform.embedded.broker import Broker
from park_wire.batch import GENESIS, Batch, Lane, Origin
from park_wire.messages import Ack
from park_wire.topics import gateway_topic
from support.centre import Books, Centre, gateway_broker
from support.outboxes import BIRTH, Clock, ack_up_to, birth_of, close_outboxes, open_outbox, readings_at, waiting

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL
WAIT_S = 8.0
_numbers = count(1)


async def until(condition: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
    """Let the loop run until `condition` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.005)


class Edge:
    """A gateway without a field: an outbox, a way to the broker, and the centre's books."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.broker = broker
        self.gateway = f"g-{next(_numbers)}"
        self.mqtt = Mqtt(gateway_broker(broker, self.gateway), self.gateway)
        self.clock = Clock(time.time_ns() // 1_000)
        self.books = Books()
        self.delivery = Delivery()
        self.outbox = OutboxThread(open_outbox(folder / "outbox", self.clock))
        self.written = 0.0

    @contextlib.contextmanager
    def centre(self) -> Generator[Centre]:
        with Centre(self.broker, self.gateway, self.books) as centre:
            yield centre

    @contextlib.asynccontextmanager
    async def draining(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(drain(self.outbox, self.mqtt, self.delivery))
        try:
            yield
        finally:
            if task.done():
                task.result()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def write(self, batches: int, wait_s: float = 0.1) -> list[float]:
        """Seal batches with one value each: 1, 2, 3, ..."""
        written: list[float] = []
        for _ in range(batches):
            self.written += 1
            written.append(self.written)
            self.outbox.put(readings_at(self.clock(), self.written))
            await self.outbox.seal(self.clock())
            self.clock.wait(wait_s)
        return written

    def lane_is_empty(self, *lanes: Lane) -> bool:
        return not any(self.outbox.outbox.lanes[lane].batches for lane in lanes or Lane)

    async def restart(self) -> None:
        """Another run of the same outbox, without a word to anybody."""
        await self.outbox.close()
        self.outbox = OutboxThread(open_outbox(self.folder / "outbox", self.clock))


@pytest.fixture
async def edge(tmp_path: Path, broker: Broker) -> AsyncGenerator[Edge]:
    edge = Edge(tmp_path, broker)
    yield edge
    with contextlib.suppress(RuntimeError):
        await edge.outbox.close()
    close_outboxes()


async def test_what_is_sealed_reaches_the_centre_once_and_leaves_the_outbox(edge: Edge) -> None:
    written = await edge.write(3)
    with edge.centre():
        async with edge.draining():
            written += await edge.write(2 * MOST_UNCONFIRMED, wait_s=0.01)
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.values() == written
    assert edge.delivery.resends == 0
    assert [message.envelope.seq for message in edge.books.committed] == list(range(1, len(written) + 1))


async def test_hello_and_birth_come_before_the_first_batch(edge: Edge) -> None:
    await edge.write(2)
    with edge.centre():
        async with edge.draining():
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.order.index("hello") < edge.books.order.index("birth") < edge.books.order.index("data")
    hello = edge.books.hellos[0]
    outbox = edge.outbox.outbox
    assert (hello.run, hello.epoch) == (outbox.run, outbox.epoch)
    assert (hello.lanes[LIVE].oldest_seq, hello.lanes[LIVE].next_seq) == (1, 3)
    assert edge.books.births == [BIRTH]


async def test_a_puback_deletes_nothing_and_the_window_is_32(edge: Edge) -> None:
    await edge.write(LIVE_WINDOW + 20)
    edge.books.silent = True
    with edge.centre():
        async with edge.draining():
            await until(lambda: len(edge.books.unacknowledged(LIVE)) >= LIVE_WINDOW, "the window is full")
            await asyncio.sleep(0.3)
            assert edge.books.unacknowledged(LIVE) == list(range(1, LIVE_WINDOW + 1))
            assert edge.outbox.outbox.lanes[LIVE].batches == LIVE_WINDOW + 20


async def test_backfill_gets_one_before_the_first_ack_and_then_the_credit(edge: Edge) -> None:
    await edge.write(1)
    edge.clock.wait(61)
    written = await edge.write(40)
    edge.books.silent = True
    edge.books.credit = 5
    with edge.centre() as centre:
        async with edge.draining():
            await until(lambda: edge.books.unacknowledged(BACKFILL), "the first backfill batch")
            await asyncio.sleep(0.2)
            assert edge.books.unacknowledged(BACKFILL) == [1]
            outbox = edge.outbox.outbox
            centre.ack_lane(outbox.run, outbox.epoch, BACKFILL)
            await until(lambda: len(edge.books.unacknowledged(BACKFILL)) >= 5, "the credit is used")
            await asyncio.sleep(0.2)
            assert edge.books.unacknowledged(BACKFILL) == [1, 2, 3, 4, 5]
            edge.books.silent = False
            await until(edge.lane_is_empty, "the rest, once the centre answers")
    assert edge.books.values(BACKFILL) == written


async def test_live_goes_before_backfill(edge: Edge) -> None:
    outbox = edge.outbox.outbox
    await edge.write(1)
    edge.clock.wait(61)
    await edge.write(30)
    await edge.outbox.call(outbox.acknowledge, ack_up_to(outbox, *waiting(outbox)))
    await edge.write(8)
    assert (outbox.lanes[LIVE].batches, outbox.lanes[BACKFILL].batches) == (8, 30)
    edge.delivery.credit = 64
    edge.books.silent = True
    with edge.centre():
        async with edge.draining():
            await until(lambda: len(edge.books.arrived) == 38, "both lanes are sent")
    assert [message.envelope.lane for message in edge.books.arrived] == [LIVE] * 8 + [BACKFILL] * 30


async def test_a_lost_batch_is_sent_again_from_the_oldest(edge: Edge) -> None:
    edge.books.lose_data = 1
    with edge.centre():
        async with edge.draining():
            written = await edge.write(5)
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.values() == written
    assert edge.delivery.resends >= 1
    sent = [message.last_seq for message in edge.books.arrived]
    assert sent[:6] == [1, 2, 3, 4, 5, 1]


async def test_a_lost_ack_is_made_good_by_a_resend(edge: Edge) -> None:
    edge.books.lose_acks = 5
    with edge.centre():
        async with edge.draining():
            written = await edge.write(5)
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.values() == written, "committed once although sent twice"
    assert len(edge.books.arrived) > 5


async def test_acks_of_another_run_or_epoch_change_nothing(edge: Edge) -> None:
    await edge.write(3)
    edge.books.silent = True
    with edge.centre() as centre:
        async with edge.draining():
            await until(lambda: len(edge.books.unacknowledged(LIVE)) == 3, "all has arrived")
            outbox = edge.outbox.outbox
            last = edge.books.arrived[2]
            honest = Ack(outbox.run, outbox.epoch, {LIVE: (3, last.sha256)}, 64, 0)
            epoch = outbox.epoch
            for foreign in (replace(honest, run=bytes(8)), replace(honest, epoch=bytes(16))):
                centre.ack(foreign)
                centre.ack(replace(foreign, new_epoch=True))
            await asyncio.sleep(0.3)
            assert outbox.lanes[LIVE].batches == 3
            assert outbox.epoch == epoch
            assert edge.delivery.credit == 1
            centre.ack(honest)
            await until(edge.lane_is_empty, "the honest ack is obeyed")


@pytest.mark.parametrize("case", ["a mark that was never given", "a head that is not ours"])
async def test_a_contradiction_begins_an_epoch_and_everything_is_sent_again(edge: Edge, case: str) -> None:
    written = await edge.write(3)
    edge.books.silent = True
    with edge.centre() as centre:
        async with edge.draining():
            await until(lambda: len(edge.books.unacknowledged(LIVE)) == 3, "all has arrived")
            outbox = edge.outbox.outbox
            first_epoch = outbox.epoch
            mark = (4, GENESIS) if case.startswith("a mark") else (2, b"?" * 32)
            edge.books.silent = False
            centre.ack(Ack(outbox.run, outbox.epoch, {LIVE: mark}, 8, 0))
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.values() == written
    assert [message.envelope.origin for message in edge.books.committed] == [
        Origin(first_epoch, LIVE, seq) for seq in (1, 2, 3)
    ]
    hello = edge.books.hellos[-1]
    assert hello.epoch == outbox.epoch != first_epoch
    assert [(was.epoch, was.live_next) for was in hello.former] == [(first_epoch, 4)]


async def test_new_epoch_is_obeyed_once(edge: Edge) -> None:
    written = await edge.write(2)
    edge.books.silent = True
    with edge.centre() as centre:
        async with edge.draining():
            await until(lambda: len(edge.books.unacknowledged(LIVE)) == 2, "all has arrived")
            outbox = edge.outbox.outbox
            first_epoch = outbox.epoch
            edge.books.silent = False
            for _ in range(5):
                centre.ack(Ack(outbox.run, first_epoch, {}, 8, 0, new_epoch=True))
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert [was.epoch for was in outbox.hello().former] == [first_epoch]
    assert edge.books.values() == written
    assert {message.envelope.epoch for message in edge.books.committed} == {outbox.epoch}


async def test_need_hello_is_answered_for_any_run(edge: Edge) -> None:
    with edge.centre() as centre:
        async with edge.draining():
            await until(lambda: edge.books.hellos, "the first hello")
            centre.ack(Ack(bytes(8), bytes(16), {}, 8, 0, need_hello=True))
            await until(lambda: len(edge.books.hellos) == 2, "a second hello")


async def test_need_birth_sends_the_one_that_is_named(edge: Edge) -> None:
    await edge.write(1)
    await edge.restart()
    newer = birth_of("a", "b", "c")
    edge.outbox.outbox.add_birth(newer)
    await edge.write(1)
    edge.books.unknown_births = True
    with edge.centre():
        async with edge.draining():
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.births == [newer, BIRTH]
    versions = [message.sealed.config_version for message in edge.books.committed if isinstance(message, Batch)]
    assert versions == [BIRTH.config_version, newer.config_version]


async def test_a_new_run_takes_up_where_the_last_was(edge: Edge) -> None:
    written = await edge.write(10)
    edge.books.lose_acks = 100
    with edge.centre():
        async with edge.draining():
            await until(lambda: len(edge.books.committed) == 10, "all is committed, no ack has come")
        assert edge.outbox.outbox.lanes[LIVE].batches == 10
        edge.books.lose_acks = 0
        await edge.restart()
        written += await edge.write(2)
        async with edge.draining():
            await until(edge.lane_is_empty, "everything is acknowledged")
    assert edge.books.values() == written
    assert len({message.envelope.run for message in edge.books.arrived}) == 2


async def test_status_comes_at_once_and_the_last_one_says_offline(edge: Edge) -> None:
    await edge.write(3)
    with edge.centre():
        async with edge.draining():
            await until(lambda: edge.books.statuses and edge.delivery.skew_us is not None, "a status and an ack")
        await until(lambda: not edge.books.statuses[-1].online, "the last status")
    first = edge.books.statuses[0]
    assert first.online
    assert first.run == edge.outbox.outbox.run
    assert 0 < first.disk_free <= 64 * 1024 * 1024
    assert abs(edge.books.statuses[-1].skew_us) < 5_000_000
    assert edge.books.statuses[-1].skew_us != 0


async def test_the_skew_is_how_far_our_clock_is_ahead(edge: Edge) -> None:
    edge.clock.wait(3600)
    with edge.centre():
        async with edge.draining():
            await until(lambda: edge.delivery.skew_us is not None, "an ack")
    assert edge.delivery.skew_us is not None
    assert abs(edge.delivery.skew_us - 3_600_000_000) < 5_000_000


async def test_an_ack_that_no_one_can_read_is_counted(edge: Edge) -> None:
    with edge.centre() as centre:
        async with edge.draining():
            await until(lambda: edge.books.hellos, "hello")
            for _ in range(3):
                centre.publish(gateway_topic(edge.gateway, "ack"), b"\xff\x00", 0)
            await until(lambda: edge.delivery.refused == 3, "three refusals")
            written = await edge.write(1)
            await until(edge.lane_is_empty, "and all goes on")
    assert edge.books.values() == written


async def test_a_retained_ack_is_ignored(edge: Edge) -> None:
    outbox = edge.outbox.outbox
    epoch = outbox.epoch
    with edge.centre() as centre:
        stale = Ack(outbox.run, epoch, {}, 8, 0, new_epoch=True)
        centre.publish(gateway_topic(edge.gateway, "ack"), stale.encode(), 1, retain=True)
        async with edge.draining():
            written = await edge.write(2)
            await until(edge.lane_is_empty, "everything is acknowledged")
            assert outbox.epoch == epoch
        centre.publish(gateway_topic(edge.gateway, "ack"), b"", 1, retain=True)
    assert edge.books.values() == written


async def test_without_a_broker_everything_waits_and_a_broker_restart_loses_nothing(
    tmp_path: Path, service_folder: Path
) -> None:
    broker = Broker(service_folder / "broker")
    broker.accounts.add(INGEST)
    broker.start()
    edge = Edge(tmp_path, broker)
    broker.stop()
    try:
        async with edge.draining():
            written = await edge.write(5)
            await asyncio.sleep(0.3)
            assert not edge.delivery.online
            assert edge.outbox.outbox.lanes[LIVE].batches == 5
            broker.start()
            with edge.centre():
                await until(edge.lane_is_empty, "everything, after the broker came up")
                assert edge.delivery.online
                edge.books.silent = True
                written += await edge.write(5)
                await until(lambda: len(edge.books.unacknowledged(LIVE)) == 5, "all has arrived")
                broker.stop()
            await until(lambda: not edge.delivery.online, "the loss is noticed")
            written += await edge.write(5)
            edge.books.silent = False
            started = time.monotonic()
            broker.start()
            with edge.centre():
                await until(edge.lane_is_empty, "everything, after the broker came back")
                assert time.monotonic() - started < 5
        assert edge.books.values() == written
    finally:
        broker.stop()
        await edge.outbox.close()
        close_outboxes()


async def test_wrong_credentials_are_waited_for_too(edge: Edge) -> None:
    right = edge.mqtt
    address = gateway_broker(edge.broker, edge.gateway)
    edge.mqtt = Mqtt(replace(address, credential=replace(address.credential, password="wrong")), edge.gateway)
    async with edge.draining():
        await asyncio.sleep(0.5)
        assert not edge.delivery.online
    edge.mqtt = right
    async with edge.draining():
        await until(lambda: edge.delivery.online, "connected")


async def test_a_vanished_gateway_is_reported_by_its_will(edge: Edge) -> None:
    with edge.centre():
        task = asyncio.create_task(drain(edge.outbox, edge.mqtt, edge.delivery))
        await until(lambda: edge.books.statuses, "online")
        # The broker drops the user, as a pulled cable would drop the connection: no DISCONNECT is sent.
        edge.broker.accounts.remove(f"gw-{edge.gateway}")
        edge.broker.reload()
        await until(lambda: not edge.books.statuses[-1].online, "the will")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert edge.books.statuses[-1].run == edge.outbox.outbox.run
