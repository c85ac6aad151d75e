"""SITE.toml: a good one says what it says, a bad one names every fault at once, and no socket is opened for it."""

import shutil
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from park_gateway.config import load_site
from park_gateway.point import Order, Protocol
from park_gateway.site import Scheme, birth
from park_wire.errors import ConfigError
from support.gateway_cases import CASES, assert_faults

SITES = CASES / "sites"


@pytest.fixture(autouse=True)
def _no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened while a file was checked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    shutil.copytree(SITES, tmp_path, dirs_exist_ok=True)
    for name, content in (("gw-1.credential", "gw-1:pass:word\n"), ("plc.credential", "reader:secret")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path / "good.toml"


def test_a_good_site(site_file: Path) -> None:
    site = load_site(site_file, {})
    assert (site.gateway, site.data) == ("gw-1", site_file.parent / "store")
    mqtt = site.mqtt
    assert mqtt is not None
    assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.ca_file) == ("broker.example", 8884, True, None)
    assert (mqtt.credential.user, mqtt.credential.password) == ("gw-1", "pass:word")
    meter, own, tank = site.devices
    assert str(meter.endpoint) == "modbus-tcp://127.0.0.1:5020"
    assert (meter.unit, meter.period_ms, meter.timeout_ms, meter.sample) == (7, 500, 250, True)
    assert own.endpoint.scheme is Scheme.MODBUS_RTU
    assert (own.endpoint.host, own.endpoint.port, own.unit) == ("::1", 502, 1)
    assert str(own.endpoint) == "modbus-rtu-over-tcp://[::1]:502"
    assert own.model.word_order is Order.LITTLE
    assert tank.model.protocol is Protocol.OPCUA
    assert str(tank.endpoint) == "opc.tcp://plc.example:4841/plant/one"
    assert tank.endpoint.credential is not None
    assert tank.endpoint.credential.user == "reader"
    assert "secret" not in repr(site)
    assert "pass:word" not in repr(site)


def test_a_ratio_multiplies_value_and_range(site_file: Path) -> None:
    meter = load_site(site_file, {}).devices[0]
    plain = load_site(site_file, {}).devices[0].model.point("voltage-a")
    assert plain.factor == 0.1
    assert meter.model.point("current-a").factor == pytest.approx(0.6)
    assert meter.model.point("active-power").factor == pytest.approx(0.06)
    assert meter.model.point("current-a").high == 6_000_000


def test_every_point_has_an_index_and_samples_are_points(site_file: Path) -> None:
    site = load_site(site_file, {})
    indices = [device.index[point.name] for device in site.devices for point in device.points]
    assert indices == list(range(len(indices)))
    assert [point.name for point in site.devices[0].points][-2:] == ["sample-h20", "sample-h62"]
    assert [point.name for point in site.devices[2].points][-1] == "sample-ua"


def test_the_birth_tells_every_point(site_file: Path) -> None:
    site = load_site(site_file, {})
    told = birth(site)
    assert told.config_version == birth(load_site(site_file, {})).config_version
    by_name = {(point.device, point.name): point for point in told.points}
    assert len(by_name) == sum(len(device.points) for device in site.devices)
    current = by_name["meter-a-1", "current-a"]
    assert (current.quantity, current.unit, current.period_ms, current.high) == ("current", "A", 500, 6_000_000)
    assert by_name["meter-b-1", "active-energy"].period_ms == 10_000
    assert by_name["meter-b-1", "voltage"].period_ms == 1_000
    assert by_name["meter-a-1", "sample-h20"].quantity == "sample-ordinal"
    changed = site_file.read_text().replace("period_ms = 500", "period_ms = 600")
    site_file.write_text(changed)
    assert birth(load_site(site_file, {})).config_version != told.config_version


def test_points_of_two_periods_are_read_apart(site_file: Path) -> None:
    own = load_site(site_file, {}).devices[1]
    assert [(request.name, request.period_ms, request.points) for request in own.requests] == [
        ("h0", 1000, ("voltage",)),
        ("h2", 10_000, ("active-energy",)),
    ]


