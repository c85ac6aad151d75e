"""OPC UA subscriptions on a real asyncua server: values, status codes, times, events, silence, loss and return."""

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from park_gateway.clock import Anchor
from park_gateway.opcua import Session, WatchValue, open_session
from park_gateway.presence import repeat_s
from park_gateway.schedule import Schedule
from park_gateway.site import Device, Endpoint, Scheme
from park_wire.batch import Event, open_sealed, seal
from park_wire.errors import Refused, Unreachable
from park_wire.quality import Quality
from support.field import Gathered, OpcuaField, OpcuaServer, data_value, running, site_of, ua

# One server, and so one event loop, for all: making a server takes seconds.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncGenerator[OpcuaServer]:
    """A running server."""
    made = OpcuaServer()
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def field(server: OpcuaServer) -> OpcuaField:
    """A pressure vessel."""
    return await server.add("generic-vessel-plc")


class _Run:
    """One OPC UA device and what was gathered from it."""

    def __init__(self, folder: Path, field: OpcuaField, *, period_ms: int = 100, sample: bool = True) -> None:
        site = site_of(
            folder,
            f'id = "tank-1"\nmodel = "{field.model.name}"\nendpoint = "opc.tcp://127.0.0.1:{field.server.port}"\n'
            f'root = "ns=2;s={field.root}"\nperiod_ms = {period_ms}\nsample = {str(sample).lower()}\n',
        )
        self.device: Device = site.devices[0]
        self.sink = Gathered()
        self.schedule = Schedule(site, Anchor(), self.sink)

    def last(self, point: str) -> tuple[float, int]:
        return self.sink.last(self.device.index[point])

    def of(self, point: str) -> list[tuple[int, float, int, int]]:
        return self.sink.of(self.device.index[point])

    async def until(self, point: str, value: float) -> None:
        await self.sink.until(lambda: self.last(point)[0] == value)

    async def until_quality(self, point: str, quality: Quality) -> None:
        await self.sink.until(lambda: self.last(point)[1] == quality)

    @property
    def events(self) -> list[Event]:
        return [event for readings in self.sink.all for event in readings.events]


async def test_values_come_with_their_time_and_the_sample(field: OpcuaField, tmp_path: Path) -> None:
    run = _Run(tmp_path, field)
    async with running(run.schedule.run()):
        await run.until("pressure", 0.0)
        stamps: list[int] = []
        for number in range(1, 6):
            stamp = datetime.now(UTC).replace(tzinfo=None)
            stamps.append(int(stamp.replace(tzinfo=UTC).timestamp() * 1e6))
            await field.show(Pressure=data_value(number / 10, source=stamp), ReliefValve=1.0)
            await run.until("pressure", number / 10)
            await run.sink.until(lambda number=number: run.last("sample-ua")[0] == number)
    assert run.last("pressure") == (0.5, Quality.GOOD)
    assert run.last("relief-valve") == (1.0, Quality.GOOD)
    assert [time for time, *_ in run.of("pressure")][1:] == pytest.approx(stamps, abs=2)
    spans = [(one.device, one.block, one.ordinal) for readings in run.sink.all for one in readings.samples]
    assert spans == [("tank-1", "ua", number) for number in range(1, 6)]


async def test_a_value_that_is_written_again_unchanged_is_a_reading_too(field: OpcuaField, tmp_path: Path) -> None:
    run = _Run(tmp_path, field)
    async with running(run.schedule.run()):
        await run.until("pressure", 0.0)
        for number in range(1, 4):
            await field.show(Pressure=1.5)
            await run.sink.until(lambda number=number: run.last("sample-ua")[0] == number)
    assert len([one for one in run.of("pressure") if one[1] == 1.5]) == 3


async def test_values_of_one_stamp_are_readings_of_their_own(field: OpcuaField, tmp_path: Path) -> None:
    run = _Run(tmp_path, field)
    async with running(run.schedule.run()):
        await run.until("pressure", 0.0)
        stamp = datetime.now(UTC).replace(tzinfo=None)
        for number in (1.0, 2.0):
            await field.show(Pressure=data_value(number, source=stamp))
        await run.until("pressure", 2.0)
    times = [time for time, *_ in run.of("pressure")]
    assert times[-1] == times[-2] + 1


