import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node

from park_gateway.point import Protocol
from park_sim.journal import read_journal
from park_sim.opcua_field import OpcuaField
from park_sim.traffic import Happening
from support.simulated_field import SampleField

pytestmark = pytest.mark.asyncio(loop_scope="module")

TICKET: dict[str, str | float | bool] = {
    "ticket": "1",
    "plate": "蒙B·T1001",
    "direction": "out",
    "material": "甲醇",
    "gross_t": 38.96,
    "tare_t": 13.82,
    "net_t": 25.14,
}
PASS: dict[str, str | float | bool] = {
    "gate": "gate-north",
    "plate": "蒙B·T1001",
    "direction": "in",
    "vehicle_class": "truck",
    "dangerous": True,
}


class Plant(SampleField):
    """The OPC UA half of the sample site; its updates move when a test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Protocol.OPCUA)
        self.move(0)
        (self.address,) = {device.address for device in self.devices.values()}
        self.server = OpcuaField(self.address, list(self.devices.values()), self.field)
        self.client = Client(str(self.address))

    async def tick(self) -> None:
        """A second later, every device is due."""
        self.move(1_000_000)
        await self.server.update(self.now_us)

    async def value(self, node: str) -> ua.DataValue:
        return await self.client.get_node(f"ns=2;s={node}").read_data_value(raise_on_bad_status=False)

    async def status(self, node: str) -> str:
        status = (await self.value(node)).StatusCode
        assert status is not None
        return status.name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    made = Plant(tmp_path_factory.mktemp("plant"))
    await made.server.start()
    async with made.client:
        await made.tick()
        yield made
    await made.server.stop()
    made.journal.close()


class Handler:
    """What a subscription gets."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.values: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def datachange_notification(self, node: Node, val: Any, data: Any) -> None:
        self.values.put_nowait((str(node.nodeid.Identifier), data.monitored_item.Value))

    def event_notification(self, event: Any) -> None:
        self.events.put_nowait(event)


async def test_every_point_of_every_device_is_a_variable_with_the_value_of_the_world(plant: Plant) -> None:
    await plant.tick()
    compared = 0
    for device in plant.devices.values():
        for point in device.model.points:
            seen = await plant.value(f"{device.id}.{point.node}")
            assert seen.Value is not None
            assert seen.Value.Value == pytest.approx(plant.field.shown(device.id).values[point.name])
            assert seen.StatusCode is not None
            assert seen.StatusCode.is_good()
            assert seen.SourceTimestamp is not None
            assert round(seen.SourceTimestamp.timestamp() * 1e6) == plant.now_us
            compared += 1
    assert compared == 4 * 4 + 1 + 2 + 6 * 3


async def test_sample_counts_every_update_and_the_journal_has_it(plant: Plant) -> None:
    before = (await plant.value("tank-1.Sample")).Value
    for _ in range(3):
        await plant.tick()
    after = (await plant.value("tank-1.Sample")).Value
    assert before is not None
    assert after is not None
    assert after.VariantType is ua.VariantType.UInt32
    assert after.Value == before.Value + 3
    plant.journal.write()
    noted = [line for line in read_journal(plant.folder / "sim") if line[0] == "served" and line[2] == "tank-1"]
    assert [line[3:] for line in noted[-3:]] == [["ua", before.Value + at] for at in (1, 2, 3)]
    assert noted[-1][1] == plant.now_us


async def test_a_device_is_updated_at_its_own_period(plant: Plant) -> None:
    async def samples() -> tuple[int, int]:
        tank, truck = await plant.value("tank-1.Sample"), await plant.value("truck-1.Sample")
        assert tank.Value is not None
        assert truck.Value is not None
        return tank.Value.Value, truck.Value.Value

    await plant.tick()
    before = await samples()
    for _ in range(20):
        plant.now_us += 100_000
        await plant.server.update(plant.now_us)
    after = await samples()
    assert after[0] - before[0] == 4
    assert after[1] - before[1] == 2


