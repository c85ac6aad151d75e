"""The poll loop on real servers: nobody waits for a dead device, and nothing bad passes for the last good value."""

import asyncio
import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType

from park_gateway.clock import Anchor, monotonic_us
from park_gateway.decode import Block
from park_gateway.device import load_model
from park_gateway.schedule import Schedule
from park_gateway.site import Device, Site
from park_wire.quality import Mark, Quality
from support.field import Gathered, Meter, mbap, modbus_field, running, scripted_line, site_of

ADW = load_model("acrel-adw300")


def _device(name: str, port: int, *, unit: int = 1, model: str = "acrel-adw300", more: str = "") -> str:
    return (
        f'id = "{name}"\nmodel = "{model}"\nendpoint = "modbus-tcp://127.0.0.1:{port}"\n'
        f"unit = {unit}\nperiod_ms = 50\ntimeout_ms = 150\n{more}"
    )


def _plc(port: int) -> str:
    return f'id = "t-1"\nmodel = "generic-vessel-plc"\nendpoint = "opc.tcp://127.0.0.1:{port}"\nroot = "ns=2;s=t"\n'


class _Run:
    """A site, its schedule and what was gathered."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.sink = Gathered()
        self.schedule = Schedule(site, Anchor(), self.sink)

    def index(self, device: str, point: str) -> int:
        return next(one for one in self.site.devices if one.id == device).index[point]

    def last(self, device: str, point: str = "voltage-a") -> tuple[float, int]:
        return self.sink.last(self.index(device, point))

    def of(self, device: str, point: str = "voltage-a") -> list[tuple[int, float, int, int]]:
        return self.sink.of(self.index(device, point))

    async def until(self, device: str, quality: Quality, point: str = "voltage-a") -> None:
        await self.sink.until(lambda: self.last(device, point)[1] == quality)


async def test_readings_come_with_time_value_and_sample(tmp_path: Path) -> None:
    meter = Meter(1, ADW, {"voltage-a": 230.1, "active-power": -1.5, "active-energy": 1000.0})
    async with modbus_field(meter) as field:
        run = _Run(site_of(tmp_path, _device("m-1", field.port, more="sample = true\n")))
        anchor = run.schedule.anchor
        before = anchor.now()
        async with running(run.schedule.run()):
            await run.sink.until(lambda: len(run.of("m-1")) >= 4)
    assert run.last("m-1") == (pytest.approx(230.1), Quality.GOOD)
    assert run.last("m-1", "active-power") == (-1.5, Quality.GOOD)
    assert run.last("m-1", "active-energy") == (1000.0, Quality.GOOD)
    times = [time for time, *_ in run.of("m-1")]
    assert before <= times[0]
    assert times == sorted(set(times))
    assert times[-1] - times[0] >= 2 * 50_000
    spans = [(one.device, one.block, one.ordinal) for readings in run.sink.all for one in readings.samples]
    assert spans[:4] == [("m-1", "h20", 1), ("m-1", "h62", 1), ("m-1", "h20", 2), ("m-1", "h62", 2)]
    stored = [value for _, value, *_ in run.of("m-1", "sample-h20")]
    assert stored == [float(ordinal) for _, block, ordinal in spans if block == "h20"]
    assert run.schedule.counts.blocks == len(spans)


async def test_a_mark_comes_with_the_values(tmp_path: Path) -> None:
    meter = Meter(1, load_model("generic-cems"), {"so2": 20.0}, mark=Mark.MAINTENANCE)
    async with modbus_field(meter) as field:
        run = _Run(site_of(tmp_path, _device("cems-1", field.port, model="generic-cems")))
        async with running(run.schedule.run()):
            await run.sink.until(lambda: bool(run.of("cems-1", "so2")))
            assert run.of("cems-1", "so2")[-1][1:] == (20.0, Quality.GOOD, Mark.MAINTENANCE)
            meter.mark = Mark.NORMAL
            await run.sink.until(lambda: run.of("cems-1", "so2")[-1][3] == Mark.NORMAL)


async def test_a_dead_meter_delays_no_other(tmp_path: Path) -> None:
    """One unit of three on a line is dead, and one endpoint of two."""
    dead = Meter(2, ADW, silent=True)
    async with modbus_field(Meter(1, ADW), dead, Meter(3, ADW)) as line, modbus_field(Meter(1, ADW)) as other:
        run = _Run(
            site_of(
                tmp_path,
                _device("m-1", line.port),
                _device("dead", line.port, unit=2),
                _device("m-3", line.port, unit=3),
                _device("m-4", other.port),
                _device("gone", 9),
            )
        )
        async with running(run.schedule.run()):
            await run.until("dead", Quality.BAD_NO_ANSWER)
            await run.until("gone", Quality.BAD_NOT_CONNECTED)
            counted = {name: len(run.of(name)) for name in ("m-1", "m-3", "m-4")}
            asked = dead.reads
            await asyncio.sleep(2.0)
            grown = {name: len(run.of(name)) - counted[name] for name in counted}
    # 40 polls in 2 s; the dead one takes the line for its timeout a few times, the other endpoint notices nothing.
    assert grown["m-4"] >= 28
    assert grown["m-1"] >= 18
    assert grown["m-3"] >= 18
    assert dead.reads - asked <= 8, "it is asked more and more rarely"
    assert {quality for *_, quality, _ in run.of("dead")} == {Quality.BAD_NO_ANSWER}
    assert all(math.isnan(value) for _, value, *_ in run.of("dead"))


async def test_lost_and_back_are_told_once_and_bad_readings_between(tmp_path: Path) -> None:
    meter = Meter(1, ADW, {"voltage-a": 230.0})
    async with modbus_field(meter) as field:
        run = _Run(site_of(tmp_path, _device("m-1", field.port)))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.until("m-1", Quality.GOOD)
                meter.silent = True
                await run.until("m-1", Quality.BAD_NO_ANSWER)
                for point in ADW.points:
                    await run.until("m-1", Quality.BAD_NO_ANSWER, point.name)
                await asyncio.sleep(0.6)
                meter.silent = False
                await run.until("m-1", Quality.GOOD)
    assert [one["event"] for one in logs] == ["device_lost", "device_back"]
    assert "no answer within 150 ms" in logs[0]["error"]
    for _, value, quality, _ in run.of("m-1"):
        assert (quality == Quality.GOOD) == (value == 230.0)


async def test_one_lost_answer_is_no_lost_device(tmp_path: Path) -> None:
    asked = 0

    async def answer(request: bytes) -> Sequence[bytes]:
        nonlocal asked
        asked += 1
        words = int.from_bytes(request[10:12], "big")
        return [] if asked % 5 == 3 else [mbap(request, bytes((3, 2 * words)) + bytes(2 * words))]

    async with scripted_line(answer) as port:
        run = _Run(site_of(tmp_path, _device("m-1", port)))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.sink.until(lambda: len(run.of("m-1")) >= 6)
    assert logs == []
    assert {quality for *_, quality, _ in run.of("m-1")} == {Quality.GOOD}


async def test_a_refused_block_is_bad_alone_and_told_once(tmp_path: Path) -> None:
    meter = Meter(1, ADW, {"voltage-a": 230.0}, refuses={62: ExcCodes.ILLEGAL_ADDRESS})
    async with modbus_field(meter) as field:
        run = _Run(site_of(tmp_path, _device("m-1", field.port, more="sample = true\n")))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.sink.until(lambda: len(run.of("m-1", "active-energy")) >= 3)
                assert run.last("m-1") == (230.0, Quality.GOOD)
                meter.refuses.clear()
                await run.until("m-1", Quality.GOOD, "active-energy")
    assert [(one["event"], one["block"]) for one in logs] == [("block_lost", "h62"), ("block_back", "h62")]
    assert "exception 2 (illegal address)" in logs[0]["error"]
    bad = [one for one in run.of("m-1", "active-energy") if one[2] != Quality.GOOD]
    assert {quality for *_, quality, _ in bad} == {Quality.BAD_REFUSED}
    assert {quality for *_, quality, _ in run.of("m-1")} == {Quality.GOOD}
    # A sample that was not read is no sample.
    assert {quality for *_, quality, _ in run.of("m-1", "sample-h62")} == {Quality.GOOD}


async def test_a_device_that_answers_with_an_exception_is_not_lost(tmp_path: Path) -> None:
    meter = Meter(1, ADW, silent=True)
    async with modbus_field(meter) as field:
        run = _Run(site_of(tmp_path, _device("m-1", field.port)))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.until("m-1", Quality.BAD_NO_ANSWER)
                meter.refuses[-1] = ExcCodes.DEVICE_BUSY
                meter.silent = False
                await run.until("m-1", Quality.BAD_REFUSED)
                await run.until("m-1", Quality.BAD_REFUSED, "active-energy")
    assert [one["event"] for one in logs] == ["device_lost", "block_lost", "device_back", "block_lost"]


async def test_nonsense_is_bad_for_every_point(tmp_path: Path) -> None:
    async def answer(request: bytes) -> Sequence[bytes]:
        return [mbap(request, bytes((3, 4)) + bytes(4))]

    async with scripted_line(answer) as port:
        run = _Run(site_of(tmp_path, _device("m-1", port)))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                for point in ADW.points:
                    await run.until("m-1", Quality.BAD_NONSENSE, point.name)
    assert [one["event"] for one in logs] == ["device_lost"]
    assert "answered 4 bytes, asked were 18 words" in logs[0]["error"]


async def test_a_server_that_restarts(tmp_path: Path) -> None:
    meters = [Meter(unit, ADW, {"voltage-a": 230.0}) for unit in (1, 2)]
    async with modbus_field(*meters) as field:
        run = _Run(site_of(tmp_path, *(_device(f"m-{unit}", field.port, unit=unit) for unit in (1, 2))))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                for device in ("m-1", "m-2"):
                    await run.until(device, Quality.GOOD)
                await field.stop()
                for device in ("m-1", "m-2"):
                    await run.until(device, Quality.BAD_NOT_CONNECTED)
                await asyncio.sleep(0.3)
                await field.start()
                start = monotonic_us()
                for device in ("m-1", "m-2"):
                    await run.until(device, Quality.GOOD)
                assert monotonic_us() - start < 2_000_000
    assert sorted((one["event"], one["device"]) for one in logs) == [
        ("device_back", "m-1"),
        ("device_back", "m-2"),
        ("device_lost", "m-1"),
        ("device_lost", "m-2"),
    ]


async def test_a_device_that_hangs_up_after_each_answer_is_read(tmp_path: Path) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        request = await reader.read(64)
        words = int.from_bytes(request[10:12], "big")
        writer.write(mbap(request, bytes((3, 2 * words)) + bytes(2 * words)))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        run = _Run(site_of(tmp_path, _device("m-1", server.sockets[0].getsockname()[1])))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.sink.until(lambda: len(run.of("m-1", "active-energy")) >= 5)
    assert logs == []
    assert {quality for point in ADW.points for *_, quality, _ in run.of("m-1", point.name)} == {Quality.GOOD}
    assert connections >= 10


@pytest.mark.parametrize("reads_first", [True, False])
async def test_a_server_that_hangs_up_on_everybody_is_not_stormed(tmp_path: Path, reads_first: bool) -> None:
    """A full serial server takes the connection and hangs up, before or after the request."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if reads_first:
            await reader.read(64)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, modbus_field(Meter(1, ADW)) as other:
        port = server.sockets[0].getsockname()[1]
        tables = [_device(f"m-{unit}", port, unit=unit) for unit in (1, 2, 3)]
        run = _Run(site_of(tmp_path, *tables, _device("other", other.port)))
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.until("m-1", Quality.BAD_NOT_CONNECTED)
                await asyncio.sleep(3.0)
    assert 2 <= connections <= 12
    for device in ("m-1", "m-2", "m-3"):
        times = [time for time, *_ in run.of(device)]
        assert 2 <= len(times) <= 4, "at first, and then every 2 s"
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 2_500_000
        assert {quality for *_, quality, _ in run.of(device)} == {Quality.BAD_NOT_CONNECTED}
    assert len(run.of("other")) >= 40
    told = [(one["device"], one["event"]) for one in logs if one["device"] != "other"]
    assert sorted(told) == [(f"m-{unit}", "device_lost") for unit in (1, 2, 3)]


