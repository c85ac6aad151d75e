"""park.toml and what it includes: every fault at once, whatever else is wrong, in words and never as a traceback."""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from park_platform.cli.park import check
from park_platform.park_file import load_park
from park_platform.park_model import LISTS
from park_wire.errors import EXIT_CONFIGURATION, ConfigError, Fault

MAIN = """
[park]
id = "north"
name = { zh = "北园", en = "North Park" }
time_zone = "Asia/Shanghai"
include = ["more.toml"]

[[gateway]]
id = "gw-1"
name = { zh = "网关", en = "Gateway" }

[[enterprise]]
id = "chem"
name = { zh = "化工", en = "Chemical Works" }

[[zone]]
id = "farm"
name = { zh = "罐区", en = "Tank farm" }

[[asset]]
id = "tank-1"
kind = "sphere-tank"
name = { zh = "一号球罐", en = "Tank 1" }
enterprise = "chem"
zone = "farm"
design = { pressure = 1.77 }
devices = ["gw-1/tank-1"]

[[asset]]
id = "tank-2"
kind = "flat-tank"
name = { zh = "二号罐", en = "Tank 2" }
devices = ["gw-1/tank-2"]
"""
MORE = """
[[rule]]
id = "pressure-hh"
name = { zh = "压力高高", en = "Pressure high-high" }
kind = "HH"
on = { quantity = "pressure", asset_kind = "sphere-tank" }
design_limit = { quantity = "pressure", times = 0.9 }
priority = "critical"
cause = { zh = "甲", en = "a" }
consequence = { zh = "乙", en = "b" }
action = { zh = "丙", en = "c" }
respond_s = 180
source = "own setting"

[[rule]]
id = "pressure-h"
name = { zh = "压力高", en = "Pressure high" }
kind = "H"
on = { quantity = "pressure", asset = "tank-2" }
limit = 1.5
priority = "high"
cause = { zh = "甲", en = "a" }
consequence = { zh = "乙", en = "b" }
action = { zh = "丙", en = "c" }
respond_s = 180
source = "own setting"

[[person]]
id = "li"
name = { zh = "李", en = "Li" }
role = "regulator"
may_read = ["chem"]

[[person]]
id = "wang"
name = { zh = "王", en = "Wang" }
role = "operator"
"""


class Slip(NamedTuple):
    """A mistake of somebody's: what stands instead of what, and how it is named."""

    file: str
    right: str
    wrong: str
    key: str
    says: str


SLIPS = (
    Slip("park.toml", '"Asia/Shanghai"', '"Asia/Shangai"', "park.time_zone", "'Asia/Shangai' is no time zone"),
    Slip("park.toml", ', en = "North Park"', "", "park.name.en", "field required; add it"),
    Slip("park.toml", '"网关", en = "Gateway"', '"网关", en = ""', 'gateway "gw-1".name.en', "at least 1 character"),
    Slip(
        "park.toml",
        'kind = "sphere-tank"',
        'kind = "sphere-tank"\ncolour = "red"',
        'asset "tank-1".colour',
        "remove it",
    ),
    Slip("park.toml", 'enterprise = "chem"', 'enterprise = "chen"', 'asset "tank-1".enterprise', "use one of chem"),
    Slip("park.toml", 'zone = "farm"', "zone = 7", 'asset "tank-1".zone', "valid string, found '7'"),
    Slip("park.toml", '"gw-1/tank-1"', '"gw-2/tank-1"', 'asset "tank-1".devices', "'gw-2/tank-1' names no device"),
    Slip("park.toml", "pressure = 1.77", "pressure = 1.77, presure = 2.0", 'asset "tank-1".design', "'presure'"),
    Slip("park.toml", "pressure = 1.77", 'pressure = 1.77, flow = "x"', 'asset "tank-1".design.flow', "valid number"),
    Slip("park.toml", '"gw-1/tank-2"', '"gw-1/tank-2", 5', 'asset "tank-2".devices[1]', "valid string, found '5'"),
    Slip("more.toml", 'kind = "HH"', 'kind = "hh"', 'rule "pressure-hh".kind', "'HH', 'H', 'L', 'LL', 'STALE' or"),
    Slip(
        "more.toml", 'asset_kind = "sphere-tank"', 'asset_kind = "spere-tank"', 'rule "pressure-hh".on.asset_kind', ""
    ),
    Slip(
        "more.toml",
        '= { quantity = "pressure", asset_k',
        '= { quantity = "x", asset_k',
        'rule "pressure-hh".on.quantity',
        "'x'",
    ),
    Slip("more.toml", "limit = 1.5", "limit = 1500", 'rule "pressure-h".limit', "is beyond what pressure can be"),
    Slip(
        "more.toml",
        'asset = "tank-2" }',
        'asset = "tank-3" }',
        'rule "pressure-h".on.asset',
        "use one of tank-1, tank-2",
    ),
    Slip(
        "more.toml",
        '"high"',
        '"High"',
        'rule "pressure-h".priority',
        "'critical', 'high', 'medium' or 'low', found 'High'",
    ),
    Slip("more.toml", 'may_read = ["chem"]', 'may_read = ["food"]', 'person "li".may_read', "'food' is not defined"),
    Slip("more.toml", 'role = "operator"', 'role = "boss"', 'person "wang".role', "'administrator', 'operator',"),
)


