"""What the simulated field needs of a gateway's SITE.toml: the devices, where they are reached and what they are.

The gateway's own `park gateway check` judges the file in full; here only what stops the field from being built is a
fault. Simulator and gateway read the same file, so their ports and models can't differ.
"""

import tomllib
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from park_gateway.device import load_model
from park_gateway.model_file import load_model_file
from park_gateway.point import DeviceModel, Order, Point, Protocol
from park_sim.traffic import BODIES
from park_sim.world import World
from park_wire.errors import ConfigError, Fault

MODBUS_TCP: Final = "modbus-tcp"
MODBUS_RTU: Final = "modbus-rtu-over-tcp"
OPCUA: Final = "opc.tcp"
_DEFAULT_PORTS: Final = {MODBUS_TCP: 502, MODBUS_RTU: 502, OPCUA: 4840}


@dataclass(frozen=True, slots=True)
class Address:
    """Where devices are reached. Devices of one address share a server."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class FieldDevice:
    """A device of the field. Its model has the site's byte orders and transformer ratios already."""

    id: str
    model: DeviceModel
    address: Address
    unit: int
    period_ms: int
    sample: bool
    root: str


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str
    model: str
    endpoint: str
    unit: int = 1
    period_ms: int = 1_000
    sample: bool = False
    word_order: Order | None = None
    byte_order: Order | None = None
    ratio: dict[str, float] = {}
    root: str = ""


def read_field(path: Path) -> tuple[FieldDevice, ...]:
    """The devices of a site file. Raises ConfigError with every fault that keeps the field from being built."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        fault = Fault(str(path), "file", f"can't be read: {error}", "give the SITE.toml of a gateway")
        raise ConfigError([fault]) from error
    gateway: dict[str, Any] = content.get("gateway", {})
    own_models = path.parent / gateway["models"] if "models" in gateway else None
    faults: list[Fault] = []
    devices: list[FieldDevice] = []
    shown = World(0, 0).observe()
    for number, raw in enumerate(content.get("device", []), 1):
        try:
            device = _device(_Entry.model_validate(raw, strict=False), own_models)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            remedy = "run `park gateway check` on the file; it names every fault"
            faults.append(Fault(str(path), f"device #{number}.{place}", error.errors()[0]["msg"], remedy))
        except ConfigError as error:
            faults.extend(error.faults)
        else:
            devices.append(device)
            faults.extend(_match(device, shown, path))
    if not devices and not faults:
        faults.append(Fault(str(path), "device", "there is none", "add a [[device]]"))
    if faults:
        raise ConfigError(faults)
    return tuple(devices)


def _device(entry: _Entry, own_models: Path | None) -> FieldDevice:
    own = None if own_models is None else own_models / f"{entry.model}.toml"
    model = load_model_file(own) if own is not None and own.is_file() else load_model(entry.model)
    url = urlsplit(entry.endpoint)
    address = Address(url.scheme, url.hostname or "127.0.0.1", url.port or _DEFAULT_PORTS.get(url.scheme, 0), url.path)
    model = replace(
        model,
        points=tuple(_behind_transformers(point, entry.ratio) for point in model.points),
        word_order=entry.word_order or model.word_order,
        byte_order=entry.byte_order or model.byte_order,
    )
    return FieldDevice(entry.id, model, address, entry.unit, entry.period_ms, entry.sample, entry.root)


def _behind_transformers(point: Point, ratios: dict[str, float]) -> Point:
    for pattern, ratio in ratios.items():
        if fnmatchcase(point.name, pattern):
            return replace(
                point,
                factor=point.factor * ratio,
                offset=point.offset * ratio,
                low=point.low * ratio,
                high=point.high * ratio,
            )
    return point


def _match(device: FieldDevice, shown: dict[str, dict[str, float]], path: Path) -> list[Fault]:
    """Faults of a device that the world can't be: no such instrument, or one that does not measure a point."""
    key = f"device.{device.id}"
    faults: list[Fault] = []
    if device.address.scheme not in _DEFAULT_PORTS:
        remedy = f"use one of {', '.join(f'{scheme}://' for scheme in _DEFAULT_PORTS)}"
        faults.append(Fault(str(path), f"{key}.endpoint", f"{device.address.scheme!r} is not simulated", remedy))
    if device.model.protocol is Protocol.OPCUA and not device.root.startswith("ns=2;s="):
        problem = f"{device.root!r} is not a node of the simulated server"
        faults.append(Fault(str(path), f"{key}.root", problem, f'write root = "ns=2;s={device.id}"'))
    values = shown.get(device.id)
    if values is None:
        remedy = f"call the device like one of {', '.join(sorted(shown))}"
        return [*faults, Fault(str(path), f"{key}.id", "the simulated park has no such instrument", remedy)]
    for point in device.model.points:
        if point.name not in values:
            remedy = f"use a model for {', '.join(values)}"
            problem = f"{device.model.name} has the point {point.name!r}, which {device.id} does not measure"
            faults.append(Fault(str(path), f"{key}.model", problem, remedy))
    for event in device.model.events:
        unknown = sorted(event.fields.keys() - BODIES.get(event.kind, {}).keys())
        if unknown:
            problem = f"{device.model.name} has the event {event.kind!r} with {', '.join(unknown)}"
            kinds = "; ".join(f"{kind}: {', '.join(body)}" for kind, body in BODIES.items())
            faults.append(Fault(str(path), f"{key}.model", problem, f"the simulated park has {kinds}"))
    return faults