async def test_faults_show_as_status_codes(plant: Plant) -> None:
    start = plant.field.faults.start
    start("nan", "tank-1/pressure", plant.now_us)
    start("drift", "tank-1/level", plant.now_us)
    await plant.tick()
    assert await plant.status("tank-1.Pressure") == "BadSensorFailure"
    assert (await plant.value("tank-1.Pressure")).Value == ua.Variant()
    assert await plant.status("tank-1.Level") == "UncertainSensorNotAccurate"
    assert await plant.status("tank-1.Temperature") == "Good"
    assert await plant.status("tank-2.Pressure") == "Good"
    plant.field.faults.clear("all")
    await plant.tick()
    assert await plant.status("tank-1.Pressure") == "Good"
    seen = await plant.value("tank-1.Pressure")
    assert seen.Value is not None
    assert math.isfinite(seen.Value.Value)


async def test_an_offline_device_says_so_once_and_falls_silent(plant: Plant) -> None:
    await plant.tick()
    before = (await plant.value("reactor-1.Sample")).Value
    plant.field.faults.start("offline", "reactor-1", plant.now_us)
    await plant.tick()
    lost_at = plant.now_us
    await plant.tick()
    lost = await plant.value("reactor-1.Pressure")
    assert await plant.status("reactor-1.Pressure") == "BadNoCommunication"
    assert lost.SourceTimestamp is not None
    assert round(lost.SourceTimestamp.timestamp() * 1e6) == lost_at
    assert (await plant.value("reactor-1.Sample")).Value == before
    plant.field.faults.clear("reactor-1")
    await plant.tick()
    assert await plant.status("reactor-1.Pressure") == "Good"


async def test_a_subscription_gets_the_lift_of_the_relief_valve(plant: Plant) -> None:
    handler = Handler()
    subscription = await plant.client.create_subscription(20, handler)
    await subscription.subscribe_data_change([plant.client.get_node("ns=2;s=tank-2.ReliefValve")])
    plant.field.faults.start("over-pressure", "tank-2", plant.now_us, 5.0)
    seen: list[int] = []
    async with asyncio.timeout(10):
        while 1 not in seen:
            await plant.tick()
            try:
                name, value = await asyncio.wait_for(handler.values.get(), 0.3)
            except TimeoutError:
                continue
            assert name == "tank-2.ReliefValve"
            seen.append(value.Value.Value)
    assert seen == [0, 1]
    plant.field.faults.clear("tank-2")
    await subscription.delete()


@pytest.mark.parametrize(
    ("device", "kind", "event_type", "body", "property_of"),
    [
        ("weighbridge-1", "weigh-ticket", "WeighTicketType", TICKET, {"net_t": "NetWeight", "plate": "Plate"}),
        ("gate-north", "gate-pass", "GatePassType", PASS, {"dangerous": "Dangerous", "vehicle_class": "VehicleClass"}),
    ],
)
async def test_events_have_their_own_type_and_fields(
    plant: Plant,
    device: str,
    kind: str,
    event_type: str,
    body: dict[str, str | float | bool],
    property_of: dict[str, str],
) -> None:
    await plant.tick()
    handler = Handler()
    subscription = await plant.client.create_subscription(20, handler)
    type_node = plant.client.get_node(f"ns=2;s={event_type}")
    await subscription.subscribe_events(plant.client.get_node(f"ns=2;s={device}"), type_node)
    (model_event,) = plant.devices[device].model.events
    await plant.server.tell([Happening(device, kind, 0, body)], plant.now_us)
    event = await asyncio.wait_for(handler.events.get(), 5)
    assert {key: getattr(event, name) for key, name in model_event.fields.items()} == body
    assert {key: model_event.fields[key] for key in property_of} == property_of
    assert event.EventType == type_node.nodeid
    assert event.SourceName == device
    assert round(event.Time.timestamp() * 1e6) == plant.now_us
    plant.field.faults.start("offline", device, plant.now_us)
    await plant.tick()
    await plant.server.tell([Happening(device, kind, 0, body)], plant.now_us)
    await asyncio.sleep(0.1)
    assert handler.events.empty(), "an offline device told of an event"
    plant.field.faults.clear(device)
    await subscription.delete()
