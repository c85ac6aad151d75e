"""Rows that park.toml gives to registers: a name in them that is nowhere in the park is a fault of `park check`."""

import shutil
from pathlib import Path

import pytest

from park_platform.park_file import load_park
from park_platform.systems import load_systems
from park_wire.errors import ConfigError, Fault
from support.source_scan import ROOT


def faults_of(site: Path) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as error:
        load_park(site / "park.toml", load_systems())
    return error.value.faults


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return shutil.copytree(ROOT / "deploy" / "sites" / "sample", tmp_path / "site")


def swap(path: Path, right: str, wrong: str) -> None:
    text = path.read_text("utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), "utf-8")


def test_every_file_is_looked_through(site: Path) -> None:
    load_park(site / "park.toml", load_systems())
    swap(site / "vehicles.csv", "truck-1,", "truck-99,")
    swap(site / "vehicles.csv", "alloy", "nobody")
    swap(site / "special-equipment.csv", "tank-1,chem", "tank-99,nobody")
    swap(site / "special-equipment.csv", "2027-03-10", "9999-12-31")
    found = [(fault.file, fault.key) for fault in faults_of(site)]
    assert found == [
        ("vehicles.csv", "line 2, asset"),
        ("vehicles.csv", "line 4, enterprise"),
        ("special-equipment.csv", "line 2, enterprise"),
        ("special-equipment.csv", "line 2, asset"),
        ("special-equipment.csv", "line 4, safety_valve_due"),
    ]


def test_a_name_is_nowhere_only_when_everything_was_read(site: Path) -> None:
    (site / "assets.toml").write_text("[[asset", "utf-8")
    assert not [fault for fault in faults_of(site) if fault.file.endswith(".csv")]
