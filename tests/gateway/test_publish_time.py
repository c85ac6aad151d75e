"""The way to the centre in virtual time, where an event must fall into one turn of the loop, or a minute must pass."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from park_gateway.publish import LIVE_WINDOW, drain
from park_wire.batch import Lane, read_message
from support.gateway_wire import HonestCentre, LoopClock, SlowThread, VirtualLoop, Wire
from support.outboxes import close_outboxes, open_outbox, seal_values


def test_an_end_of_the_connection_does_not_hide_that_the_gateway_stops(tmp_path: Path) -> None:
    """Both in one turn of the event loop: `drain` would connect again, and whoever waits for its end would for ever."""
    loop = VirtualLoop()
    dice = random.Random(1)
    wire: Any = Wire(dice)
    thread = SlowThread(open_outbox(tmp_path, LoopClock(loop=loop)), dice)

    async def stop_when_cut() -> None:
        for turns in range(12):
            task = asyncio.create_task(drain(thread, wire))
            await asyncio.sleep(1)
            wire.cut()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=30)
            assert task.cancelled(), f"{turns} turns after the end it did not stop"

    try:
        loop.run_until_complete(stop_when_cut())
    finally:
        close_outboxes()
        loop.close()


def test_a_lost_connection_stops_nothing(tmp_path: Path) -> None:
    loop = VirtualLoop()
    dice = random.Random(1)
    wire: Any = Wire(dice)
    thread = SlowThread(open_outbox(tmp_path, LoopClock(loop=loop)), dice)

    async def cut_often() -> None:
        task = asyncio.create_task(drain(thread, wire))
        for _ in range(20):
            await asyncio.sleep(2.5)
            former = wire.line
            wire.cut()
            await asyncio.sleep(2.5)
            assert wire.line is not former, "it connects again"
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=30)

    try:
        loop.run_until_complete(cut_often())
    finally:
        close_outboxes()
        loop.close()


@pytest.mark.parametrize("seed", range(4))
def test_numbers_of_the_former_epoch_are_not_read_in_the_new_one(tmp_path: Path, seed: int) -> None:
    """What was being read when the epoch changed would leap over all that now counts from 1."""
    loop = VirtualLoop()
    dice = random.Random(seed)
    clock = LoopClock(loop=loop)
    outbox = open_outbox(tmp_path, clock)
    leaps: list[int] = []

    def note_leap(leaf: str, payload: bytes) -> None:
        if leaf == "data" and (message := read_message(payload)).envelope.epoch == outbox.epoch:
            leaps.append(message.last_seq - outbox.lanes[Lane.LIVE].oldest_seq)

    wire = Wire(dice, on_publish=note_leap)
    centre = HonestCentre(wire)
    wire.listener = centre.hear
    for value in range(600):
        seal_values(outbox, clock, float(value))

    async def end_epochs() -> None:
        way: Any = wire
        task = asyncio.create_task(drain(SlowThread(outbox, dice), way))
        while outbox.lanes[Lane.LIVE].batches:
            await asyncio.sleep(0.1 + 0.3 * dice.random())
            if wire.line is not None and len(outbox.hello().former) < 20:
                wire.line.bring(centre.ack(outbox.run, outbox.epoch, new_epoch=True).encode())
        task.cancel()
        await asyncio.wait([task], timeout=30)

    try:
        loop.run_until_complete(end_epochs())
    finally:
        close_outboxes()
        loop.close()
    assert len(leaps) >= 600
    assert max(leaps) < LIVE_WINDOW


def test_who_needs_a_hello_gets_everything_again_at_once(tmp_path: Path) -> None:
    """However far the timer has backed off: the stream's new owner holds nothing."""
    loop = VirtualLoop()
    dice = random.Random(1)
    clock = LoopClock(loop=loop)
    outbox = open_outbox(tmp_path, clock)
    sent: list[tuple[float, str, int]] = []

    def note(leaf: str, payload: bytes) -> None:
        sent.append((loop.now_s, leaf, read_message(payload).last_seq if leaf == "data" else 0))

    wire = Wire(dice, on_publish=note)
    seal_values(outbox, clock, 1.0)
    seal_values(outbox, clock, 2.0)

    async def ask_late() -> float:
        way: Any = wire
        task = asyncio.create_task(drain(SlowThread(outbox, dice), way))
        await asyncio.sleep(100)
        assert wire.line is not None
        asked_s = loop.now_s
        wire.line.bring(HonestCentre(wire).ack(bytes(8), bytes(16), need_hello=True).encode())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task], timeout=30)
        return asked_s

    try:
        asked_s = loop.run_until_complete(ask_late())
    finally:
        close_outboxes()
        loop.close()
    before = [at for at, leaf, seq in sent if leaf == "data" and seq == 1 and at < asked_s]
    assert before[-1] - before[-2] > 10, "it had backed off"
    after = [(leaf, seq) for at, leaf, seq in sent if at >= asked_s and leaf != "status"]
    assert after == [("hello", 0), ("data", 1), ("data", 2)]
