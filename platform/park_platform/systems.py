"""The systems that are installed, found by their entry points, and those that a park has enabled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import structlog
from pydantic import BaseModel, ValidationError

from park_sdk.alarm_rule import AlarmRule
from park_sdk.contract import claims, contract_faults, needed_registers
from park_sdk.system import System
from park_wire.errors import Fault

GROUP: Final = "parkhub.systems"
_OWN: Final = "park_systems."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Enabled:
    """A system that the park uses, with its settings and the rules that it makes of them."""

    system: System
    settings: BaseModel
    rules: tuple[AlarmRule, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """Every installed system that can be used, by id, the platform's own first.

    refused: the names of the entry points that can't. faults: all that is wrong with these.
    """

    systems: dict[str, System]
    refused: frozenset[str]
    faults: tuple[Fault, ...]


def load_systems() -> dict[str, System]:
    """The installed systems that can be used, by id. What is refused the log says, and the others run on."""
    installed = find_systems()
    for fault in installed.faults:
        log.error("system_refused", package=fault.file, problem=fault.problem, remedy=fault.remedy)
    return installed.systems


def find_systems(points: Iterable[EntryPoint] | None = None) -> Installed:
    """Load what the entry points name (None: those of every installed package); see that it keeps to the contract."""
    points = entry_points(group=GROUP) if points is None else points
    found: dict[str, System] = {}
    origin: dict[str, str] = {}
    refused: set[str] = set()
    faults: list[Fault] = []
    for point in sorted(points, key=lambda point: (not point.value.startswith(_OWN), point.name, point.value)):
        file = f"{GROUP}: {point.name} = {point.value}"
        try:
            system = point.load()
            wrong = contract_faults(system)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's package: whatever it does, the others run on
            wrong, system = [f"it can't be loaded: {type(error).__name__}: {error}"], None
        if isinstance(system, System):
            if system.id != point.name:
                wrong.append(f"it calls itself {system.id!r}")
            if system.id in found:
                wrong.append(f"{origin[system.id]} is called {system.id!r} too")
            if not wrong:
                found[system.id], origin[system.id] = system, file
        if wrong:
            refused.add(point.name)
        faults += [Fault(file, "system", problem, "update or remove this package") for problem in wrong]
    return Installed(found, frozenset(refused - found.keys()), tuple(faults))


def enable(
    systems: Mapping[str, System], wanted: Mapping[str, Mapping[str, Any]], file: str
) -> tuple[dict[str, Enabled], list[Fault]]:
    """The systems that a park wants and can have, by id, and what is wrong with its wishes.

    One that has a fault is left out, and so is one that needs a register of it; the others run on. Of two that give the
    same points, the first of `systems` keeps them.

    Args:
        systems: What can be used, as `load_systems` gives it.
        wanted: The settings of each system, as park.toml or the database holds them.
        file: Where they stand, for the faults.
    """
    enabled: dict[str, Enabled] = {}
    faults = [
        Fault(file, f"system.{id_}", "is not installed, or its package was refused", f"usable: {_names(systems)}")
        for id_ in wanted
        if id_ not in systems
    ]
    owner: dict[tuple[str, str], str] = {}
    for id_, system in systems.items():
        if id_ not in wanted:
            continue
        wrong = _clashes(system, owner, file)
        try:
            settings = system.settings.model_validate(wanted[id_])
        except ValidationError as error:
            for item in error.errors():
                where = ".".join(str(key) for key in ("system", id_, *item["loc"]))
                wrong.append(Fault(file, where, item["msg"], "correct this setting"))
        else:
            try:
                each = Enabled(system, settings, tuple(system.rules(settings)))
            except Exception as error:  # noqa: BLE001 - a system's own code: the others run on
                problem = f"makes no rules of these settings: {type(error).__name__}: {error}"
                wrong.append(Fault(file, f"system.{id_}", problem, "correct its settings, or update its package"))
            else:
                if not wrong:
                    enabled[id_] = each
                    owner |= dict.fromkeys(claims(system), id_)
        faults += wrong
    return enabled, faults + _leave_out_needy(enabled, file)


def _names(systems: Mapping[str, System]) -> str:
    return ", ".join(systems) or "none"


def _clashes(system: System, owner: Mapping[tuple[str, str], str], file: str) -> list[Fault]:
    return [
        Fault(
            file,
            f"system.{system.id}",
            f"gives {quantity!r} to assets of kind {kind!r}, and so does system {owner[kind, quantity]!r}",
            "enable only one of the two",
        )
        for kind, quantity in claims(system)
        if (kind, quantity) in owner
    ]


def _leave_out_needy(enabled: dict[str, Enabled], file: str) -> list[Fault]:
    """Take out, one after the other, what needs a register that nobody has; returns why."""
    faults: list[Fault] = []
    while True:
        on = {f"{id_}.{register.id}" for id_, each in enabled.items() for register in each.system.registers}
        lacking = {id_: sorted(needed_registers(each.system) - on) for id_, each in enabled.items()}
        out = [id_ for id_, names in lacking.items() if names]
        if not out:
            return faults
        for id_ in out:
            del enabled[id_]
            for name in lacking[id_]:
                problem = f"needs the register {name!r}, which no enabled system has"
                faults.append(Fault(file, f"system.{id_}", problem, f"enable it with [system.{name.split('.')[0]}]"))
