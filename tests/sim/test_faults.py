import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from park_gateway.device import words_of
from park_sim.fault_kinds import KINDS
from park_sim.field import Field
from park_sim.journal import Journal, read_journal
from park_sim.sample import sample_site
from park_sim.site import read_field
from park_sim.world import World
from park_wire.errors import ConfigError
from park_wire.quality import Quality

START_US = 1_795_395_600_000_000
SECOND = 1_000_000


class Park:
    """A field without sockets, whose clock a test moves."""

    def __init__(self, folder: Path) -> None:
        self.now_us = START_US
        self.folder = folder
        self.journal = Journal(folder, START_US)
        self.field = Field(World(1, START_US), read_field(sample_site() / "gateway.toml"), self.journal)
        self.run(1.0)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.5)):
            self.now_us += SECOND // 2
            self.field.tick(self.now_us, 0.5)

    def start(self, kind: str, target: str, magnitude: float | None = None, duration_s: float | None = None) -> None:
        self.field.faults.start(kind, target, self.now_us, magnitude, duration_s)

    def value(self, device: str, point: str) -> float:
        return self.field.shown(device).values[point]


@pytest.fixture
def park(tmp_path: Path) -> Iterator[Park]:
    made = Park(tmp_path)
    yield made
    made.journal.close()


def test_over_pressure_rises_lifts_falls_and_ends_when_cleared(park: Park) -> None:
    before = park.value("tank-2", "pressure")
    park.start("over-pressure", "tank-2", 0.1)
    park.run(4.0)
    assert park.value("tank-2", "pressure") == pytest.approx(before + 0.4, abs=0.05)
    assert park.value("tank-1", "pressure") == pytest.approx(before, abs=0.05)
    park.run(15.0)
    assert park.field.world.vessels.vessels["tank-2"].relief.lifts >= 1
    ended = park.field.faults.clear("tank-2")
    assert [fault.kind.name for fault in ended] == ["over-pressure"]
    park.run(600.0)
    assert park.value("tank-2", "pressure") == pytest.approx(before, abs=0.05)
    park.journal.close()
    states = [(line[2], line[3], line[4]) for line in read_journal(park.folder) if line[0] == "state"]
    assert states[:2] == [("tank-2", "over-pressure", "on"), ("tank-2", "relief-lifted", "on")]
    assert states[-1][2] == "off"


def test_leak_parts_in_and_out_and_raises_the_detectors(park: Park) -> None:
    flows = park.field.shown("pipeline-1").values
    assert flows["flow-in"] - flows["flow-out"] == pytest.approx(0.0, abs=60.0)
    park.start("leak", "pipeline-1")
    park.run(900.0)
    flows = park.field.shown("pipeline-1").values
    assert flows["flow-in"] - flows["flow-out"] == pytest.approx(250.0, rel=0.3)
    assert park.value("gas-pipeline", "channel-1") > 20.0
    assert park.value("gas-pipeline", "channel-4") < park.value("gas-pipeline", "channel-1")
    park.field.faults.clear("pipeline-1")
    park.run(60.0)
    assert park.field.world.pipelines.lines["pipeline-1"].leaking_m3h == 0.0


def test_stuck_freezes_the_whole_device_and_stays_good(park: Park) -> None:
    park.start("stuck", "chem-electricity")
    park.run(1.0)
    frozen = dict(park.field.shown("chem-electricity").values)
    park.run(30.0)
    shown = park.field.shown("chem-electricity")
    names = [point.name for point in park.field.devices["chem-electricity"].model.points]
    assert {name: shown.values[name] for name in names} == {name: frozen[name] for name in names}
    assert shown.quality == {}
    park.field.faults.clear("chem-electricity")
    park.run(1.0)
    assert park.value("chem-electricity", "active-energy") > frozen["active-energy"]


def test_stuck_of_one_point_leaves_the_others(park: Park) -> None:
    park.start("stuck", "reactor-1/temperature")
    park.run(1.0)
    frozen = dict(park.field.shown("reactor-1").values)
    park.run(120.0)
    assert park.value("reactor-1", "temperature") == frozen["temperature"]
    assert park.value("reactor-1", "level") != frozen["level"]


def test_drift_grows_with_time_and_is_uncertain(park: Park) -> None:
    real = park.value("tank-1", "level")
    park.start("drift", "tank-1/level", 10.0)
    park.run(60.0)
    first = park.value("tank-1", "level")
    park.run(60.0)
    assert first == pytest.approx(real * 1.1, rel=0.01)
    assert park.value("tank-1", "level") == pytest.approx(real * 1.2, rel=0.01)
    assert park.field.shown("tank-1").quality == {"level": Quality.UNCERTAIN_SENSOR_NOT_ACCURATE}


