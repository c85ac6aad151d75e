"""The systems that are installed, found by their entry points, and those that a park has enabled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from park_sdk.contract import claims, contract_faults, needed_registers
from park_sdk.system import System
from park_wire.errors import ConfigError, Fault

GROUP: Final = "parkhub.systems"


@dataclass(frozen=True, slots=True)
class Enabled:
    """A system that the park uses, with its settings."""

    system: System
    settings: BaseModel


def load_systems(points: Iterable[EntryPoint] | None = None) -> dict[str, System]:
    """Every installed system by id. Raises ConfigError with every fault of every one."""
    found: dict[str, System] = {}
    origin: dict[str, str] = {}
    faults: list[Fault] = []
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.name):
        file = f"{GROUP}: {point.name} = {point.value}"
        try:
            system = point.load()
            wrong = contract_faults(system)
        except Exception as error:  # noqa: BLE001 - somebody else's package: whatever it does, the others are named too
            wrong, system = [f"it can't be loaded: {type(error).__name__}: {error}"], None
        if isinstance(system, System):
            if system.id != point.name:
                wrong.append(f"it calls itself {system.id!r}")
            if system.id in found:
                wrong.append(f"{origin[system.id]} is called {system.id!r} too")
            found[system.id], origin[system.id] = system, file
        faults += [Fault(file, "system", problem, "update or remove this package") for problem in wrong]
    if not faults:
        faults += _clashes(found, origin)
    if faults:
        raise ConfigError(faults)
    return found


def _clashes(systems: Mapping[str, System], origin: Mapping[str, str]) -> list[Fault]:
    faults: list[Fault] = []
    owner: dict[tuple[str, str], str] = {}
    registers = {f"{system.id}.{register.id}" for system in systems.values() for register in system.registers}
    for id_, system in systems.items():
        for kind, quantity in claims(system):
            other = owner.setdefault((kind, quantity), id_)
            if other != id_:
                problem = f"it gives {quantity!r} to assets of kind {kind!r}, and so does system {other!r}"
                faults.append(Fault(origin[id_], "derivation", problem, "remove one of the two packages"))
        for name in sorted(needed_registers(system) - registers):
            problem = f"it needs the register {name!r}, which no installed system has"
            faults.append(Fault(origin[id_], "register", problem, "install the system that keeps it"))
    return faults


def enable(
    systems: Mapping[str, System], wanted: Mapping[str, Mapping[str, Any]], file: str
) -> tuple[dict[str, Enabled], list[Fault]]:
    """The systems that a park wants, by id, and what is wrong with its wishes.

    Args:
        systems: What `load_systems` gave.
        wanted: The settings of each system, as park.toml or the database holds them.
        file: Where they stand, for the faults.
    """
    enabled: dict[str, Enabled] = {}
    faults: list[Fault] = []
    for id_, settings in wanted.items():
        system = systems.get(id_)
        if system is None:
            known = ", ".join(systems) or "none is"
            faults.append(Fault(file, f"system.{id_}", "is not installed", f"installed: {known}"))
            continue
        try:
            enabled[id_] = Enabled(system, system.settings.model_validate(settings))
        except ValidationError as error:
            for item in error.errors():
                where = ".".join(str(key) for key in ("system", id_, *item["loc"]))
                faults.append(Fault(file, where, item["msg"], "correct this setting"))
    on = {f"{id_}.{register.id}" for id_, each in enabled.items() for register in each.system.registers}
    for id_, each in enabled.items():
        for name in sorted(needed_registers(each.system) - on):
            problem = f"needs the register {name!r} of a system that is not enabled"
            faults.append(Fault(file, f"system.{id_}", problem, f"add [system.{name.split('.')[0]}]"))
    return enabled, faults