def write(folder: Path, slips: set[Slip]) -> Path:
    for name, right in (("park.toml", MAIN), ("more.toml", MORE)):
        text = right
        for slip in slips:
            if slip.file == name:
                assert text.count(slip.right) == 1, slip
                text = text.replace(slip.right, slip.wrong)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "park.toml"


def faults_of(path: Path) -> list[Fault]:
    try:
        load_park(path, {})
    except ConfigError as error:
        return list(error.faults)
    return []


def test_a_right_park_has_no_faults(tmp_path: Path) -> None:
    park = load_park(write(tmp_path, set()), {})
    assert [rule.id for rule in park.rule] == ["pressure-hh", "pressure-h"]


@given(st.sets(st.sampled_from(SLIPS), min_size=1))
def test_every_slip_is_named_whatever_else_is_wrong(tmp_path_factory: pytest.TempPathFactory, slips: set[Slip]) -> None:
    found = faults_of(write(tmp_path_factory.mktemp("park"), slips))
    assert sorted((fault.file, fault.key) for fault in found) == sorted((slip.file, slip.key) for slip in slips)
    for slip in slips:
        [fault] = [fault for fault in found if fault.key == slip.key]
        assert slip.says in str(fault)


@pytest.mark.parametrize("content", [None, "[[rule]\n", b"\xff", "x = " + "[" * 3_000, "x = " + "9" * 5_000])
def test_a_file_that_can_not_be_read_hides_nothing(tmp_path: Path, content: str | bytes | None) -> None:
    slips = {slip for slip in SLIPS if slip.file == "park.toml"}
    path = write(tmp_path, slips)
    more = tmp_path / "more.toml"
    if content is None:
        more.unlink()
    else:
        more.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = faults_of(path)
    assert sorted((fault.file, fault.key) for fault in found) == sorted(
        [("more.toml", "file"), *((slip.file, slip.key) for slip in slips)]
    )
    [chen] = [fault for fault in found if "'chen'" in fault.problem]
    assert chen.problem == "'chen' is not defined in what could be read", "more.toml may define it"


@pytest.mark.parametrize(
    ("right", "wrong", "keys"),
    [
        # A combination of fields is judged only where none of them is broken.
        ("limit = 1.5", 'limit = "x"', ['rule "pressure-h".limit']),
        ('on = { quantity = "pressure", asset = "tank-2" }', "on = 5", ['rule "pressure-h".on']),
        ('quantity = "pressure", asset = "tank-2"', 'aset = "tank-2"', ['rule "pressure-h".on.aset']),
        ('kind = "H"\n', "", ['rule "pressure-h".kind']),
        (", times = 0.9", "", ['rule "pressure-hh".design_limit.times']),
        ('role = "regulator"', 'rolle = "regulator"', ['person "li".role', 'person "li".rolle']),
        ('id = "li"', 'id = "Li Wei"', ['person "Li Wei".id']),
        ('id = "li"', r'id = "li\u001b[31m\n"', [r"""person "'li\x1b[31m\n'".id"""]),
        ('id = "li"', "", ["person[0].id"]),
        # What selects nothing that exists has no design value either; one fault is enough.
        ('asset_kind = "sphere-tank"', 'asset_kind = "cube"', ['rule "pressure-hh".on.asset_kind']),
        ('asset_kind = "sphere-tank"', 'asset = "tank-2"', ['rule "pressure-hh".design_limit']),
        ('asset_kind = "sphere-tank"', 'asset = "tank-9"', ['rule "pressure-hh".on.asset']),
        ('[[person]]\nid = "wang"', '[[person]]\nid = "li"', ["person"]),
        (
            'may_read = ["chem"]',
            'may_read = ["chem", 5, "food", 6]',
            [*[f'person "li".may_read{n}' for n in ("", "[1]", "[3]")]],
        ),
        ('role = "operator"', 'role = "enterprise"', ['person "wang"']),
        ('role = "operator"', 'role = "operator"\nenterprise = 5', ['person "wang".enterprise']),
    ],
)
def test_one_slip_is_one_fault(tmp_path: Path, right: str, wrong: str, keys: list[str]) -> None:
    path = write(tmp_path, set())
    assert MORE.count(right) == 1
    (tmp_path / "more.toml").write_text(MORE.replace(right, wrong), encoding="utf-8")
    assert sorted(fault.key for fault in faults_of(path)) == sorted(keys)


