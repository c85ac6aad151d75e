"""The gateway as a whole: real meters, a real broker, and a centre that is played."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator
from itertools import count, pairwise
from pathlib import Path
from statistics import median

import pytest
import structlog

from park_gateway.app import Gateway
from park_gateway.config import load_site
from park_gateway.device import load_model
from park_gateway.report import Report
from park_platform.embedded.broker import Broker
from park_wire.batch import Batch, Lane
from park_wire.errors import StoreError
from park_wire.quality import Quality
from support.centre import Books, Centre
from support.failing_disk import failing_syncs
from support.field import Meter, modbus_field
from support.gateway_edge import WAIT_S, until
from support.gateway_process import (
    accepted_samples,
    gateway_url,
    meter_table,
    start_gateway,
    stored_samples,
    write_site,
)
from support.simulated_field import free_ports

ADW = load_model("acrel-adw300")
_numbers = count(1)


@pytest.fixture
def gateway_id() -> str:
    return f"app-{next(_numbers)}"


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    trace = tmp_path / "trace.jsonl"
    monkeypatch.setenv("PARK_TRACE", str(trace))
    return trace


@contextlib.asynccontextmanager
async def started(gateway: Gateway) -> AsyncGenerator[Gateway]:
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


async def test_what_a_meter_says_reaches_the_centre_once(
    tmp_path: Path, broker: Broker, gateway_id: str, traced: Path
) -> None:
    books = Books()
    meters = [Meter(unit, ADW, {"voltage-a": 230.0 + unit}) for unit in (1, 2)]
    async with modbus_field(*meters) as field:
        tables = [meter_table(f"m-{unit}", field.port, unit=unit) for unit in (1, 2)]
        site = load_site(write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), *tables), {})
        with Centre(broker, gateway_id, books):
            async with started(Gateway(site)) as gateway:
                await until(lambda: len(stored_samples(books, site, "m-2")) > 50, "50 samples are committed")
            assert not gateway.delivery.online
            # The last batch is sealed at the stop, when the connection is gone: the next run brings it.
            async with started(Gateway(site)) as gateway:
                await until(lambda: len({hello.run for hello in books.hellos}) == 2, "the second run says hello")
                await until(
                    lambda: {*accepted_samples(traced, "m-1")} <= {*stored_samples(books, site, "m-1")}, "all of it"
                )
    stored = stored_samples(books, site, "m-1")
    assert len(stored) == len({*stored})
    assert {hello.epoch for hello in books.hellos} == {gateway.outbox.epoch}
    untils = [message.sealed.until for message in books.committed if isinstance(message, Batch)]
    assert untils == sorted(untils)


async def test_batches_come_at_most_every_100_ms_and_at_least_every_second(
    tmp_path: Path, broker: Broker, gateway_id: str
) -> None:
    books = Books()
    async with modbus_field(Meter(1, ADW, {}), Meter(2, ADW, {})) as field:
        tables = [meter_table("fast", field.port), meter_table("slow", field.port, unit=2, period_ms=60_000)]
        url = gateway_url(broker, gateway_id)
        site = load_site(write_site(tmp_path, gateway_id, url, tables[0]), {})
        with Centre(broker, gateway_id, books):
            async with started(Gateway(site)):
                await asyncio.sleep(1.0)
            batches = [message for message in books.committed if isinstance(message, Batch)]
            assert 3 <= len(batches) <= 17
            sealed = [message.sealed.sealed_at for message in batches]
            assert median(later - before for before, later in pairwise(sealed)) >= 90_000
            books.committed.clear()
            site = load_site(write_site(tmp_path, gateway_id, url, tables[1]), {})
            async with started(Gateway(site)):
                await asyncio.sleep(2.5)
    batches = [message for message in books.committed if isinstance(message, Batch)]
    sealed = [message.sealed.sealed_at for message in batches[1:]]
    assert median(later - before for before, later in pairwise(sealed)) <= 1_000_000
    assert len(batches[-1].content().columns) == 0


async def test_nothing_is_there_at_the_start_and_everything_is_buffered(
    tmp_path: Path, own_broker: Broker, gateway_id: str, traced: Path
) -> None:
    url = gateway_url(own_broker, gateway_id)
    own_broker.stop()
    books = Books()
    (dead,) = free_ports(1)
    async with modbus_field(Meter(1, ADW, {})) as field:
        tables = [meter_table("there", field.port), meter_table("away", dead)]
        site = load_site(write_site(tmp_path, gateway_id, url, *tables), {})
        async with started(Gateway(site)) as gateway:
            await until(lambda: gateway.outbox.lanes[Lane.LIVE].batches > 5, "batches wait")
            own_broker.start()
            with Centre(own_broker, gateway_id, books):
                began = time.monotonic()
                await until(lambda: gateway.outbox.lanes[Lane.LIVE].delivered, "the first ack")
                assert time.monotonic() - began < 8
                await until(
                    lambda: {*accepted_samples(traced, "there")} <= {*stored_samples(books, site, "there")},
                    "all of it",
                )
    away = next(device for device in site.devices if device.id == "away").index["voltage-a"]
    bad = {
        quality
        for message in books.committed
        if isinstance(message, Batch)
        for index, quality in zip(message.content().columns.index, message.content().columns.quality, strict=True)
        if index == away
    }
    assert bad == {Quality.BAD_NOT_CONNECTED}


async def test_a_full_outbox_does_not_end_polling(tmp_path: Path, broker: Broker, gateway_id: str) -> None:
    # Several, so that it is full soon.
    units = (1, 2, 3, 4)
    async with modbus_field(*(Meter(unit, ADW, {}) for unit in units)) as field:
        tables = [meter_table(f"m-{unit}", field.port, unit=unit) for unit in units]
        site = load_site(write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), *tables), {})
        books = Books(silent=True)
        with Centre(broker, gateway_id, books), structlog.testing.capture_logs() as logs:
            async with started(Gateway(site, quota_bytes=44 * 1024)) as gateway:
                await until(lambda: "outbox_full" in {entry["event"] for entry in logs}, "the outbox is full")
                polled = gateway.schedule.counts.blocks
                await asyncio.sleep(0.5)
                assert gateway.schedule.counts.blocks > polled + 5
                books.silent = False
                await until(lambda: gateway.outbox.lanes[Lane.LIVE].batches < 3, "it drains")
                await until(lambda: "outbox_has_room" in {entry["event"] for entry in logs}, "there is room again")
        samples = stored_samples(books, site, "m-1")
    assert samples
    assert len(samples) == len({*samples})


async def test_a_start_without_an_outbox_folder_says_what_to_do(
    tmp_path: Path, broker: Broker, gateway_id: str
) -> None:
    file = write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), meter_table("m-1", 1))
    (tmp_path / "outbox").write_text("not a folder")
    gateway = Gateway(load_site(file, {}))
    with pytest.raises(StoreError, match="check that it exists"):
        await gateway.start()
    await gateway.stop()


async def test_the_report_says_how_it_goes(tmp_path: Path, broker: Broker, gateway_id: str) -> None:
    async with modbus_field(Meter(1, ADW, {})) as field:
        site = load_site(
            write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), meter_table("m-1", field.port)), {}
        )
        with Centre(broker, gateway_id, Books(silent=True)):
            async with started(Gateway(site)) as gateway:
                await until(lambda: gateway.outbox.lanes[Lane.LIVE].batches > 5, "batches wait")
        report = Report.read(site.data)
    live = report.lanes[Lane.LIVE]
    assert live.batches == gateway.outbox.lanes[Lane.LIVE].batches
    assert live.readings == gateway.outbox.lanes[Lane.LIVE].readings > 50
    assert live.in_per_s > 50
    assert live.out_per_s == 0
    assert live.empty_in_s is None
    assert live.age_s > 0.3
    assert report.blocks == gateway.schedule.counts.blocks > 0
    assert not report.online


async def test_kill_9_loses_nothing_that_was_accepted_and_doubles_nothing(
    tmp_path: Path, broker: Broker, gateway_id: str
) -> None:
    trace = tmp_path / "trace.jsonl"
    books = Books()
    async with modbus_field(Meter(1, ADW, {}), Meter(2, ADW, {})) as field:
        tables = [meter_table(f"m-{unit}", field.port, unit=unit) for unit in (1, 2)]
        file = write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), *tables)
        site = load_site(file, {})
        with Centre(broker, gateway_id, books):
            for _ in range(3):
                process = start_gateway(file, trace)
                known = len(books.committed)
                try:
                    await until(lambda known=known: len(books.committed) > known + 6, "batches are committed")
                finally:
                    process.send_signal(signal.SIGKILL)
                    await asyncio.to_thread(process.communicate)
            runs = len({hello.run for hello in books.hellos})
            process = start_gateway(file, trace)
            try:
                await until(lambda: len({hello.run for hello in books.hellos}) > runs, "the last run says hello")
                await until(
                    lambda: {*accepted_samples(trace, "m-1")} <= {*stored_samples(books, site, "m-1")}, "all of it"
                )
            finally:
                process.send_signal(signal.SIGTERM)
                _, log = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, log.decode()
    for device in ("m-1", "m-2"):
        stored = stored_samples(books, site, device)
        assert len(stored) == len({*stored}), "nothing is stored twice"
        assert len(stored) > 30
    assert len({hello.epoch for hello in books.hellos}) == 1
    assert {hello.run for hello in books.hellos} >= {message.envelope.run for message in books.committed}
    seqs = [message.last_seq for message in books.committed if message.envelope.lane is Lane.LIVE]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_disk_that_fails_ends_the_process(tmp_path: Path, broker: Broker, gateway_id: str) -> None:
    async with modbus_field(Meter(1, ADW, {})) as field:
        table = meter_table("m-1", field.port)
        file = write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), table)
        process = start_gateway(file)
        report = tmp_path / "outbox" / "report.json"
        await until(report.exists, "the gateway runs")
        try:
            with failing_syncs(process.pid):
                await asyncio.to_thread(process.wait, WAIT_S)
        finally:
            process.kill()
            _, log = await asyncio.to_thread(process.communicate)
    assert process.returncode == 1
    assert b"check the disk" in log
    assert b"Traceback" not in log


async def test_stop_is_clean_while_the_broker_hangs(tmp_path: Path, own_broker: Broker, gateway_id: str) -> None:
    async with modbus_field(Meter(1, ADW, {})) as field:
        table = meter_table("m-1", field.port)
        site = load_site(write_site(tmp_path, gateway_id, gateway_url(own_broker, gateway_id), table), {})
        gateway = Gateway(site)
        await gateway.start()
        await until(lambda: gateway.delivery.online, "connected")
        pid = own_broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            await gateway.stop()
            assert time.monotonic() - began < 10
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_a_stop_ends_in_its_time_whatever_hangs(
    tmp_path: Path, broker: Broker, gateway_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()

    async def deaf() -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    monkeypatch.setattr("park_gateway.app._STOP_S", 0.3)
    site = load_site(write_site(tmp_path, gateway_id, gateway_url(broker, gateway_id), meter_table("m-1", 9)), {})
    gateway = Gateway(site)
    monkeypatch.setattr(gateway.schedule, "run", deaf)
    with structlog.testing.capture_logs() as logs:
        await gateway.start()
        await asyncio.wait_for(gateway.stop(), 3.0)
        released.set()
        await asyncio.sleep(0.1)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["gateway_hangs"]
    with pytest.raises(StoreError):
        gateway.outbox.free_bytes()
