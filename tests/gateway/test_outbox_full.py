"""A full outbox must be able to start, to send and to stop: else it would stay full for ever."""

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
import structlog

from park_gateway.app import Gateway
from park_gateway.config import load_site
from park_gateway.device import load_model
from park_gateway.outbox import GIVEN_UP, MOST_WAITING, Outbox
from park_gateway.reading import Readings
from park_platform.embedded.broker import Broker
from park_wire.batch import Event, Lane, Tombstone
from park_wire.errors import StoreFull
from support.centre import Books, Centre
from support.field import Meter, modbus_field
from support.gateway_edge import until
from support.gateway_process import gateway_url, meter_table, write_site
from support.outboxes import BIRTH, Clock, birth_of, close_outboxes, open_outbox, readings_at, seal_values, waiting

QUOTA = 512 * 1024
SMALL = 64 * 1024
BALLAST = 4 * 1024 * 1024
LARGE = birth_of(*(f"point-{at}" for at in range(3_000)))


@pytest.fixture
def clock() -> Generator[Clock]:
    yield Clock()
    close_outboxes()


def fill(outbox: Outbox, clock: Clock) -> int:
    """Seal until not even one reading finds room; how many readings were put."""
    put = 0
    for size in (500, 1):
        for _ in range(1_000):
            put += size
            try:
                seal_values(outbox, clock, *(random.random() for _ in range(size)))
            except StoreFull:
                break
            clock.wait(1)
    return put


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A disk of 9 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", disk], check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    close_outboxes()
    subprocess.run(["umount", disk], check=True)


