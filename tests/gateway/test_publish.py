"""Outbox, broker and centre: what is sent when, and what makes the outbox let go of it."""

import asyncio
import contextlib
import random
from dataclasses import replace

import pytest

from park_gateway.mqtt import MOST_UNCONFIRMED
from park_gateway.outbox_thread import OutboxThread
from park_gateway.publish import LIVE_WINDOW
from park_wire.batch import GENESIS, Batch, Lane, Origin
from park_wire.errors import StoreFull
from park_wire.messages import Ack
from support.gateway_edge import WAIT_S, Edge, until
from support.outboxes import BIRTH, ack_up_to, birth_of, open_outbox, readings_at, waiting

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL


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


async def test_a_tombstone_is_sent_in_its_place_and_acknowledged_like_a_batch(edge: Edge) -> None:
    await edge.outbox.close()
    edge.outbox = OutboxThread(open_outbox(edge.folder / "outbox", edge.clock, quota_bytes=256 * 1024))
    for _ in range(20):
        edge.outbox.put(readings_at(edge.clock(), *(random.random() for _ in range(5_000))))
        edge.clock.wait(0.1)
        with contextlib.suppress(StoreFull):
            await edge.outbox.seal(edge.clock())
    with edge.centre():
        async with edge.draining():
            async with asyncio.timeout(WAIT_S):
                while len(edge.books.values()) + sum(lost.loss.n for lost in edge.books.tombstones()) < 100_000:
                    with contextlib.suppress(StoreFull):
                        await edge.outbox.seal(edge.clock())
                    await asyncio.sleep(0.05)
            await until(edge.lane_is_empty, "everything is acknowledged")
    lost = sum(tombstone.loss.n for tombstone in edge.books.tombstones())
    assert lost
    assert lost + len(edge.books.values()) == 100_000
    assert edge.outbox.outbox.lanes[LIVE].readings == 0