@pytest.mark.parametrize(
    ("status", "value", "quality"),
    [
        ("BadSensorFailure", 7.0, Quality.BAD_SENSOR_FAILURE),
        ("BadNoCommunication", 7.0, Quality.BAD_NOT_CONNECTED),
        ("UncertainSensorNotAccurate", 7.0, Quality.UNCERTAIN_SENSOR_NOT_ACCURATE),
        ("UncertainLastUsableValue", 7.0, Quality.UNCERTAIN_LAST_USABLE),
        ("Good", 101.0, Quality.UNCERTAIN_RANGE_EXCEEDED),
        ("Good", math.nan, Quality.BAD_NONSENSE),
    ],
)
async def test_status_codes_become_qualities(
    field: OpcuaField, tmp_path: Path, status: str, value: float, quality: Quality
) -> None:
    run = _Run(tmp_path, field)
    async with running(run.schedule.run()):
        await run.until("pressure", 0.0)
        await field.show(Pressure=data_value(value, status))
        await run.until_quality("pressure", quality)
        shown = run.last("pressure")[0]
        await field.show(Pressure=1.0)
        await run.until("pressure", 1.0)
    assert math.isnan(shown) if quality >= Quality.BAD else shown == value


async def test_a_source_with_a_wrong_clock_is_uncertain(field: OpcuaField, tmp_path: Path) -> None:
    run = _Run(tmp_path, field)
    async with running(run.schedule.run()):
        await run.until("pressure", 0.0)
        before = run.schedule.anchor.now()
        ahead = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=10)
        await field.show(Pressure=data_value(1.0, source=ahead))
        await run.until_quality("pressure", Quality.UNCERTAIN_CLOCK)
        time, value, *_ = run.of("pressure")[-1]
    assert value == 1.0
    assert before - 1_000 <= time <= before + 1_000_000


async def test_events_become_events(server: OpcuaServer, tmp_path: Path) -> None:
    field = await server.add("generic-weighbridge")
    run = _Run(tmp_path, field)
    async with running(run.schedule.run()):
        await run.until("load", 0.0)
        await field.fire("weigh-ticket", Ticket="T-1", Plate="京A12345", GrossWeight=31.5, Material="煤" * 3_000)
        await field.fire("weigh-ticket", Ticket="T-2", NetWeight=math.nan)
        await run.sink.until(lambda: len(run.events) == 2)
    first, second = run.events
    assert (first.device, first.kind) == ("tank-1", "weigh-ticket")
    assert abs(first.time - run.schedule.anchor.now()) < 10_000_000
    assert first.body["ticket"] == "T-1"
    assert first.body["plate"] == "京A12345"
    assert first.body["gross_t"] == 31.5
    assert first.body["material"].startswith("煤煤")
    assert (second.body["ticket"], second.body["net_t"]) == ("T-2", None)
    # What reached the sink can be sealed: an event that the wire refuses would be poison in the outbox.
    for readings in run.sink.all:
        sealed = seal(readings.columns(), readings.events, config_version=bytes(32), until=0, sealed_at=0)
        assert len(open_sealed(sealed).events) == len(readings.events)


async def test_a_device_whose_counter_stands_still_is_lost(field: OpcuaField, tmp_path: Path) -> None:
    run = _Run(tmp_path, field)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until("pressure", 0.0)
            await field.show(Pressure=1.0)
            for point in field.model.points:
                await run.until_quality(point.name, Quality.BAD_NO_ANSWER)
            seen = len(run.of("pressure"))
            # Bad again every ten periods while it is lost, and not more often.
            await run.sink.until(lambda: len(run.of("pressure")) >= seen + 1)
            await asyncio.sleep(0.5)
            assert len(run.of("pressure")) <= seen + 2
            await field.show(sample=False, Pressure=2.0)
            await run.until("pressure", 2.0)
            assert [one["event"] for one in logs] == ["device_lost"], "only its counter says that it is back"
            await field.show(Pressure=3.0)
            await run.sink.until(lambda: any(one["event"] == "device_back" for one in logs))
    assert [one["event"] for one in logs] == ["device_lost", "device_back"]
    assert "its counter stands still" in logs[0]["error"]


