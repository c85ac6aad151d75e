"""The OPC UA server of the field: one object a device, its variables, its `Sample` counter and its events."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.event_generator import EventGenerator
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from park_gateway.device import OPCUA_BLOCK, SAMPLE_NODE, node_id
from park_gateway.point import EventKind
from park_sim.clock import instant
from park_sim.field import Field
from park_sim.site import Address, FieldDevice
from park_sim.traffic import BODIES, Happening
from park_wire.errors import ServiceError
from park_wire.quality import Quality
from park_wire.quantities import QUANTITIES, Kind

NAMESPACE: Final = "urn:parkhub:simulated-field"
NAMESPACE_INDEX: Final = 2
"""The first index behind OPC UA's own namespace and the server's: what the roots of a site file begin with."""

_STATUS: Final = {
    Quality.UNCERTAIN_SENSOR_NOT_ACCURATE: StatusCodes.UncertainSensorNotAccurate,
    Quality.BAD_SENSOR_FAILURE: StatusCodes.BadSensorFailure,
}
_VARIANTS: Final = {str: ua.VariantType.String, float: ua.VariantType.Double, bool: ua.VariantType.Boolean}
_GOOD: Final = ua.StatusCode(ua.UInt32(StatusCodes.Good))
_LOST: Final = ua.StatusCode(ua.UInt32(StatusCodes.BadNoCommunication))


@dataclass(slots=True)
class _Unit:
    """A device on the server: node and type of each of its points, when it is updated next, whether it answers."""

    device: FieldDevice
    nodes: dict[str, tuple[ua.NodeId, ua.VariantType]]
    sample: ua.NodeId
    generators: dict[str, tuple[EventKind, EventGenerator]] = field(default_factory=dict[str, Any])
    due_us: int = 0
    answers: bool = True
    updates: int = 0


class OpcuaField:
    """One OPC UA server: the devices of one address, each updated at its own period."""

    def __init__(self, address: Address, devices: Sequence[FieldDevice], shown: Field) -> None:
        self.address = address
        self._devices = devices
        self._field = shown
        self._server = Server()
        self._units: dict[str, _Unit] = {}
        self._event_types: set[str] = set()

    async def start(self) -> None:
        """Build the address space and listen. Raises ServiceError when the port can't be had."""
        server = self._server
        await server.init()
        server.set_server_name("Parkhub simulated field")
        server.set_endpoint(str(self.address))
        # Certificates belong to the broker's and the centre's sides; the simulated field stays on loopback.
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(NAMESPACE)
        if index != NAMESPACE_INDEX:
            raise ServiceError(f"simulated field: OPC UA namespace has index {index}, expected {NAMESPACE_INDEX}")
        for device in self._devices:
            self._units[device.id] = await self._add(device)
        try:
            await server.start()
        except OSError as error:
            remedy = "stop the program that has the port, or change the endpoint in the site file"
            raise ServiceError(f"simulated field: {self.address}: {error.strerror}; {remedy}") from error

    async def stop(self) -> None:
        """Close all sessions and the port."""
        await self._server.stop()

    async def _add(self, device: FieldDevice) -> _Unit:
        root = await self._server.nodes.objects.add_object(ua.NodeId.from_string(device.root), _name(device.id))
        nodes: dict[str, tuple[ua.NodeId, ua.VariantType]] = {}
        for point in device.model.points:
            state = QUANTITIES[point.quantity].kind is Kind.STATE
            kind = ua.VariantType.Int32 if state else ua.VariantType.Double
            node = str(point.node)
            variable = await root.add_variable(
                ua.NodeId.from_string(node_id(device.root, node)), _name(node), 0 if state else 0.0, kind
            )
            nodes[point.name] = variable.nodeid, kind
        sample = await root.add_variable(
            ua.NodeId.from_string(node_id(device.root, SAMPLE_NODE)), _name(SAMPLE_NODE), 0, ua.VariantType.UInt32
        )
        unit = _Unit(device, nodes, sample.nodeid)
        for kind in device.model.events:
            unit.generators[kind.kind] = kind, await self._add_event(device, kind, root)
        return unit

    async def _add_event(self, device: FieldDevice, kind: EventKind, root: Node) -> EventGenerator:
        type_id = ua.NodeId.from_string(f"ns={NAMESPACE_INDEX};s={kind.type}")
        if kind.type not in self._event_types:
            self._event_types.add(kind.type)
            parent = self._server.get_node(ObjectIds.BaseEventType)
            event_type = await parent.add_object_type(type_id, _name(kind.type))
            for key, field_name in kind.fields.items():
                place = ua.NodeId.from_string(f"ns={NAMESPACE_INDEX};s={kind.type}.{field_name}")
                initial = BODIES[kind.kind][key]()
                await event_type.add_property(place, _name(field_name), initial, _VARIANTS[type(initial)])
        source = root
        if kind.node:
            place = ua.NodeId.from_string(node_id(device.root, kind.node))
            source = await root.add_object(place, _name(kind.node))
        return await self._server.get_event_generator(self._server.get_node(type_id), emitting_node=source.nodeid)

    async def update(self, now_us: int) -> None:
        """Write every device that is due."""
        for unit in self._units.values():
            if now_us >= unit.due_us:
                period_us = unit.device.period_ms * 1_000
                unit.due_us = max(unit.due_us + period_us, now_us + period_us // 2)
                await self._write(unit, now_us)

    async def _write(self, unit: _Unit, now_us: int) -> None:
        shown = self._field.shown(unit.device.id)
        stamp = instant(now_us)
        if not shown.answers:
            if unit.answers:
                # Once: a server that lost its controller says so and then has nothing new to say.
                for node, _ in unit.nodes.values():
                    await self._put(node, ua.Variant(), _LOST, stamp)
            unit.answers = False
            return
        unit.answers = True
        for name, (node, kind) in unit.nodes.items():
            value = shown.values[name]
            status = _GOOD if name not in shown.quality else ua.StatusCode(ua.UInt32(_STATUS[shown.quality[name]]))
            # OPC UA has a null value beside a bad status, no NaN.
            shape = round if kind is ua.VariantType.Int32 else float
            variant = ua.Variant(shape(value), kind) if math.isfinite(value) else ua.Variant()
            await self._put(node, variant, status, stamp)
        if unit.device.sample:
            unit.updates = self._field.journal.next_ordinal(unit.device.id, OPCUA_BLOCK, now_us)
        else:
            unit.updates += 1
        # Last: a client that has this sample has the values before it.
        await self._put(unit.sample, ua.Variant(unit.updates, ua.VariantType.UInt32), _GOOD, stamp)

    async def _put(self, node: ua.NodeId, value: ua.Variant, status: ua.StatusCode, stamp: Any) -> None:
        await self._server.write_attribute_value(node, ua.DataValue(value, status, stamp, stamp))

    async def tell(self, happenings: Iterable[Happening], now_us: int) -> None:
        """Send events: those of devices on this server that answer."""
        for happening in happenings:
            unit = self._units.get(happening.device)
            if unit is None or not self._field.shown(happening.device).answers:
                continue
            kind, generator = unit.generators[happening.kind]
            for key, field_name in kind.fields.items():
                setattr(generator.event, field_name, happening.body[key])
            await generator.trigger(instant(now_us), f"{happening.kind} {happening.body['plate']}")


def _name(text: str) -> ua.QualifiedName:
    return ua.QualifiedName(text, NAMESPACE_INDEX)