KEYS = ("id", "name", "on", "limit", "design_limit", "times", "quantity", "asset", "design", "devices", "zh", "odd key")
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec="utf-8"), max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=5,
)


def as_toml(value: Any) -> str:
    """A value as it stands behind a `=`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(value[key])}" for key in value) + "}"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return str(value).lower()


@given(st.data())
def test_any_value_anywhere_is_a_park_or_faults(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content: dict[str, Any] = tomllib.loads(MAIN + MORE)
    content["park"]["include"] = []
    name = data.draw(st.sampled_from(["park", *LISTS]))
    item: dict[str, Any] = content[name] if name == "park" else data.draw(st.sampled_from(content[name]))
    key = data.draw(st.sampled_from([*item, "odd"]))
    inner: dict[str, Any] | None = item[key] if isinstance(item.get(key), dict) else None
    if inner is not None and data.draw(st.booleans()):
        item, key = inner, data.draw(st.sampled_from([*inner, "odd"]))
    item[key] = data.draw(VALUES)
    path = tmp_path_factory.mktemp("park") / "park.toml"
    path.write_text("\n".join(f"{key} = {as_toml(value)}" for key, value in content.items()), encoding="utf-8")
    for fault in faults_of(path):
        assert str(fault).isprintable()


DEEP = "k" + ".k" * 3_000 + " = 1"
NESTED = "[" * 200 + "]" * 200
HUGE = "0x" + "f" * 5_000


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("x = " + "[" * 3_000, "file", "brackets are nested too deeply; look for a [ or {"),
        ("x = " + "{a=" * 3_000, "file", "brackets are nested too deeply"),
        ("x = " + "9" * 5_000, "file", "can't be taken: Exceeds the limit"),
        (DEEP, "k", "not permitted, found a table; remove it"),
        (f"x = {NESTED}", "x", "not permitted, found a list"),
        (f"x = {HUGE}", "x", "not permitted, found a number of more than 64 bits"),
        (f'"{"y" * 10_000}" = 1', f"'{'y' * 100}'", "not permitted"),
        ("enterprise = 5", "enterprise", "found '5'"),
        ("[enterprise]\nid = 'x'", "enterprise", "found a table"),
        ("person = [1, [], {}]", "person[0]", "found '1'"),
        (f"[[asset]]\nid = 'a'\ndesign = {{ flow = {NESTED} }}", 'asset "a".design.flow', "found a list"),
        (f"[[asset]]\nid = 'a'\ndesign = {{ flow = {HUGE} }}", 'asset "a".design.flow', "number"),
        (f"[[asset]]\nid = 'a'\n[asset.design]\n{DEEP}", 'asset "a".design.k', "found a table"),
        (f"[[asset]]\nid = {NESTED}", "asset[0].id", "found a list"),
        (f"[park]\ninclude = {NESTED}", "park.include[0]", "found a list"),
        (r"[park]" + "\n" + r'include = ["a\u0000b"]', "file", "can't be taken: embedded null byte"),
        ("[park]\ninclude = ['.']", "file", "can't be read: Is a directory"),
    ],
)
def test_odd_content_is_a_sentence(tmp_path: Path, text: str, key: str, says: str) -> None:
    path = tmp_path / "park.toml"
    path.write_text(text, encoding="utf-8")
    found = faults_of(path)
    assert any(fault.key == key and says in str(fault) for fault in found), found
    assert all(len(str(fault)) < 400 for fault in found)
    result = CliRunner().invoke(check, [str(path)])
    assert (result.exit_code, type(result.exception)) == (EXIT_CONFIGURATION, SystemExit)


def test_check_names_fifty_faults_and_counts_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "park.toml"
    path.write_text(MAIN.replace('["more.toml"]', "[]"), encoding="utf-8")
    lines = "".join(f"odd-{number} = 1\n" for number in range(53))
    path.write_text(lines + path.read_text(encoding="utf-8"), encoding="utf-8")
    result = CliRunner().invoke(check, [str(path)])
    assert result.exit_code == EXIT_CONFIGURATION
    shown = result.output.splitlines()
    assert len([line for line in shown if "not permitted" in line]) == 50
    assert shown[-2:] == ["… and 3 more 另有 3 处", "53 faults 处错误"]
