"""`park bench` says what `all` runs and what it does not, and shows whatever a benchmark gives."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from park_platform.cli import bench
from support.source_scan import ROOT

BENCHMARKS = {path.stem for path in (ROOT / "tests" / "bench").glob("*.py")}
ODD = """
def run():
    return {"rate": 12.3456, "rows": 1234567, "faults": [], "parts": {"small": {"quiet": 0.5}}, "engine": "plain"}
"""


def test_every_benchmark_is_in_all_or_runs_alone() -> None:
    assert {*bench.ALL, *bench.ALONE} == BENCHMARKS
    assert "kernel" in bench.ALL


def test_the_help_names_every_benchmark() -> None:
    shown = CliRunner().invoke(bench.app, ["--help"], env={"COLUMNS": "300"}).output
    assert not [name for name in BENCHMARKS if name not in shown]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout whose `all` is one benchmark with figures of every shape."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "odd_figures.py").write_text(ODD)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(bench, "_folder", lambda: tmp_path / "bench")
    monkeypatch.setattr(bench, "ALL", ("odd_figures",))


@pytest.mark.usefixtures("odd")
def test_all_ends_with_how_to_run_the_rest() -> None:
    done = CliRunner().invoke(bench.app, ["all"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert rows == [
        ["odd_figures", "rate", "12.3"],
        ["odd_figures", "rows", "1,234,567"],
        ["odd_figures", "faults", "none", "无"],
        ["odd_figures", "parts", "small", "quiet", "0.5"],
        ["odd_figures", "engine", "plain"],
    ]
    assert "first_run, kills" in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("odd")
def test_json_stays_the_last_and_only_thing_on_standard_output() -> None:
    done = CliRunner().invoke(bench.app, ["all", "--json"])
    assert json.loads(done.stdout)["odd_figures"]["rows"] == 1_234_567