async def test_an_error_of_ours_at_one_endpoint_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever slipped through the checks: here a block that can't be decoded."""
    meters = [Meter(1, ADW, {"voltage-a": 230.0}), Meter(1, load_model("eastron-sdm630"), {"voltage-a": 230.0})]
    async with modbus_field(meters[0]) as good, modbus_field(meters[1]) as broken:
        run = _Run(site_of(tmp_path, _device("m-1", good.port), _device("m-2", broken.port, model="eastron-sdm630")))
        right = Device.blocks

        def wrong(device: Device) -> tuple[Block, ...]:
            blocks = right(device)
            return (
                blocks
                if device.id == "m-1"
                else tuple(replace(one, unpack=struct.Struct("x").unpack) for one in blocks)
            )

        monkeypatch.setattr(Device, "blocks", wrong)
        with structlog.testing.capture_logs() as logs:
            async with running(run.schedule.run()):
                await run.until("m-2", Quality.BAD_NOT_CONNECTED)
                assert len(run.of("m-2")) == 1
                monkeypatch.undo()
                await run.until("m-2", Quality.GOOD)
    assert [(one["event"], one["devices"]) for one in logs] == [("endpoint_failed", ["m-2"])]
    assert {quality for *_, quality, _ in run.of("m-1")} == {Quality.GOOD}
    times = [time for time, *_ in run.of("m-1")]
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 1_000_000


