"""The `park` command: it finds its parts by entry point, imports only what was asked for, and names a missing extra."""

import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from park_wire import command
from park_wire.command import GROUP, main


def run(*args: str, before: str = "", path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `park` in a process of its own; `before` is Python to run there first."""
    program = f"import sys\n{before}\nfrom park_wire.command import main\nsys.exit(main({list(args)!r}))"
    ours = str(Path(command.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([ours] if path is None else [str(path), ours])}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """An installed distribution that brings commands of its own, by the same door as ours."""
    (tmp_path / "stranger.py").write_text(
        "def hello(args, prog_name):\n    print(prog_name, args)\n    return 3\n"
        "def quiet(args, prog_name):\n    return None\n"
    )
    (tmp_path / "stranger_broken.py").write_text("import a_module_that_nobody_has\n")
    folder = tmp_path / "stranger-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        f"[{GROUP}]\nhello = stranger:hello\nquiet = stranger:quiet\nbroken = stranger_broken:main\n"
    )
    return tmp_path


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"], ["help"]])
def test_help_lists_every_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 0
    shown = capsys.readouterr().out.split()
    for entry in entry_points(group=GROUP):
        assert entry.name in shown
    assert {"gateway", "sim", "up", "ingest", "serve"} <= set(shown)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("parkhub")


def test_unknown_command_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upp"]) == 2
    assert "no command 'upp'. It has: " in capsys.readouterr().err


def test_help_imports_no_part() -> None:
    """A gateway box has no database stack: the command itself must not look for one."""
    done = run(
        "--help",
        before="import atexit\natexit.register(lambda: print('heavy:', sorted("
        "{'typer', 'numpy', 'fastapi', 'psycopg', 'pydantic', 'park_platform', 'park_gateway'} & set(sys.modules))))",
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_a_command_gets_its_arguments_and_gives_its_exit_code(plugin: Path) -> None:
    done = run("hello", "--to", "world", path=plugin)
    assert (done.returncode, done.stdout) == (3, "park hello ['--to', 'world']\n")
    assert run("quiet", path=plugin).returncode == 0


def test_a_missing_extra_is_named(plugin: Path) -> None:
    """A gateway package whose library is not there."""
    (plugin / "stranger-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\nedge = park_gateway.edge:app\n")
    (plugin / "park_gateway").mkdir()
    (plugin / "park_gateway" / "__init__.py").touch()
    (plugin / "park_gateway" / "edge.py").write_text("import a_module_that_nobody_has.client\n")
    done = run("edge", path=plugin)
    assert done.returncode == 2
    assert done.stderr.strip() == "park edge needs a_module_that_nobody_has: pip install 'parkhub[gateway]'"


def test_a_fault_of_our_own_is_no_missing_extra(plugin: Path) -> None:
    (plugin / "stranger-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\nedge = park_gateway.gone:app\n")
    done = run("edge", path=plugin)
    assert done.returncode == 1
    assert "No module named 'park_gateway" in done.stderr


def test_a_missing_module_that_is_no_extra_is_not_explained_away(plugin: Path) -> None:
    done = run("broken", path=plugin)
    assert done.returncode == 1
    assert "No module named 'a_module_that_nobody_has'" in done.stderr


def test_the_installed_script_is_this_command() -> None:
    (script,) = [entry for entry in entry_points(group="console_scripts") if entry.name == "park"]
    assert script.value == "park_wire.command:main"


def test_module_can_be_run() -> None:
    """The supervisor starts its children this way."""
    done = subprocess.run(
        [sys.executable, "-m", "park_wire.command", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == version("parkhub")