def fill_disk(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(disk).free == 0
    return filler


# Starting


def test_a_full_outbox_takes_a_new_configuration(tmp_path: Path, clock: Clock) -> None:
    """A gateway that could not start could not send either, and only what is sent makes room."""
    outbox = open_outbox(tmp_path, clock, quota_bytes=QUOTA)
    fill(outbox, clock)
    held = waiting(outbox) + waiting(outbox, Lane.BACKFILL)
    outbox.close()
    outbox = open_outbox(tmp_path, clock, quota_bytes=QUOTA, birth=LARGE)
    assert outbox.birth(LARGE.config_version) == LARGE.encode()
    assert outbox.birth(BIRTH.config_version) == BIRTH.encode(), "what waits still needs it"
    assert [one.sha256 for one in waiting(outbox) + waiting(outbox, Lane.BACKFILL)] == [one.sha256 for one in held]
    assert outbox.free_bytes() == 0
    fill(outbox, clock)
    assert (tmp_path / "outbox.db").stat().st_size <= QUOTA + len(LARGE.encode()) + 64 * 1024, (
        "only the birth is beyond"
    )
    assert (tmp_path / "ballast").exists(), "it is for a full disk, not for a quota"


def test_what_is_beyond_the_quota_does_not_grow_with_each_start(tmp_path: Path, clock: Clock) -> None:
    open_outbox(tmp_path, clock, quota_bytes=QUOTA)
    close_outboxes()
    outbox = open_outbox(tmp_path, clock, quota_bytes=QUOTA)
    fill(outbox, clock)
    for number in range(4):
        outbox.close()
        outbox = open_outbox(
            tmp_path, clock, quota_bytes=QUOTA, birth=birth_of(*(f"p{number}-{n}" for n in range(999)))
        )
        outbox.new_epoch()
    assert len(outbox.births()) == 2, "those in between were never needed"
    assert (tmp_path / "outbox.db").stat().st_size <= QUOTA + BALLAST


def test_a_full_disk_lets_an_outbox_open_and_delete(small_disk: Path) -> None:
    clock = Clock()
    outbox = open_outbox(small_disk / "outbox", clock)
    seal_values(outbox, clock, 1.0)
    fill_disk(small_disk)
    fill(outbox, clock)
    outbox.close()
    fill_disk(small_disk)
    outbox = open_outbox(small_disk / "outbox", clock, birth=LARGE)
    assert not (small_disk / "outbox" / "ballast").exists(), "without the ballast there was no room to open"
    assert outbox.birth(LARGE.config_version) is not None
    assert waiting(outbox)
    outbox.new_epoch()


def test_a_ballast_that_finds_no_room_is_no_half_one(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(tmp_path, clock)
    (tmp_path / "ballast").unlink()

    def refuse(descriptor: int, _offset: int, _length: int) -> None:
        os.write(descriptor, b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    outbox.tidy()
    assert not (tmp_path / "ballast").exists()
    monkeypatch.undo()
    outbox.tidy()
    assert (tmp_path / "ballast").stat().st_size == BALLAST


async def test_a_disk_without_any_room_is_waited_for(small_disk: Path, tmp_path: Path) -> None:
    """To end over and over would tell nobody more than to say it once."""
    filler = fill_disk(small_disk)
    text = write_site(tmp_path, "full-2", "mqtt://a:b@127.0.0.1:1", meter_table("m-1", 9)).read_text()
    (tmp_path / "SITE.toml").write_text(text.replace('data = "outbox"', f'data = "{small_disk / "outbox"}"'))
    gateway, stopped = Gateway(load_site(tmp_path / "SITE.toml", {})), asyncio.Event()
    with structlog.testing.capture_logs() as logs, pytest.MonkeyPatch.context() as patched:
        patched.setattr("park_gateway.app._START_AGAIN_S", 0.05)
        running = asyncio.create_task(gateway.run(stopped))
        await asyncio.sleep(0.5)
        (full,) = logs
        assert full["event"] == "outbox_full"
        assert "its disk is full, 0.0 MB are left; free some space there" in full["error"]
        filler.unlink()
        await until(lambda: "gateway_started" in [one["event"] for one in logs], "it starts by itself")
        stopped.set()
        await running
    assert (small_disk / "outbox" / "outbox.db").exists()


async def test_a_stop_while_a_disk_is_waited_for_is_heeded(small_disk: Path, tmp_path: Path) -> None:
    fill_disk(small_disk)
    text = write_site(tmp_path, "full-3", "mqtt://a:b@127.0.0.1:1", meter_table("m-1", 9)).read_text()
    (tmp_path / "SITE.toml").write_text(text.replace('data = "outbox"', f'data = "{small_disk / "outbox"}"'))
    gateway, stopped = Gateway(load_site(tmp_path / "SITE.toml", {})), asyncio.Event()
    running = asyncio.create_task(gateway.run(stopped))
    await asyncio.sleep(0.2)
    stopped.set()
    await asyncio.wait_for(running, 1.0)


def test_what_is_to_be_done_depends_on_what_is_full(small_disk: Path, tmp_path: Path, clock: Clock) -> None:
    cases = {tmp_path / "quota": "bring the link to the centre back", small_disk / "outbox": "its disk is full"}
    for folder, sentence in cases.items():
        outbox = open_outbox(folder, clock, quota_bytes=QUOTA)
        if folder.parent == small_disk:
            fill_disk(small_disk)
        with structlog.testing.capture_logs() as logs:
            fill(outbox, clock)
        (told,) = (one["error"] for one in logs if one["event"] == "outbox_full")
        assert sentence in told
        assert [other in told for other in cases.values()].count(True) == 1
        outbox.close()


# Stopping


def test_what_found_no_room_is_told_at_the_end(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock, quota_bytes=QUOTA)
    put = fill(outbox, clock)
    outbox.put(readings_at(clock(), 1.0, 2.0))
    outbox.put(Readings(events=[Event("gate", clock() + 5, "pass", {"plate": "x"})]))
    outbox.give_up_waiting()
    newest = max(waiting(outbox) + waiting(outbox, Lane.BACKFILL), key=lambda one: one.envelope.lane == "backfill")
    outbox.close()
    outbox = open_outbox(tmp_path, clock, quota_bytes=QUOTA)
    held = waiting(outbox) + waiting(outbox, Lane.BACKFILL)
    (tombstone,) = [one for one in held if isinstance(one, Tombstone)]
    assert tombstone.loss.reason == GIVEN_UP
    assert tombstone.loss.n + sum(lane.readings for lane in outbox.lanes.values()) == put + 3
    assert tombstone.loss.to_ts == clock() + 5
    assert newest.sha256 in {one.sha256 for one in held}
    assert tombstone is held[-1], "its place is behind what was sealed before"


def test_without_anything_waiting_nothing_is_told(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock)
    outbox.give_up_waiting()
    assert not waiting(outbox)


def test_events_count_among_what_waits(tmp_path: Path, clock: Clock) -> None:
    """A gate has no readings, and its events must not fill the memory either."""
    outbox = open_outbox(tmp_path, clock, quota_bytes=QUOTA)
    fill(outbox, clock)
    for _ in range(3):
        events = [Event("gate", clock() + at, "pass", {"n": at}) for at in range(MOST_WAITING // 2)]
        outbox.put(Readings(events=events))
        with pytest.raises(StoreFull):
            outbox.seal(clock())
    outbox.give_up_waiting()
    lost = waiting(outbox, Lane.BACKFILL)[-1]
    assert isinstance(lost, Tombstone)
    assert lost.loss.n >= 3 * (MOST_WAITING // 2)


# The gateway as a whole


async def test_a_gateway_starts_over_a_full_outbox_and_drains_it(tmp_path: Path, broker: Broker) -> None:
    """Restarted with another configuration, the link down: it polls, says that it is full, and delivers all later."""
    books = Books(silent=True)
    model = load_model("acrel-adw300")
    async with modbus_field(*(Meter(unit, model) for unit in (1, 2))) as field:
        url = gateway_url(broker, "full-1")
        tables = [meter_table(f"m-{unit}", field.port, unit=unit) for unit in (1, 2)]
        gateway = Gateway(load_site(write_site(tmp_path, "full-1", url, tables[0]), {}), quota_bytes=SMALL)
        with structlog.testing.capture_logs() as logs:
            await gateway.start()
            await until(lambda: "outbox_full" in [one["event"] for one in logs], "it is full")
            await gateway.stop()
        assert [one["event"] for one in logs if one["event"].startswith("outbox_")] == ["outbox_full", "outbox_gave_up"]
        gateway = Gateway(load_site(write_site(tmp_path, "full-1", url, *tables), {}), quota_bytes=SMALL)
        with Centre(broker, "full-1", books):
            await gateway.start()
            try:
                polled = gateway.schedule.counts.blocks
                await until(lambda: gateway.schedule.counts.blocks > polled + 20, "polling goes on")
                await until(lambda: any(one.disk_free < SMALL // 8 for one in books.statuses), "the status says it")
                books.silent = False
                await until(books.tombstones, "what the first run could not keep is told")
                await until(lambda: gateway.outbox.free_bytes() > SMALL // 4, "there is room again")
            finally:
                await gateway.stop()
    assert len({message.envelope.run for message in books.committed}) == 1