async def test_a_name_that_is_none_is_a_device_that_is_lost(tmp_path: Path) -> None:
    """Checked sites hold no such names; one that comes from elsewhere ends nothing."""
    site = site_of(tmp_path, _device("m-1", 9), _plc(4840))
    bad = [replace(device, endpoint=replace(device.endpoint, host="a..b")) for device in site.devices]
    run = _Run(replace(site, devices=tuple(bad)))
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until("m-1", Quality.BAD_NOT_CONNECTED)
            await run.until("t-1", Quality.BAD_NOT_CONNECTED, "pressure")
    assert sorted((one["event"], one["device"]) for one in logs) == [("device_lost", "m-1"), ("device_lost", "t-1")]
    assert all("idna" in one["error"] for one in logs), logs


async def test_a_server_that_comes_late_is_found(tmp_path: Path) -> None:
    """At once, however long the device's period is."""
    async with modbus_field(Meter(1, ADW, {"voltage-a": 1.0})) as field:
        await field.stop()
        run = _Run(site_of(tmp_path, _device("m-1", field.port).replace("period_ms = 50", "period_ms = 20000")))
        async with running(run.schedule.run()):
            await run.until("m-1", Quality.BAD_NOT_CONNECTED)
            await field.start()
            await run.until("m-1", Quality.GOOD)