def test_the_environment_wins(site_file: Path) -> None:
    mqtt = load_site(site_file, {"PARK_MQTT_URL": "mqtt://other:p%40ss@127.0.0.1"}).mqtt
    assert mqtt is not None
    assert (mqtt.host, mqtt.port, mqtt.tls) == ("127.0.0.1", 1883, False)
    assert (mqtt.credential.user, mqtt.credential.password) == ("other", "p@ss")
    mqtt = load_site(site_file, {"PARK_MQTT_URL": "mqtt://127.0.0.1:1884"}).mqtt
    assert mqtt is not None
    assert (mqtt.port, mqtt.credential.user) == (1884, "gw-1")


@pytest.mark.parametrize("name", ["five-faults", "strange"])
def test_every_fault_of_a_site_is_named_at_once(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(SITES / f"{name}.toml", {})
    assert_faults(caught.value, (SITES / f"{name}.txt").read_text("utf-8").splitlines())


def test_a_fault_in_a_model_of_the_site_is_named_with_its_file(site_file: Path) -> None:
    own = site_file.parent / "own" / "own-meter.toml"
    own.write_text(own.read_text().replace('unit = "kV"', 'unit = "kW"'))
    site_file.write_text(site_file.read_text().replace("unit = 7", "unit = 700"))
    with pytest.raises(ConfigError) as caught:
        load_site(site_file, {})
    assert {(Path(fault.file).name, fault.key) for fault in caught.value.faults} == {
        ("own-meter.toml", "point.voltage.unit"),
        ("good.toml", "device.meter-a-1.unit"),
    }


def test_a_model_of_the_site_does_not_hide_one_of_ours(site_file: Path) -> None:
    own = site_file.parent / "own"
    text = (own / "own-meter.toml").read_text().replace("own-meter", "acrel-adw300")
    (own / "acrel-adw300.toml").write_text(text)
    with pytest.raises(ConfigError, match="has the name of a model that Parkhub brings"):
        load_site(site_file, {})


@pytest.mark.parametrize(
    ("mode", "content", "problem"),
    [
        (0o644, "gw-1:x", "can be read by others, mode 0644"),
        (0o600, "gw-1", 'does not hold "user:password"'),
        (0o600, "gw-1:", 'does not hold "user:password"'),
        (0o600, "gw-1:a\ngw-2:b", 'does not hold "user:password"'),
        (0o600, None, "can't be read: No such file or directory"),
    ],
)
def test_credentials(site_file: Path, mode: int, content: str | None, problem: str) -> None:
    file = site_file.parent / "gw-1.credential"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
        file.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load_site(site_file, {})
    (fault,) = caught.value.faults
    assert fault.key == "mqtt.credential_file"
    assert problem in fault.problem


def test_nobody_is_anonymous(site_file: Path) -> None:
    site_file.write_text(site_file.read_text().replace('credential_file = "gw-1.credential"\n', "", 1))
    with pytest.raises(ConfigError, match="nobody is anonymous"):
        load_site(site_file, {})


HOSTS = {
    "a..b": False,
    "a" * 70: False,
    "ho st%zz": False,
    "ho st": False,
    "-a": False,
    ".": False,
    "x." * 130: False,
    "plc.example.": True,
    "plc_1": True,
    "园区.example": True,
    "a" * 63: True,
    "192.0.2.7": True,
    "[2001:db8::7]": True,
}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host[:20])
def test_a_host_that_can_not_be_looked_up_is_a_fault(tmp_path: Path, host: str) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "site.toml"
    file.write_text(site_text(modbus("a", at=f"modbus-tcp://{host}:502"), opcua("b", at=f"opc.tcp://{host}/p")))
    environ = {"PARK_MQTT_URL": f"mqtt://a:b@{host}:1883"}
    if HOSTS[host]:
        site = load_site(file, environ)
        assert site.mqtt is not None
        site.mqtt.host.encode("idna")
        return
    with pytest.raises(ConfigError) as caught:
        load_site(file, environ)
    assert [fault.key for fault in caught.value.faults] == ["PARK_MQTT_URL", "device.a.endpoint", "device.b.endpoint"]
    assert all("is not a host; write an IP address, or a name" in str(fault) for fault in caught.value.faults)


@pytest.mark.parametrize("url", ["modbus-tcp://h\\n:502", "modbus-tcp://h\\u0000:502", "modbus-tcp://h:502\\t"])
def test_an_address_with_what_nobody_can_see_is_a_fault(tmp_path: Path, url: str) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "site.toml"
    file.write_text(site_text(modbus("a", at=url)))
    with pytest.raises(ConfigError, match="is not an endpoint"):
        load_site(file, {}, needs_broker=False)


