"""SITE.toml: which devices a gateway reads and where it sends. Every fault at once, before any socket is opened."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field

from park_gateway.address import HOST_RULE, NAMESPACE_RULE, is_host, is_node_id
from park_gateway.clash import note_clashes
from park_gateway.device import OPCUA_BLOCK, load_model, models
from park_gateway.model_file import load_model_file
from park_gateway.plan import NoPlan, Request, plan
from park_gateway.point import DeviceModel, Order, Point, Protocol, scaled
from park_gateway.secret_files import read_credential, read_security
from park_gateway.site import Credential, Device, Endpoint, Mqtt, Scheme, Site
from park_gateway.tables import Faults, Table, check_table, did_you_mean, key_of, read_toml, shown, tables_of
from park_wire.errors import ConfigError
from park_wire.messages import MOST_POINTS
from park_wire.quantities import quantity
from park_wire.topics import ID_RULE, is_id

MQTT_VARIABLE: Final = "PARK_MQTT_URL"
_ENDPOINT_RULE: Final = "write modbus-tcp://HOST:PORT, modbus-rtu-over-tcp://HOST:PORT or opc.tcp://HOST:PORT/PATH"
_SECURITY_FILES: Final = ("certificate_file", "key_file", "server_certificate_file")
_MODBUS_KEYS: Final = ("unit", "timeout_ms", "word_order", "byte_order")
_OPCUA_KEYS: Final = ("root", "credential_file", "security_policy", "security_mode", *_SECURITY_FILES)
_MQTT_RULE: Final = "write mqtt://HOST:1883 or mqtts://HOST:8883"


class _Gateway(Table):
    required = ("id",)
    id: str = Field("", min_length=1, description=f"the gateway's name, {ID_RULE}")
    data: str = Field("outbox", min_length=1, description="a folder, seen from the site file")
    models: str | None = Field(None, min_length=1, description="a folder of device models, seen from the site file")


class _Mqtt(Table):
    url: str | None = Field(None, description="mqtt://HOST:1883 or mqtts://HOST:8883")
    credential_file: str | None = Field(None, min_length=1, description='a file that holds "user:password"')
    ca_file: str | None = Field(None, min_length=1, description="a file with the authority's certificate")


class _Device(Table):
    required = ("id", "model", "endpoint")
    id: str = Field("", min_length=1, description=f"the device's name, unique in the site, {ID_RULE}")
    model: str = Field("", min_length=1, description="the name of a device model")
    endpoint: str = Field(
        "", min_length=1, description="modbus-tcp://HOST:PORT, modbus-rtu-over-tcp://HOST:PORT or opc.tcp://HOST:PORT"
    )
    unit: int | None = Field(None, ge=0, le=255, description="a Modbus unit id from 0 to 255; left out it is 1")
    period_ms: int = Field(1000, ge=10, le=86_400_000, description="ms from 10 to 86400000")
    timeout_ms: int | None = Field(None, ge=10, le=30_000, description="ms from 10 to 30000; left out it is 1000")
    sample: bool = Field(False, description="true for a simulated device that counts its reads")
    word_order: Literal["big", "little"] | None = Field(None, description='"big" or "little"')
    byte_order: Literal["big", "little"] | None = Field(None, description='"big" or "little"')
    ratio: dict[str, float] = Field({}, description='factors of points, such as { "current-*" = 60, "active-*" = 60 }')
    root: str | None = Field(None, description="the device's node id, such as ns=2;s=tank-1")
    credential_file: str | None = Field(None, min_length=1, description='a file that holds "user:password"')
    security_policy: Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] | None = Field(
        None, description='"None", "Basic256Sha256", "Aes128_Sha256_RsaOaep" or "Aes256_Sha256_RsaPss"'
    )
    security_mode: Literal["Sign", "SignAndEncrypt"] | None = Field(None, description='"Sign" or "SignAndEncrypt"')
    certificate_file: str | None = Field(None, min_length=1, description="a file with our certificate, PEM or DER")
    key_file: str | None = Field(None, min_length=1, description="a file, mode 0600, with the key of our certificate")
    server_certificate_file: str | None = Field(
        None, min_length=1, description="a file with the server's certificate, PEM or DER"
    )


class _Known(NamedTuple):
    """What the checks of a device look at besides its table."""

    folder: Path
    models: Mapping[str, DeviceModel | None]


def load_site(path: Path, environ: Mapping[str, str] = os.environ, *, needs_broker: bool = True) -> Site:
    """Read a site file. PARK_MQTT_URL in `environ` wins over the file's broker.

    Without `needs_broker` a site may name none, for whoever sends nothing; its `mqtt` is None then.
    Raises ConfigError with every fault of the file and of the files it names. Opens no socket.
    """
    content = read_toml(path)
    faults = Faults(str(path))
    for key in content.keys() - {"gateway", "mqtt", "device"}:
        faults.add(key, "is not a known table", did_you_mean(key, ["gateway", "mqtt", "device"]))
    gateway = check_table(_Gateway, content.get("gateway", {}), "gateway", faults)
    if gateway is not None and gateway.id and not is_id(gateway.id):
        faults.add("gateway.id", f"{gateway.id!r} is not a name", f"use {ID_RULE}")
    table = check_table(_Mqtt, content.get("mqtt", {}), "mqtt", faults)
    mqtt = None if table is None else _mqtt(table, path.parent, environ, needs_broker, faults)
    known = _Known(path.parent, _own_models(path.parent, gateway, faults))
    devices = _devices(content, known, faults)
    note_clashes(devices, faults)
    faults.check()
    assert gateway is not None  # noqa: S101  # a table that does not hold is a fault
    return Site(path, gateway.id, path.parent / gateway.data, mqtt, tuple(devices))


def _mqtt(table: _Mqtt, folder: Path, environ: Mapping[str, str], needs_broker: bool, faults: Faults) -> Mqtt | None:
    key, text = "mqtt.url", table.url
    if environ.get(MQTT_VARIABLE):
        key, text = MQTT_VARIABLE, environ[MQTT_VARIABLE]
    if text is None:
        if needs_broker:
            faults.add(key, "is missing", f"add it, or set {MQTT_VARIABLE}: {_MQTT_RULE}")
        return None
    url = _split(text)
    if url is None or url.scheme not in ("mqtt", "mqtts") or not url.hostname or url.path not in ("", "/"):
        faults.add(key, f"{_without_password(text)!r} is not the address of a broker", _MQTT_RULE)
        return None
    if not _check_host(url.hostname, key, faults):
        return None
    credential = None
    if url.username is not None:
        credential = Credential(unquote(url.username), unquote(url.password or ""))
    elif table.credential_file is not None:
        credential = read_credential(folder / table.credential_file, "mqtt.credential_file", faults)
    else:
        faults.add("mqtt.credential_file", "is missing", 'name a file that holds "user:password"; nobody is anonymous')
    ca_file = None if table.ca_file is None else folder / table.ca_file
    if ca_file is not None and not ca_file.is_file():
        faults.add("mqtt.ca_file", f"{ca_file} is not a file", "put the authority's certificate there, as PEM")
    if credential is None:
        return None
    tls = url.scheme == "mqtts"
    return Mqtt(url.hostname, url.port or (8883 if tls else 1883), tls, credential, ca_file)


def _check_host(host: str, key: str, faults: Faults) -> bool:
    if not is_host(host):
        faults.add(key, f"{shown(host)} is not a host", HOST_RULE)
        return False
    return True


def _split(text: str) -> SplitResult | None:
    """The parts of a URL; None when it has a port that is none, or characters that nobody can see."""
    if not text.isprintable():
        return None
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    return None if port == 0 else url


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", text)


def _own_models(folder: Path, gateway: _Gateway | None, faults: Faults) -> dict[str, DeviceModel | None]:
    """The site's own models by name; None for a file with faults, which are noted."""
    own: dict[str, DeviceModel | None] = {}
    if gateway is None or gateway.models is None:
        return own
    place = folder / gateway.models
    if not place.is_dir():
        faults.add("gateway.models", f"{place} is not a folder", "make it, or remove the key")
        return own
    for file in sorted(place.glob("*.toml")):
        if file.stem in models():
            faults.add("gateway.models", f"{file} has the name of a model that Parkhub brings", "give it another name")
        try:
            own[file.stem] = load_model_file(file)
        except ConfigError as error:
            own[file.stem] = None
            faults.found.extend(error.faults)
    return own