async def test_a_value_that_stands_still_is_read_and_not_lost(
    field: OpcuaField, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("park_gateway.subscriber._LEAST_READ_US", 500_000)
    old = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
    await field.show(sample=False, Pressure=data_value(1.5, source=old))
    run = _Run(tmp_path, field, period_ms=50, sample=False)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.sink.until(lambda: len(run.of("pressure")) >= 3)
    assert logs == []
    assert {one[1:3] for one in run.of("pressure")} == {(1.5, Quality.GOOD)}
    times = [time for time, *_ in run.of("pressure")]
    assert all(earlier < later for earlier, later in itertools.pairwise(times)), "each reading has its own time"
    assert abs(times[-1] - run.schedule.anchor.now()) < 5_000_000


@pytest.mark.parametrize("sample", [True, False])
async def test_a_value_that_holds_is_said_again_before_it_could_look_stale(
    field: OpcuaField, tmp_path: Path, sample: bool
) -> None:
    """The centre takes a point for stale after 3 s, and an on-delay does not run over what is stale."""
    await field.show(Pressure=1.5, Level=data_value(7.0, "BadSensorFailure"))
    run = _Run(tmp_path, field, sample=sample)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until("pressure", 1.5)
            began = run.schedule.anchor.now()
            for _ in range(9):
                await field.show()  # the device lives, and nothing else of it moves
                await asyncio.sleep(0.5)
            ended = run.schedule.anchor.now()
    assert logs == []
    for point, said in (("pressure", (1.5, Quality.GOOD)), ("level", (math.nan, Quality.BAD_SENSOR_FAILURE))):
        times = [time for time, *_ in run.of(point) if time >= began]
        gaps = [later - earlier for earlier, later in itertools.pairwise([began, *times, ended])]
        assert max(gaps) <= repeat_s(100) * 1e6, gaps
        assert len(times) <= 9, "and not so often that it costs anything"
        assert {(repr(value), quality) for _, value, quality, _ in run.of(point)} == {(repr(said[0]), said[1])}


async def test_a_value_of_a_lost_server_is_not_said_again(field: OpcuaField, tmp_path: Path) -> None:
    await field.show(Pressure=1.5)
    run = _Run(tmp_path, field, sample=False)
    async with running(run.schedule.run()):
        await run.until("pressure", 1.5)
        await field.server.close_port()
        await run.until_quality("pressure", Quality.BAD_NOT_CONNECTED)
        await asyncio.sleep(3.0)
        await field.server.open_port()
    bad = [quality for *_, quality, _ in run.of("pressure")]
    assert set(bad[bad.index(Quality.BAD_NOT_CONNECTED) :]) == {Quality.BAD_NOT_CONNECTED}


async def test_a_node_that_is_refused_is_bad_again_and_again(field: OpcuaField, tmp_path: Path) -> None:
    await field.server.library.delete_nodes([field.nodes["Level"]])
    run = _Run(tmp_path, field, sample=False)
    async with running(run.schedule.run()):
        await run.until("pressure", 0.0)
        await run.sink.until(lambda: len(run.of("level")) >= 4)
    times = [time for time, *_ in run.of("level")]
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= repeat_s(100) * 1e6
    assert {quality for *_, quality, _ in run.of("level")} == {Quality.BAD_CONFIGURATION}


async def test_a_subscription_that_the_server_forgot_is_made_again(field: OpcuaField, tmp_path: Path) -> None:
    """The server drops it without a word: values stop, and so does its clock."""
    run = _Run(tmp_path, field, sample=False)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until("pressure", 0.0)
            service = field.server.library.iserver.subscription_service
            for subscription in list(service.subscriptions.values()):
                subscription.monitored_item_srv.delete_all_monitored_items()
            await run.until_quality("pressure", Quality.BAD_NOT_CONNECTED)
            await field.show(Pressure=2.0)
            await run.until("pressure", 2.0)
    assert [one["event"] for one in logs] == ["device_lost", "device_back"]
    assert "the subscription is dead" in logs[0]["error"]


async def test_a_server_that_hangs_up_and_comes_back(field: OpcuaField, tmp_path: Path) -> None:
    run = _Run(tmp_path, field)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until("pressure", 0.0)
            await field.show(Pressure=1.0)
            await run.until("pressure", 1.0)
            await run.sink.until(lambda: run.last("sample-ua")[0] == 1)
            await field.server.close_port()
            for point in field.model.points:
                await run.until_quality(point.name, Quality.BAD_NOT_CONNECTED)
            await field.server.open_port()
            await run.until_quality("pressure", Quality.GOOD)
            assert run.last("pressure")[0] == 1.0
            await field.show(Pressure=3.0)
            await run.until("pressure", 3.0)
            await run.sink.until(lambda: run.last("sample-ua")[0] == 2)
    assert [one["event"] for one in logs] == ["device_lost", "device_back"]
    spans = [one.ordinal for readings in run.sink.all for one in readings.samples]
    assert spans == [1, 2], "what the counter shows at the start of a session was taken before, or never"


async def test_a_server_that_is_not_there(field: OpcuaField, tmp_path: Path) -> None:
    await field.server.close_port()
    run = _Run(tmp_path, field)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until_quality("pressure", Quality.BAD_NOT_CONNECTED)
            await field.server.open_port()
            await field.show(Pressure=3.0)
            await run.until("pressure", 3.0)
            await field.show(Pressure=4.0)
            await run.sink.until(lambda: any(one["event"] == "device_back" for one in logs))
    assert [one["event"] for one in logs] == ["device_lost", "device_back"]
    assert f"opc.tcp://127.0.0.1:{field.server.port}" in logs[0]["error"]


async def test_a_node_that_the_server_does_not_have_is_bad_alone(field: OpcuaField, tmp_path: Path) -> None:
    await field.server.library.delete_nodes([field.nodes["Level"]])
    run = _Run(tmp_path, field)
    with structlog.testing.capture_logs() as logs:
        async with running(run.schedule.run()):
            await run.until("pressure", 0.0)
            await run.until_quality("level", Quality.BAD_CONFIGURATION)
    (refused,) = logs
    assert refused["event"] == "node_refused"
    assert f"ns=2;s={field.root}.Level: BadNodeIdUnknown" in refused["error"]


def _endpoint(field: OpcuaField) -> Endpoint:
    return Endpoint(Scheme.OPCUA, "127.0.0.1", field.server.port)


async def test_what_a_server_takes_in_one_call_is_honoured(field: OpcuaField, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ua.ObjectIds
    limits = {
        ids.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall: 2,
        ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead: 3,
    }
    for node, limit in limits.items():
        await _state_limit(field, node, limit)
    nodes = [f"ns=2;s={field.root}.{name}" for name in field.nodes]
    async with open_session(_endpoint(field)) as session:
        calls = _count_calls(session, monkeypatch)
        await session.subscribe(100.0, lambda values, events: None)
        watched = await session.watch([WatchValue(at, node, 100.0) for at, node in enumerate(nodes)])
        values = await session.read(nodes)
    for node in limits:
        await _state_limit(field, node, 0)
    assert len(watched) == len(values) == len(nodes) == 5
    assert all(one.is_good for one in watched)
    assert [value.handle for value in values] == [0, 1, 2, 3, 4]
    assert calls == [("watch", 2), ("watch", 2), ("watch", 1), ("read", 3), ("read", 2)]


async def _state_limit(field: OpcuaField, node: int, limit: int) -> None:
    await field.server.library.get_node(ua.NodeId(node)).write_value(ua.Variant(limit, ua.VariantType.UInt32))


def _count_calls(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    library: Any = session
    inner = library._client.uaclient.session
    calls: list[tuple[str, int]] = []
    create, read = inner.create_monitored_items, inner.read_attributes

    async def counted_create(params: Any) -> Any:
        calls.append(("watch", len(params.ItemsToCreate)))
        return await create(params)

    async def counted_read(nodes: Any, attribute: Any) -> Any:
        calls.append(("read", len(nodes)))
        return await read(nodes, attribute)

    monkeypatch.setattr(inner, "create_monitored_items", counted_create)
    monkeypatch.setattr(inner, "read_attributes", counted_read)
    return calls


async def test_errors_of_a_session_are_ours(field: OpcuaField) -> None:
    async with open_session(_endpoint(field)) as session:
        with pytest.raises(Refused, match="BadSubscriptionIdInvalid"):
            await session.watch([WatchValue(1, "i=2258", 100.0)])
    await field.server.close_port()
    try:
        with pytest.raises(Unreachable, match=rf"opc.tcp://127.0.0.1:{field.server.port}: .*; check the server"):
            async with open_session(_endpoint(field)):
                pass
    finally:
        await field.server.open_port()
