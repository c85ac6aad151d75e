"""A system: rules, derivations, registers, reports and pages of one field of work, as one value.

A package offers it by an entry point: `[project.entry-points."parkhub.systems"]`, `energy =
"park_systems.energy.system:SYSTEM"`. Installed is not enabled: a park names its systems in park.toml.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from park_sdk.alarm_rule import AlarmRule
from park_sdk.derivation import Derivation
from park_sdk.page import Page
from park_sdk.register import Register
from park_sdk.report import ReportDef
from park_wire.quantities import Text

CONTRACT: Final = 1
"""The number of this contract. A system of another number is refused at start."""


@dataclass(frozen=True, slots=True)
class System:
    """What the platform knows of a system. It gets no connection, no clock and no logger.

    settings: a pydantic model whose fields all have defaults, filled from `[system.<id>]` in park.toml. rules: of its
    settings; a rule's key in the park is `{system}-{rule}`.
    """

    id: str
    contract: int
    name: Text
    settings: type[BaseModel]
    rules: Callable[[Any], Sequence[AlarmRule]]
    derivations: tuple[Derivation, ...] = ()
    registers: tuple[Register, ...] = ()
    reports: tuple[ReportDef, ...] = ()
    pages: tuple[Page, ...] = ()