def _devices(content: dict[str, Any], known: _Known, faults: Faults) -> list[Device]:
    entries = tables_of(content, "device", faults)
    if "device" not in content:
        faults.add("device", "there is none", "add a [[device]] with id, model and endpoint")
    devices: list[Device] = []
    seen: set[str] = set()
    first = 0
    for number, entry in enumerate(entries, 1):
        key = key_of("device", entry, "id", number)
        table = check_table(_Device, entry, key, faults)
        if table is None:
            continue
        if table.id and not is_id(table.id):
            faults.add(f"{key}.id", f"{table.id!r} is not a name", f"use {ID_RULE}")
        if table.id and table.id in seen:
            faults.add(f"{key}.id", "stands twice", "give each device its own id")
        seen.add(table.id)
        device = _device(table, known, key, first, faults)
        if device is not None:
            devices.append(device)
            first += len(device.points)
    if first > MOST_POINTS:
        faults.add("device", f"{first} points; a gateway has at most {MOST_POINTS}", "use a second gateway")
    return devices


def _device(table: _Device, known: _Known, key: str, first: int, faults: Faults) -> Device | None:
    endpoint = _endpoint(table, known.folder, key, faults)
    model = _model(table.model, known, f"{key}.model", faults)
    if model is None:
        return None
    if endpoint is not None and endpoint.scheme.protocol is not model.protocol:
        problem = f"{endpoint.scheme}:// does not reach {model.name}, which speaks {model.protocol}"
        faults.add(f"{key}.endpoint", problem, _ENDPOINT_RULE)
    _check_protocol(table, model.protocol, key, faults)
    model = _adapted(table, model, key, faults)
    requests = _requests(table, model, key, faults)
    points = list(model.points)
    if table.sample:
        samples = [(request.name, request.period_ms) for request in requests]
        if model.protocol is Protocol.OPCUA:
            samples = [(OPCUA_BLOCK, table.period_ms)]
        points += [_sample(name, period) for name, period in samples]
    if endpoint is None:
        return None
    return Device(
        id=table.id,
        model=model,
        endpoint=endpoint,
        unit=1 if table.unit is None else table.unit,
        period_ms=table.period_ms,
        timeout_ms=1000 if table.timeout_ms is None else table.timeout_ms,
        sample=table.sample,
        root=table.root,
        points=tuple(points),
        index={point.name: at for at, point in enumerate(points, first)},
        requests=requests,
    )


