import shutil
import socket
from pathlib import Path

import pytest

from park_gateway.config import load_site
from park_gateway.point import Order, Protocol
from park_sim.sample import sample_site
from park_sim.site import OPCUA, read_field
from park_sim.site_copy import copy_site
from park_sim.world import instruments
from park_wire.errors import ConfigError
from park_wire.quantities import QUANTITIES, Kind

BROKER = {"PARK_MQTT_URL": "mqtt://user:password@127.0.0.1:1883"}


def test_the_sample_site_passes_the_gateway_s_check_and_is_what_the_field_builds() -> None:
    path = sample_site() / "gateway.toml"
    site = load_site(path, BROKER)
    field = {device.id: device for device in read_field(path)}
    assert [device.id for device in site.devices] == list(field)
    for device in site.devices:
        mine = field[device.id]
        assert mine.model == device.model
        assert (mine.unit, mine.period_ms, mine.sample) == (device.unit, device.period_ms, device.sample)
        assert (mine.address.host, mine.address.port) == (device.endpoint.host, device.endpoint.port)
        assert mine.root == (device.root or "")


def test_the_sample_site_is_the_park_that_was_ordered() -> None:
    field = read_field(sample_site() / "gateway.toml")
    assert {device.id for device in field} == set(instruments())
    assert all(device.sample for device in field)
    assert len({device.address.port for device in field if device.address.scheme != OPCUA}) == 5
    points = [point for device in field for point in device.model.points]
    assert len(points) > 400
    assert sum(1_000 / device.period_ms for device in field for _ in device.model.points) > 300
    quantities = [QUANTITIES[point.quantity] for point in points]
    assert {quantity.system for quantity in quantities} >= {"energy", "safety", "environment", "logistics"}
    assert {quantity.kind for quantity in quantities} == {Kind.GAUGE, Kind.COUNTER, Kind.STATE}
    assert sum(device.model.protocol is Protocol.OPCUA for device in field) == 13


def write(folder: Path, devices: str) -> Path:
    path = folder / "site.toml"
    path.write_text(f'[gateway]\nid = "gw-1"\n{devices}', "utf-8")
    return path


def test_orders_and_ratios_of_the_site_are_in_the_model(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
[[device]]
id = "chem-electricity"
model = "eastron-sdm630"
endpoint = "modbus-tcp://127.0.0.1"
word_order = "little"
byte_order = "little"
ratio = { "current-*" = 60 }
""",
    )
    (device,) = read_field(path)
    assert (device.model.word_order, device.model.byte_order) == (Order.LITTLE, Order.LITTLE)
    assert device.model.point("current-a").factor == 60.0
    assert device.model.point("voltage-a").factor == 1.0
    assert (device.address.port, device.unit, device.sample) == (502, 1, False)


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
[[device]]
id = "tank-9"
model = "generic-vessel-plc"
endpoint = "opc.tcp://127.0.0.1:4840"
root = "ns=2;s=tank-9"
[[device]]
id = "chem-water"
model = "generic-cems"
endpoint = "modbus-tcp://127.0.0.1:5020"
[[device]]
id = "chem-gas"
model = "generic-gas-meeter"
endpoint = "modbus-tcp://127.0.0.1:5020"
[[device]]
id = "tank-1"
model = "generic-vessel-plc"
endpoint = "opc.tcp://127.0.0.1:4840"
root = "ns=7;s=tank-1"
[[device]]
id = "heat-gas"
model = "generic-gas-meter"
endpoint = "serial:///dev/ttyS0"
[[device]]
id = "heat-water"
endpoint = 3
""",
    )
    with pytest.raises(ConfigError) as refused:
        read_field(path)
    text = str(refused.value)
    for expected in (
        "device.tank-9.id: the simulated park has no such instrument; call the device like one of air-1, ",
        "generic-cems has the point 'so2', which chem-water does not measure",
        "'generic-gas-meeter' is not a device model; did you mean generic-gas-meter",
        "device.tank-1.root: 'ns=7;s=tank-1' is not a node of the simulated server; write root = \"ns=2;s=tank-1\"",
        "device.heat-gas.endpoint: 'serial' is not simulated; use one of modbus-tcp://",
        "device #6.model: Field required; run `park gateway check`",
    ):
        assert expected in text


@pytest.mark.parametrize("content", ["", "[[device", "[gateway]\nid = 'x'\n"])
def test_a_file_that_is_no_site_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError):
        read_field(path)


def test_a_copied_site_has_free_ports_and_keeps_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        source, target = tmp_path / "source", tmp_path / "target"
        shutil.copytree(sample_site(), source)
        busy = taken.getsockname()[1]
        gateway = source / "gateway.toml"
        gateway.write_text(gateway.read_text("utf-8").replace("127.0.0.1:5021", f"127.0.0.1:{busy}"), "utf-8")
        ports = copy_site(source, target)
        assert len(set(ports.values())) == len(ports) == 6
        assert ports[busy] != busy
        assert {device.address.port for device in read_field(target / "gateway.toml")} == set(ports.values())
        assert copy_site(source, target) == ports
    assert (target / "park.toml").read_bytes() == (source / "park.toml").read_bytes()
    with pytest.raises(ConfigError, match=r"gateway\.toml"):
        copy_site(tmp_path / "target" / "none", target)