@pytest.mark.parametrize(
    "root",
    ["ns=99999999999;s=t", "ns=65536;s=t", "ns=2;s=", "ns=2;i=5", "ns=x;s=t", "ns=-1;s=t", "ns=٢;s=t", "s=t", "t"],
)
def test_a_root_that_is_no_node_is_a_fault(tmp_path: Path, root: str) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "site.toml"
    file.write_text(site_text(opcua("a").replace("ns=2;s=t", root)))
    with pytest.raises(ConfigError) as caught:
        load_site(file, {}, needs_broker=False)
    (fault,) = caught.value.faults
    assert fault.key == "device.a.root"
    assert "a namespace is a number from 0 to 65535" in fault.remedy


def test_a_timeout_is_for_those_who_are_asked(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "site.toml"
    file.write_text(site_text(opcua("a") + "\ntimeout_ms = 500"))
    with pytest.raises(ConfigError, match=r"device\.a\.timeout_ms: has no meaning for a device that speaks opcua"):
        load_site(file, {}, needs_broker=False)


DEEP = "is nested more than 20 deep; write tables and lists as docs/gateway.md shows them"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x=" + "[" * 3_000 + "]" * 3_000, DEEP),
        ("x=" + "[" * 3_000, DEEP),
        ("x=" + "[" * 100 + "]" * 100, DEEP),
        ("x=" + "{a=" * 3_000 + "1" + "}" * 3_000, DEEP),
        ("[gateway]\nid" + ".a" * 3_000 + "=1", DEEP),
        ("[" + "a." * 3_000 + "a]", DEEP),
        ("x=" + "9" * 5_000, "holds a value that can't be read"),
    ],
    ids=["lists", "open lists", "some lists", "inline tables", "dotted key", "dotted table", "digits"],
)
def test_a_file_that_no_reader_can_take_is_a_fault(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_site(file, {})
    (fault,) = caught.value.faults
    assert problem in f"{fault.problem}; {fault.remedy}"
    assert len(str(fault)) < 1_000


def test_a_password_is_never_shown(site_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(site_file, {"PARK_MQTT_URL": "http://u:hunter2@x"})
    assert "hunter2" not in str(caught.value)


# Two tables that are one device


def site_text(*tables: str) -> str:
    head = '[gateway]\nid = "gw-1"\nmodels = "own"\n'
    return head + "".join(f"[[device]]\n{table}\n" for table in tables)


def modbus(name: str, model: str = "acrel-adw300", unit: int = 1, at: str = "modbus-tcp://h:502") -> str:
    return f'id = "{name}"\nmodel = "{model}"\nendpoint = "{at}"\nunit = {unit}'


def opcua(name: str, model: str = "generic-vessel-plc", root: str = "t", at: str = "opc.tcp://h/p") -> str:
    return f'id = "{name}"\nmodel = "{model}"\nendpoint = "{at}"\nroot = "ns=2;s={root}"'


def own_model(folder: Path, name: str, protocol: str, *points: str) -> None:
    (folder / "own").mkdir(exist_ok=True)
    lines = "".join(
        f'{{ name = "p-{at}", quantity = "voltage", unit = "V", zh = "压", en = "V", {point} }},'
        for at, point in enumerate(points)
    )
    head = f'model = "{name}"\nname = {{ zh = "表", en = "Meter" }}\nprotocol = "{protocol}"\nsource = "test"\n'
    (folder / "own" / f"{name}.toml").write_text(f"{head}point = [{lines}]\n")


@pytest.fixture
def own_models(tmp_path: Path) -> Path:
    """Parts of a PLC: registers 0-1, 1-2, 10, two bits of 20, and nodes of a common root."""
    own_model(tmp_path, "low", "modbus", 'address = 0, type = "u32"')
    own_model(tmp_path, "middle", "modbus", 'address = 1, type = "u32"')
    own_model(tmp_path, "high", "modbus", 'address = 10, type = "u16"')
    own_model(tmp_path, "bit-1", "modbus", 'address = 20, type = "u16", bit = 1')
    own_model(tmp_path, "bit-2", "modbus", 'address = 20, type = "u16", bit = 2')
    own_model(tmp_path, "pump", "opcua", 'node = "Pump"')
    own_model(tmp_path, "valve", "opcua", 'node = "Valve"')
    own_model(tmp_path, "deep-pump", "opcua", 'node = "t.Pump"')
    own_model(tmp_path, "weather", "opcua", 'node = "ns=3;s=wind"')
    return tmp_path


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (modbus("a"), modbus("b")),
        (modbus("a"), modbus("b", at="modbus-tcp://H")),
        (modbus("a"), modbus("b", at="modbus-rtu-over-tcp://h:502")),
        (modbus("a"), modbus("b", "janitza-umg96rm-e")),
        (modbus("a", "low"), modbus("b", "low")),
        (modbus("a", "low"), modbus("b", "middle")),
        (modbus("a", "bit-1"), modbus("b", "bit-1")),
        (opcua("a"), opcua("b")),
        (opcua("a", "generic-gate-pass"), opcua("b", "generic-gate-pass")),
        (opcua("a", "pump"), opcua("b", "pump")),
        (opcua("a", "pump", root="x.t"), opcua("b", "deep-pump", root="x")),
        (opcua("a", "weather"), opcua("b", "weather")),
    ],
    ids=[
        *("copied", "default port and case", "other framing", "two whole instruments", "own copied", "own overlap"),
        *("same bit", "opcua copied", "opcua events", "opcua own", "opcua respelled", "opcua whole id, same root"),
    ],
)
def test_two_tables_of_one_device_are_named_both(own_models: Path, first: str, second: str) -> None:
    file = own_models / "site.toml"
    file.write_text(site_text(first, second))
    with pytest.raises(ConfigError) as caught:
        load_site(file, {}, needs_broker=False)
    (fault,) = caught.value.faults
    assert fault.key in {"device.b.unit", "device.b.root"}
    assert "device 'a' " in fault.problem


