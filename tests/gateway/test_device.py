"""Device models: every one that ships loads, makers' maps mean what they say, a file's faults are all named."""

import json
import math
import struct
import tomllib
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import nodeid_to_binary
from hypothesis import given
from hypothesis import strategies as st

from park_gateway.device import image, load_model, models, node_id, words_of
from park_gateway.model_file import load_model_file
from park_gateway.plan import plan
from park_gateway.point import DeviceModel, Order, Protocol, RawType
from park_wire.errors import ConfigError
from park_wire.quality import Mark
from park_wire.quantities import quantity
from support.gateway_cases import CASES, assert_faults

METERS = {
    *("eastron-sdm630", "chint-dtsu666", "schneider-iem3000", "acrel-adw300", "janitza-umg96rm-e", "janitza-b23"),
}


@pytest.mark.parametrize("name", models())
def test_every_model_loads_and_can_be_planned(name: str) -> None:
    model = load_model(name)
    assert model.name == name
    assert model.points
    for point in model.points:
        what = quantity(point.quantity)
        assert point.unit == what.unit
        assert what.low <= point.low < point.high <= what.high, point.name
        assert point.factor != 0
        assert (point.register is None) == (model.protocol is Protocol.OPCUA)
    if model.protocol is Protocol.MODBUS:
        for sample in (False, True):
            read = [point for request in plan(model, 1000, sample=sample) for point in request.points]
            assert sorted(read) == sorted(point.name for point in model.points)


def test_a_map_of_ours_is_called_generic_and_a_makers_names_its_source() -> None:
    for name in models():
        ours = load_model(name).source.startswith("Parkhub's own")
        assert ours == name.startswith("generic-"), name
    assert set(models()) >= METERS


def test_a_model_that_is_not_there_names_its_neighbours() -> None:
    with pytest.raises(ConfigError, match=r"'acrel-adw30' is not a device model; did you mean acrel-adw300"):
        load_model("acrel-adw30")


