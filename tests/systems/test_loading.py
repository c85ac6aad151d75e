"""What `load_systems` and `enable` refuse: every fault at once, each as a sentence that names the package."""

import sys
import textwrap
from collections.abc import Callable
from importlib import invalidate_caches
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from park_platform.systems import GROUP, enable, load_systems
from park_wire.errors import ConfigError

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
    with pytest.raises(ConfigError) as caught:
        load_systems(points)
    return [str(fault) for fault in caught.value.faults]


def test_sound_systems_load(install: Install) -> None:
    found = load_systems(
        [install("b", "SYSTEM = system('b')"), install("a", "SYSTEM = system('a', derivations=(margin(),))")]
    )
    assert list(found) == ["a", "b"]


def test_without_any_there_are_none() -> None:
    assert load_systems([]) == {}


def test_every_fault_of_every_package_is_said_at_once(install: Install) -> None:
    faults = faults_of(
        install("raises", "raise RuntimeError('no licence file')"),
        install("old", "SYSTEM = system('old', contract=0)"),
        install("value", "SYSTEM = 7"),
        install("absent", "VALUE = system('absent')"),
        install("named", "SYSTEM = system('otherwise')"),
        install("unknown", "SYSTEM = system('unknown', derivations=(margin('warmth'),))"),
        EntryPoint("gone", "loading_that_is_not_there:SYSTEM", GROUP),
        install("sound", "SYSTEM = system('sound')"),
    )
    told = {fault.split(": ", 2)[1].split(" = ")[0]: fault for fault in faults}
    assert set(told) == {"raises", "old", "value", "absent", "named", "unknown", "gone"}
    assert "can't be loaded: RuntimeError: no licence file" in told["raises"]
    assert "contract 0; this release has contract 1: update the system" in told["old"]
    assert "gives a int; it must give a park_sdk.system.System" in told["value"]
    assert "AttributeError" in told["absent"]
    assert "it calls itself 'otherwise'" in told["named"]
    assert "names quantity 'warmth', which the catalogue does not have" in told["unknown"]
    assert "ModuleNotFoundError" in told["gone"]
    assert all("loading_" in fault and fault.endswith("update or remove this package") for fault in faults)


def test_two_packages_of_one_id(install: Install) -> None:
    (fault,) = faults_of(
        install("a", "SYSTEM = system('a')", module="loading_first"),
        install("a", "SYSTEM = system('a')", module="loading_second"),
    )
    assert "loading_second" in fault.split(" is called ")[0]
    assert "loading_first:SYSTEM is called 'a' too" in fault


def test_two_that_claim_the_same_points_and_one_that_asks_an_unknown_register(install: Install) -> None:
    faults = faults_of(
        install("a", "SYSTEM = system('a', derivations=(margin(),))"),
        install("b", "SYSTEM = system('b', derivations=(margin(),))"),
        install("c", "SYSTEM = system('c', derivations=(margin('anomaly-score', ('a.vessels',)),))"),
    )
    claim, register = faults
    assert "b = loading_b:SYSTEM" in claim
    assert "it gives 'temperature-margin' to assets of kind 'reactor', and so does system 'a'" in claim
    assert "c = loading_c:SYSTEM" in register
    assert "it needs the register 'a.vessels', which no installed system has" in register


def test_a_park_enables_what_is_installed(install: Install) -> None:
    systems = load_systems([install("a", "SYSTEM = system('a')"), install("b", "SYSTEM = system('b')")])
    enabled, faults = enable(systems, {"a": {"factor": 2.0}}, "park.toml")
    assert not faults
    assert {id_: each.settings.model_dump() for id_, each in enabled.items()} == {"a": {"factor": 2.0}}


def test_every_wrong_wish_of_a_park_is_said_at_once(install: Install) -> None:
    vessels = (
        "class Vessel(BaseModel):\n    name: __import__('typing').Annotated[str, Label('名', 'Name')]\n"
        "SYSTEM = system('b', registers=(Register('vessels', Text('容器', 'Vessels'), Vessel, ('name',)),))"
    )
    systems = load_systems([
        install("a", "SYSTEM = system('a', derivations=(margin(registers=('b.vessels',)),))"),
        install("b", vessels),
        install("c", "SYSTEM = system('c')"),
    ])  # fmt: skip
    _, faults = enable(systems, {"a": {}, "c": {"factor": "two", "colour": "red"}, "weather": {}}, "park.toml")
    told = {fault.key: str(fault) for fault in faults}
    assert set(told) == {"system.a", "system.c.factor", "system.c.colour", "system.weather"}
    assert "needs the register 'b.vessels' of a system that is not enabled; add [system.b]" in told["system.a"]
    assert "is not installed; installed: a, b, c" in told["system.weather"]
    assert not enable(systems, {"a": {}, "b": {}}, "park.toml")[1]