@pytest.mark.parametrize(
    "tables",
    [
        (modbus("a"), modbus("b", unit=2)),
        (modbus("a"), modbus("b", at="modbus-tcp://h:503")),
        (modbus("a"), modbus("b", at="modbus-tcp://other:502")),
        (modbus("a", "low"), modbus("b", "high"), modbus("c", "bit-1"), modbus("d", "bit-2")),
        (modbus("a", "janitza-umg96rm-e"), modbus("b", "low"), modbus("c", "high")),
        (modbus("b", "low"), modbus("a", "janitza-umg96rm-e")),
        (opcua("a"), opcua("b", root="u")),
        (opcua("a"), opcua("b", at="opc.tcp://h/q")),
        (opcua("a", "pump"), opcua("b", "valve")),
        (opcua("a", "weather"), opcua("b", "weather", root="u")),
    ],
    ids=[
        *("unit", "port", "host", "own parts of a PLC", "own beside a whole one", "own before a whole one"),
        *("root", "path", "own parts below one root", "one weather for two"),
    ],
)
def test_devices_that_share_an_address_for_a_reason_are_left_alone(own_models: Path, tables: tuple[str, ...]) -> None:
    file = own_models / "site.toml"
    file.write_text(site_text(*tables))
    assert len(load_site(file, {}, needs_broker=False).devices) == len(tables)


def test_no_file_no_devices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: file: can't be read: No such file"):
        load_site(tmp_path / "none.toml", {})
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ConfigError) as caught:
        load_site(tmp_path / "empty.toml", {})
    assert_faults(caught.value, ["gateway.id: is missing", "mqtt.url: is missing", "device: there is none"])


def test_registers_without_room_for_the_sample(site_file: Path) -> None:
    file = site_file.parent / "own" / "own-meter.toml"
    lines = ", ".join(
        f'{{ name = "v-{at}", quantity = "voltage", address = {at}, type = "u16", unit = "V", zh = "压", en = "V" }}'
        for at in range(130)
    )
    text = file.read_text()
    file.write_text(text[: text.index("point = [")] + f"point = [{lines}]\n")
    load_site(site_file, {})
    site_file.write_text(site_file.read_text().replace('word_order = "little"', "sample = true"))
    with pytest.raises(ConfigError) as caught:
        load_site(site_file, {})
    (fault,) = caught.value.faults
    assert fault.key == "device.meter-b-1.model"
    assert "registers 0 to 129 can't be parted" in fault.problem
