"""The way to the centre: what it tells about itself, and what happens when it is not there."""

import asyncio
import contextlib
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from park_gateway.mqtt import Mqtt
from park_gateway.publish import drain
from park_platform.embedded.broker import Broker
from park_wire.batch import Lane
from park_wire.messages import Ack
from park_wire.topics import gateway_topic
from support.centre import gateway_broker
from support.gateway_edge import Edge, until
from support.outboxes import close_outboxes

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL


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


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "ho st%zz"])
async def test_a_broker_whose_name_is_none_is_a_broker_that_is_not_there(edge: Edge, host: str) -> None:
    """Checked sites hold no such name; one that comes from elsewhere must not stop the polling."""
    edge.mqtt = Mqtt(replace(gateway_broker(edge.broker, edge.gateway), host=host), edge.gateway)
    with structlog.testing.capture_logs() as logs:
        async with edge.draining():
            await until(lambda: logs, "it says so")
            await asyncio.sleep(0.5)
    assert [one["event"] for one in logs] == ["broker_lost"]
    assert host in logs[0]["error"]


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
    tmp_path: Path, own_broker: Broker
) -> None:
    edge = Edge(tmp_path, own_broker)
    own_broker.stop()
    try:
        async with edge.draining():
            written = await edge.write(5)
            await asyncio.sleep(0.3)
            assert not edge.delivery.online
            assert edge.outbox.outbox.lanes[LIVE].batches == 5
            own_broker.start()
            with edge.centre():
                await until(edge.lane_is_empty, "everything, after the broker came up")
                assert edge.delivery.online
                edge.books.silent = True
                written += await edge.write(5)
                await until(lambda: len(edge.books.unacknowledged(LIVE)) == 5, "all has arrived")
                own_broker.stop()
            await until(lambda: not edge.delivery.online, "the loss is noticed")
            written += await edge.write(5)
            edge.books.silent = False
            started = time.monotonic()
            own_broker.start()
            with edge.centre():
                await until(edge.lane_is_empty, "everything, after the broker came back")
                assert time.monotonic() - started < 8
        assert edge.books.values() == written
    finally:
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


async def test_a_batch_does_not_wait_for_the_one_before(edge: Edge) -> None:
    """Without TCP_NODELAY a second small message waits for the broker's TCP to confirm the first, up to 40 ms."""
    async with edge.mqtt.connected(b"will") as connection:
        library: Any = connection
        link = library._client.socket()
        assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