def test_spike_is_over_by_itself(park: Park) -> None:
    real = park.value("tank-1", "pressure")
    park.start("spike", "tank-1", 100.0)
    park.run(1.0)
    assert park.value("tank-1", "pressure") == pytest.approx(real + 1.0, abs=0.1)
    park.run(2.0)
    assert park.value("tank-1", "pressure") == pytest.approx(real, abs=0.05)
    assert park.field.faults.active == []


def test_nan_is_no_value_in_registers_and_bad_over_opcua(park: Park) -> None:
    park.start("nan", "stack-1/so2")
    park.start("nan", "air-1/pm25")
    park.start("nan", "tank-1/pressure")
    park.run(1.0)
    assert math.isnan(park.value("stack-1", "so2"))
    model = park.field.devices["stack-1"].model
    so2 = model.point("so2").register
    assert so2 is not None
    words = park.field.words("stack-1")
    assert [words[so2.address], words[so2.address + 1]] == words_of(math.nan, so2.type)
    assert park.field.words("air-1")[0] == 0xFFFF
    assert park.field.shown("tank-1").quality == {"pressure": Quality.BAD_SENSOR_FAILURE}


def test_offline_answers_nothing(park: Park) -> None:
    park.start("offline", "chem-water", duration_s=5.0)
    park.run(1.0)
    assert not park.field.shown("chem-water").answers
    assert park.field.shown("chem-gas").answers
    park.run(5.0)
    assert park.field.shown("chem-water").answers


def test_wrong_word_order_swaps_the_words_of_values(park: Park) -> None:
    register = park.field.devices["chem-water"].model.point("pressure").register
    assert register is not None
    park.start("stuck", "chem-water")
    park.run(0.5)
    low, high = (park.field.words("chem-water")[at] for at in range(register.address, register.end))
    park.start("wrong-word-order", "chem-water")
    park.run(0.5)
    words = park.field.words("chem-water")
    assert low != high
    assert [words[at] for at in range(register.address, register.end)] == [high, low]


def test_faults_of_two_points_of_a_device_are_two_faults(park: Park) -> None:
    park.start("stuck", "tank-1/level")
    park.start("stuck", "tank-1/pressure")
    assert [fault.target for fault in park.field.faults.active] == ["tank-1/level", "tank-1/pressure"]
    assert [fault.target for fault in park.field.faults.clear("tank-1/level")] == ["tank-1/level"]
    assert [fault.target for fault in park.field.faults.clear("all")] == ["tank-1/pressure"]
    assert park.field.faults.clear("all") == []


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("over-presure", "tank-2", "did you mean over-pressure? known are drift, leak, nan, offline, over-pressure"),
        ("over-pressure", "tank-3", "known are boiler-drum-1, reactor-1, tank-1, tank-2"),
        ("over-pressure", "park-water", "known are boiler-drum-1, reactor-1, tank-1, tank-2"),
        ("over-pressure", "tank-2/pressure", "name the device only: tank-2"),
        ("leak", "tank-2", "known are pipeline-1, pipeline-2"),
        ("stuck", "tank-2/presure", "did you mean pressure? known are level, pressure, relief-valve, temperature"),
        ("wrong-word-order", "tank-2", "known are alloy-electricity"),
        ("offline", "tank", "did you mean tank-"),
    ],
)
def test_an_unknown_word_is_answered_by_the_known_ones(park: Park, kind: str, target: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        park.start(kind, target)
    assert expected in str(refused.value)
    assert park.field.faults.active == []


def test_options_that_mean_nothing_are_refused(park: Park) -> None:
    with pytest.raises(ConfigError, match="leave out --magnitude"):
        park.start("offline", "chem-water", 3.0)
    with pytest.raises(ConfigError, match="MPa/s"):
        park.start("over-pressure", "tank-1", math.nan)
    with pytest.raises(ConfigError, match="seconds above 0"):
        park.start("offline", "chem-water", None, -1.0)
    with pytest.raises(ConfigError, match="known are"):
        park.field.faults.clear("tank-9")


def test_every_kind_says_what_happens_in_both_languages_and_has_targets(park: Park) -> None:
    for kind in KINDS.values():
        assert kind.zh.endswith("。")
        assert kind.en.endswith(".")
        assert park.field.faults.targets(kind)