def _expected(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", ["five-faults", "strange"])
def test_every_fault_of_a_model_file_is_named_at_once(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model_file(CASES / "models" / f"{name}.toml")
    assert_faults(caught.value, _expected(CASES / "models" / f"{name}.txt"))
    assert {fault.file for fault in caught.value.faults} == {str(CASES / "models" / f"{name}.toml")}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"model = ", "is no TOML"),
        (b"model = '\xff'", "is not UTF-8"),
        (None, "can't be read: No such file or directory"),
        (b"", "is missing"),
        (b"point = 5", "is not a list of tables"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=problem):
        load_model_file(file)


def test_opcua_models_have_nodes_and_no_registers(tmp_path: Path) -> None:
    head = 'model = "m"\nname = { zh = "名", en = "N" }\nprotocol = "opcua"\nsource = "s"\n'
    point = 'name = "p", quantity = "pressure", unit = "MPa", zh = "压", en = "P"'
    (tmp_path / "m.toml").write_text(f"{head}point = [{{ {point}, address = 1, type = 'u16' }}]\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_model_file(tmp_path / "m.toml")
    assert_faults(
        caught.value,
        [
            "point.p.address: has no meaning in an OPC UA model",
            "point.p.type: has no meaning in an OPC UA model",
            "point.p.node: is missing",
        ],
    )


NODES = {
    "Pressure": True,
    "Tank 1.压力": True,
    "ns=3;s=a=b;c": True,
    "i=2258": True,
    "ns=2;i=4294967295": True,
    "ns=2;g=72962b91-fa75-4ae6-8d28-b404dc7daf63": True,
    "ns=2;b=TWFu": True,
    "ns=65536;s=a": False,
    "ns=2;i=4294967296": False,
    "ns=2;i=-1": False,
    "ns=2;g=tank": False,
    "ns=2;b=%": False,
    "Pressure=1": False,
    "nsu=urn:x;s=a": False,
    "a\nb": False,
}


@pytest.mark.parametrize("node", NODES)
def test_a_node_is_one_that_travels(tmp_path: Path, node: str) -> None:
    text = (
        f'model = "m"\nname = {{ zh = "名", en = "N" }}\nprotocol = "opcua"\nsource = "s"\n[[event]]\nkind = "e"\n'
        f'type = "T"\nfields = {{ a = "A" }}\nnode = {json.dumps(node)}\n[[point]]\nname = "p"\n'
        f'quantity = "pressure"\nunit = "MPa"\nzh = "压"\nen = "P"\nnode = {json.dumps(node)}\n'
    )
    (tmp_path / "m.toml").write_text(text, "utf-8")
    if NODES[node]:
        model = load_model_file(tmp_path / "m.toml")
        for named in (node_id("ns=2;s=t", str(model.points[0].node)), node_id("ns=2;s=t", model.events[0].node)):
            assert nodeid_to_binary(ua.NodeId.from_string(named))
        return
    with pytest.raises(ConfigError) as caught:
        load_model_file(tmp_path / "m.toml")
    assert [fault.key for fault in caught.value.faults] == ["point.p.node", "event.e.node"]
    assert all("is not a node's id" in fault.problem for fault in caught.value.faults)


def test_scale_and_unit_become_one_factor() -> None:
    adw = load_model("acrel-adw300")
    assert adw.point("active-power").factor == 0.001  # W in kW
    assert adw.point("voltage-a").factor == 0.1
    assert math.isclose(load_model("generic-air-station").point("co").factor, 0.01)


@pytest.mark.parametrize(
    ("root", "node", "expected"),
    [
        ("ns=2;s=tank-1", "Pressure", "ns=2;s=tank-1.Pressure"),
        ("ns=2;s=tank-1", "", "ns=2;s=tank-1"),
        ("ns=2;s=tank-1", "ns=3;i=7", "ns=3;i=7"),
    ],
)
def test_node_ids(root: str, node: str, expected: str) -> None:
    assert node_id(root, node) == expected


ABCD = 0x41424344


@pytest.mark.parametrize(
    ("word_order", "byte_order", "shown"),
    [
        (Order.BIG, Order.BIG, "ABCD"),
        (Order.LITTLE, Order.BIG, "CDAB"),
        (Order.BIG, Order.LITTLE, "BADC"),
        (Order.LITTLE, Order.LITTLE, "DCBA"),
    ],
)
def test_the_four_orders_by_name(word_order: Order, byte_order: Order, shown: str) -> None:
    words = words_of(ABCD, RawType.U32, word_order, byte_order)
    assert struct.pack(">HH", *words) == shown.encode()


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([k for k in RawType if k.value[0] in "ui"]))
def test_a_device_shows_the_nearest_that_its_type_can_hold(value: float, kind: RawType) -> None:
    words = words_of(value, kind)
    signed = kind.value[0] == "i"
    bits = 16 * len(words)
    shown = int.from_bytes(struct.pack(f">{len(words)}H", *words), "big", signed=signed)
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    assert abs(shown - value) <= 0.5 or (shown == least and value < least) or (shown == most and value > most)


def _map_files() -> list[str]:
    return sorted(path.stem for path in (CASES / "maps").glob("*.toml"))


@pytest.mark.parametrize("name", _map_files())
def test_an_image_shows_the_makers_words(name: str) -> None:
    case = tomllib.loads((CASES / "maps" / f"{name}.toml").read_text("utf-8"))
    model = load_model(name)
    shown = image(model, case["expected"])
    named = {int(first, 0) + at: word for first, words in case["registers"].items() for at, word in enumerate(words)}
    # What else a file names is there to be passed over.
    registers = [model.point(point).register for point in case["expected"]]
    told = {at for register in registers if register is not None for at in range(register.address, register.end)}
    assert len(told) >= len(registers)
    assert {at: shown[at] for at in told} == {at: named[at] for at in told}


def test_there_is_a_case_for_every_meter() -> None:
    assert set(_map_files()) >= METERS


def _gate() -> DeviceModel:
    return load_model("generic-gate-actuator")


def test_bits_share_a_register_in_an_image() -> None:
    assert image(_gate(), {"limit-open": 1.0})[3] == 1
    assert image(_gate(), {"limit-closed": 1.0})[3] == 2
    assert image(_gate(), {"limit-open": 1.0, "limit-closed": 1.0})[3] == 3


def test_a_value_that_is_none_shows_as_the_devices_own_pattern() -> None:
    assert image(_gate(), {"position": math.nan})[0] == 0xFFFF
    assert image(_gate(), {"command": math.nan})[1] == 0xFFFF  # no pattern: the largest number
    pipeline = image(load_model("generic-pipeline"), {"flow-in": math.nan})
    assert math.isnan(struct.unpack(">f", struct.pack(">HH", pipeline[1], pipeline[0]))[0])


def test_a_mark_is_shown_by_its_code() -> None:
    cems = load_model("generic-cems")
    assert image(cems, {}, Mark.CALIBRATING)[25] == 5
    assert image(cems, {}, Mark.NORMAL)[25] == 0