@pytest.mark.parametrize("order", ["big", "little"])
async def test_the_site_may_turn_the_words(tmp_path: Path, order: str) -> None:
    sdm = load_model("eastron-sdm630")
    async with modbus_field(Meter(1, sdm, {"voltage-a": 230.0, "frequency": 50.0})) as field:
        run = _Run(site_of(tmp_path, _device("m-1", field.port, model=sdm.name, more=f'word_order = "{order}"\n')))
        async with running(run.schedule.run()):
            await run.sink.until(lambda: bool(run.of("m-1")))
    value, _ = run.last("m-1")
    assert (value == 230.0) == (order == "big")


async def test_rtu_over_tcp(tmp_path: Path) -> None:
    meters = [Meter(unit, ADW, {"voltage-a": 200.0 + unit}) for unit in (1, 2)]
    async with modbus_field(*meters, framer=FramerType.RTU) as field:
        devices = [_device(f"m-{unit}", field.port, unit=unit).replace("-tcp:", "-rtu-over-tcp:") for unit in (1, 2)]
        run = _Run(site_of(tmp_path, *devices))
        async with running(run.schedule.run()):
            for device in ("m-1", "m-2"):
                await run.until(device, Quality.GOOD)
            meters[0].silent = True
            await run.until("m-1", Quality.BAD_NO_ANSWER)
            seen = len(run.of("m-2"))
            await run.sink.until(lambda: len(run.of("m-2")) >= seen + 5)
    assert run.last("m-2") == (202.0, Quality.GOOD)


async def test_devices_of_one_period_are_spread_over_it(tmp_path: Path) -> None:
    async with modbus_field(*(Meter(unit, ADW) for unit in range(1, 6))) as field:
        devices = [
            _device(f"m-{unit}", field.port, unit=unit).replace("period_ms = 50", "period_ms = 500")
            for unit in range(1, 6)
        ]
        run = _Run(site_of(tmp_path, *devices))
        async with running(run.schedule.run()):
            await run.sink.until(lambda: len(run.of("m-5")) >= 1)
    firsts = [run.of(f"m-{unit}")[0][0] for unit in range(1, 6)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(firsts)]
    assert all(gap >= 20_000 for gap in gaps), gaps
    assert firsts[-1] - firsts[0] >= 300_000


def test_the_horizon_leaves_room_for_sources_with_their_own_clock(tmp_path: Path) -> None:
    stopped = Anchor(lambda: 9_000_000, lambda: 0)
    modbus = Schedule(site_of(tmp_path, _device("m-1", 502)), stopped, Gathered())
    assert modbus.horizon() == 9_000_000
    assert Schedule(site_of(tmp_path, _plc(4840)), stopped, Gathered()).horizon() == 7_000_000


async def test_a_step_of_the_clock_is_an_event(tmp_path: Path) -> None:
    run = _Run(site_of(tmp_path, _device("m-1", 9)))
    step = 3_600_000_000
    run.schedule.anchor.wall = lambda: monotonic_us() + step
    async with running(run.schedule.run()):
        await run.sink.until(lambda: any(readings.events for readings in run.sink.all))
    (event,) = [event for readings in run.sink.all for event in readings.events]
    assert (event.device, event.kind) == ("gw-1", "clock")
    assert event.body["after_us"] - event.body["before_us"] == event.body["step_us"]
    assert abs(run.schedule.anchor.skew()) < 1_000_000