def _endpoint(table: _Device, folder: Path, key: str, faults: Faults) -> Endpoint | None:
    credential = None
    if table.credential_file is not None:
        credential = read_credential(folder / table.credential_file, f"{key}.credential_file", faults)
    named = {name: getattr(table, name) for name in _SECURITY_FILES}
    files = {name: folder / file for name, file in named.items() if file is not None}
    security = read_security(table.security_policy, table.security_mode, files, key, faults)
    if not table.endpoint:
        return None
    url = _split(table.endpoint)
    known = url is not None and url.scheme in set(Scheme)
    if url is None or not known or not url.hostname or url.username is not None:
        faults.add(f"{key}.endpoint", f"{_without_password(table.endpoint)!r} is not an endpoint", _ENDPOINT_RULE)
        return None
    if not _check_host(url.hostname, f"{key}.endpoint", faults):
        return None
    scheme = Scheme(url.scheme)
    if scheme is not Scheme.OPCUA and url.path not in ("", "/"):
        faults.add(f"{key}.endpoint", f"{table.endpoint!r} has a path", _ENDPOINT_RULE)
    path = url.path if scheme is Scheme.OPCUA else ""
    return Endpoint(scheme, url.hostname, url.port or scheme.default_port, path, credential, security)


def _model(name: str, known: _Known, key: str, faults: Faults) -> DeviceModel | None:
    if not name:
        return None
    if name in known.models:
        return known.models[name]
    if name in models():
        return load_model(name)
    faults.add(key, f"{name!r} is not a device model", did_you_mean(name, {*models(), *known.models}))
    return None


def _check_protocol(table: _Device, protocol: Protocol, key: str, faults: Faults) -> None:
    foreign = _MODBUS_KEYS if protocol is Protocol.OPCUA else _OPCUA_KEYS
    for name in foreign:
        if getattr(table, name) is not None:
            faults.add(f"{key}.{name}", f"has no meaning for a device that speaks {protocol}", "remove it")
    if protocol is Protocol.OPCUA and not _is_root(table.root):
        problem = "is missing" if table.root is None else f"{shown(table.root)} is not a node id with a name"
        remedy = f"write the node below which the device's variables are, such as ns=2;s=tank-1; {NAMESPACE_RULE}"
        faults.add(f"{key}.root", problem, remedy)


def _is_root(text: str | None) -> bool:
    """Whether it names a node by text in a namespace, so that the names of variables can be put behind it."""
    return text is not None and text.startswith("ns=") and text.partition(";")[2].startswith("s=") and is_node_id(text)


def _adapted(table: _Device, model: DeviceModel, key: str, faults: Faults) -> DeviceModel:
    """The model with this device's byte orders and transformer ratios."""
    names = [point.name for point in model.points]
    points: list[Point] = list(model.points)
    for pattern, factor in table.ratio.items():
        if not 0 < factor < float("inf"):
            faults.add(
                f"{key}.ratio.{pattern}", f"{factor} is not a ratio", "use a number above 0, such as 60 for 300/5"
            )
        if not any(fnmatchcase(name, pattern) for name in names):
            faults.add(f"{key}.ratio.{pattern}", f"names no point of {model.name}", did_you_mean(pattern, names))
    for at, point in enumerate(points):
        factors = [factor for pattern, factor in table.ratio.items() if fnmatchcase(point.name, pattern)]
        if len(factors) > 1:
            faults.add(f"{key}.ratio", f"point {point.name!r} is named {len(factors)} times", "name it once")
        elif factors:
            points[at] = scaled(point, factors[0])
    return replace(
        model,
        points=tuple(points),
        word_order=Order(table.word_order or model.word_order),
        byte_order=Order(table.byte_order or model.byte_order),
    )


def _requests(table: _Device, model: DeviceModel, key: str, faults: Faults) -> tuple[Request, ...]:
    if model.protocol is not Protocol.MODBUS:
        return ()
    try:
        return plan(model, table.period_ms, sample=table.sample)
    except NoPlan as error:
        faults.add(f"{key}.model", f"{model.name}: {error.problem}", error.remedy)
        return ()


def _sample(block: str, period_ms: int) -> Point:
    what = quantity("sample-ordinal")
    return Point(
        name=f"sample-{block}",
        quantity=what.id,
        unit=what.unit,
        zh=f"{what.zh} {block}",
        en=f"{what.en} {block}",
        factor=1.0,
        offset=0.0,
        low=what.low,
        high=what.high,
        period_ms=period_ms,
    )
