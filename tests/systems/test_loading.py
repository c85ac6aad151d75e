"""What `find_systems` and `enable` refuse: every fault at once, each as a sentence that names the package."""

import sys
import textwrap
from collections.abc import Callable
from importlib import invalidate_caches
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from park_platform.systems import GROUP, enable, find_systems
from park_sdk.system import System

SOUND = """
    from pydantic import BaseModel
    from park_sdk.derivation import Input, StreamDerivation
    from park_sdk.register import Label, Register
    from park_sdk.report import ReportDef
    from park_sdk.system import System
    from park_wire.quantities import Text

    class Settings(BaseModel):
        model_config = {"extra": "forbid"}
        factor: float = 1.0

    def margin(quantity="temperature-margin", registers=()):
        return StreamDerivation(
            id="margin", kinds=("reactor",), inputs=(Input("t", "temperature"),), outputs=(quantity,),
            compute=lambda window, params, state: ({quantity: window.values["t"]}, state), registers=registers,
        )

    def system(id, contract=1, **parts):
        return System(id, contract, Text("甲", "A"), Settings, lambda settings: (), **parts)
"""
Install = Callable[..., EntryPoint]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package on the path: `install("a", "SYSTEM = system('a')")` gives its entry point."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(name: str, code: str, module: str = "") -> EntryPoint:
        module = module or f"loading_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(SOUND) + code + "\n", "utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)
        invalidate_caches()
        return EntryPoint(name, f"{module}:SYSTEM", GROUP)

    return write


def faults_of(*points: EntryPoint) -> list[str]:
    """What is said about these packages."""
    return [str(fault) for fault in find_systems(points).faults]


def usable(*points: EntryPoint) -> dict[str, System]:
    """The systems of packages that are all sound."""
    installed = find_systems(points)
    assert not installed.faults
    return installed.systems


def test_sound_systems_load(install: Install) -> None:
    found = usable(install("b", "SYSTEM = system('b')"), install("a", "SYSTEM = system('a', derivations=(margin(),))"))
    assert list(found) == ["a", "b"]


def test_without_any_there_are_none() -> None:
    assert usable() == {}


def test_every_fault_of_every_package_is_said_at_once_and_the_sound_one_runs_on(install: Install) -> None:
    installed = find_systems((
        install("raises", "raise RuntimeError('no licence file')"),
        install("leaves", "raise SystemExit(3)"),
        install("old", "SYSTEM = system('old', contract=0)"),
        install("value", "SYSTEM = 7"),
        install("absent", "VALUE = system('absent')"),
        install("named", "SYSTEM = system('otherwise')"),
        install("unknown", "SYSTEM = system('unknown', derivations=(margin('warmth'),))"),
        EntryPoint("gone", "loading_that_is_not_there:SYSTEM", GROUP),
        install("sound", "SYSTEM = system('sound')"),
    ))  # fmt: skip
    told = {fault.file.split(": ")[1].split(" = ")[0]: str(fault) for fault in installed.faults}
    assert list(installed.systems) == ["sound"]
    assert installed.refused == set(told) == {
        "raises", "leaves", "old", "value", "absent", "named", "unknown", "gone"
    }  # fmt: skip
    assert "can't be loaded: RuntimeError: no licence file" in told["raises"]
    assert "can't be loaded: SystemExit: 3" in told["leaves"]
    assert "contract 0; this release has contract 1: update the system" in told["old"]
    assert "gives a int; it must give a park_sdk.system.System" in told["value"]
    assert "AttributeError" in told["absent"]
    assert "it calls itself 'otherwise'" in told["named"]
    assert "names quantity 'warmth', which the catalogue does not have" in told["unknown"]
    assert "ModuleNotFoundError" in told["gone"]
    assert all("loading_" in fault and fault.endswith("update or remove this package") for fault in told.values())


def test_of_two_packages_of_one_id_the_first_runs(install: Install) -> None:
    installed = find_systems((
        install("a", "SYSTEM = system('a', contract=1)", module="loading_first"),
        install("a", "SYSTEM = system('a')", module="loading_second"),
    ))  # fmt: skip
    (fault,) = map(str, installed.faults)
    assert "loading_second" in fault.split(" is called ")[0]
    assert "loading_first:SYSTEM is called 'a' too" in fault
    assert list(installed.systems) == ["a"]
    assert not installed.refused


def test_two_that_claim_the_same_points_and_one_that_asks_an_unknown_register(install: Install) -> None:
    systems = usable(
        install("a", "SYSTEM = system('a', derivations=(margin(),))"),
        install("b", "SYSTEM = system('b', derivations=(margin(),))"),
        install("c", "SYSTEM = system('c', derivations=(margin('anomaly-score', ('a.vessels',)),))"),
    )
    enabled, faults = enable(systems, {"c": {}, "b": {}, "a": {}}, "park.toml")
    claim, register = map(str, faults)
    assert claim == (
        "park.toml: system.b: gives 'temperature-margin' to assets of kind 'reactor', and so does system 'a'; "
        "enable only one of the two"
    )
    assert "system.c: needs the register 'a.vessels', which no enabled system has" in register
    assert list(enabled) == ["a"]
    # What is only installed is in nobody's way.
    assert list(enable(systems, {"b": {}}, "park.toml")[0]) == ["b"]


def test_a_system_that_makes_no_rules_of_its_settings_is_left_out(install: Install) -> None:
    torn = (
        "def rules(settings):\n    if settings.factor > 1:\n        raise ZeroDivisionError('factor')\n    return ()\n"
        "SYSTEM = System('b', 1, Text('甲', 'A'), Settings, rules)"
    )
    systems = usable(install("a", "SYSTEM = system('a')"), install("b", torn))
    enabled, (fault,) = enable(systems, {"a": {}, "b": {"factor": 2.0}}, "park.toml")
    assert list(enabled) == ["a"]
    assert "system.b: makes no rules of these settings: ZeroDivisionError: factor" in str(fault)


def test_a_park_enables_what_is_installed(install: Install) -> None:
    systems = usable(install("a", "SYSTEM = system('a')"), install("b", "SYSTEM = system('b')"))
    enabled, faults = enable(systems, {"a": {"factor": 2.0}}, "park.toml")
    assert not faults
    assert {id_: each.settings.model_dump() for id_, each in enabled.items()} == {"a": {"factor": 2.0}}


def test_every_wrong_wish_of_a_park_is_said_at_once(install: Install) -> None:
    vessels = (
        "class Vessel(BaseModel):\n    name: __import__('typing').Annotated[str, Label('名', 'Name')]\n"
        "SYSTEM = system('b', registers=(Register('vessels', Text('容器', 'Vessels'), Vessel, ('name',)),))"
    )
    systems = usable(
        install("a", "SYSTEM = system('a', derivations=(margin(registers=('b.vessels',)),))"),
        install("b", vessels),
        install("c", "SYSTEM = system('c')"),
    )
    _, faults = enable(systems, {"a": {}, "c": {"factor": "two", "colour": "red"}, "weather": {}}, "park.toml")
    told = {fault.key: str(fault) for fault in faults}
    assert set(told) == {"system.a", "system.c.factor", "system.c.colour", "system.weather"}
    assert "needs the register 'b.vessels', which no enabled system has; enable it with [system.b]" in told["system.a"]
    assert "is not installed, or its package was refused; usable: a, b, c" in told["system.weather"]
    assert not enable(systems, {"a": {}, "b": {}}, "park.toml")[1]
