"""Two devices of a site that are one in the field: a copied table whose address was not changed."""

from collections.abc import Iterable, Iterator
from typing import Final

from park_gateway.device import models, node_id
from park_gateway.point import Point, Protocol
from park_gateway.site import Device
from park_gateway.tables import Faults

_Place = tuple[object, ...]
_UNIT_REMEDY: Final = (
    "give each device its own unit id; only models of your own may share one, each with registers of its own"
)
_ROOT_REMEDY: Final = "give each device its own root; two may share one only where their models name other nodes"


def note_clashes(devices: Iterable[Device], faults: Faults) -> None:
    """Note each device that reads what one before it reads already; a fault names both."""
    owners: dict[_Place, str] = {}
    whole: dict[_Place, str] = {}
    for device in devices:
        places = set(_places(device))
        taken = {owners[place] for place in places & owners.keys()}
        line = _line(device)
        brought = device.model.name in models()
        if device.model.protocol is Protocol.MODBUS and brought and line in whole:
            # A model that Parkhub brings describes a whole instrument, and two instruments can't answer at one unit id.
            # A model of the site's own may be a part of a PLC's or a concentrator's registers, so there only what both
            # read is wrong.
            taken.add(whole[line])
        for other in sorted(taken - {device.id}):
            if device.model.protocol is Protocol.MODBUS:
                problem = f"device {other!r} is at {device.endpoint} unit {device.unit} too"
                faults.add(f"device.{device.id}.unit", problem, _UNIT_REMEDY)
            else:
                problem = f"device {other!r} reads the same nodes at {device.endpoint}"
                faults.add(f"device.{device.id}.root", problem, _ROOT_REMEDY)
        for place in places:
            owners.setdefault(place, device.id)
        if brought:
            whole.setdefault(line, device.id)


def _line(device: Device) -> _Place:
    """Where a device answers. Neither framing nor user makes another device of it."""
    endpoint = device.endpoint
    return (endpoint.scheme.protocol, endpoint.host, endpoint.port, endpoint.path, device.unit)


def _places(device: Device) -> Iterator[_Place]:
    """What a device reads, each with its whole address."""
    line = _line(device)
    for point in device.model.points:
        if point.register is not None:
            yield from ((*line, *place) for place in _registers(device, point))
        elif point.node is not None:
            yield (*line, *_node(device, point.node))
    for event in device.model.events:
        yield (*line, event.type, *_node(device, event.node))


def _registers(device: Device, point: Point) -> Iterator[_Place]:
    register = point.register
    assert register is not None  # noqa: S101  # the caller looked
    if register.bit is not None:
        # The bits of one status word often belong to several machines.
        yield (device.model.function, register.address, register.bit)
        return
    for address in range(register.address, register.address + register.type.words):
        yield (device.model.function, address)


def _node(device: Device, node: str) -> _Place:
    root = device.root or ""
    # A model that names a whole node id means that one for every device, such as the plant's weather.
    return (root, node) if "=" in node else (node_id(root, node),)
