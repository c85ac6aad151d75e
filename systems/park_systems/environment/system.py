"""The environment system as one value."""

from typing import Final

from park_sdk.system import CONTRACT, System
from park_systems.environment.derive import DERIVATIONS
from park_systems.environment.pages import ENVIRONMENT
from park_systems.environment.registers import LIMITS
from park_systems.environment.reports import LIMITS_IN_FORCE
from park_systems.environment.rules import rules
from park_systems.environment.settings import Settings
from park_wire.quantities import Text

SYSTEM: Final = System(
    id="environment",
    contract=CONTRACT,
    name=Text("环境保护", "Environmental protection"),
    settings=Settings,
    rules=rules,
    derivations=DERIVATIONS,
    registers=(LIMITS,),
    reports=(LIMITS_IN_FORCE,),
    pages=(ENVIRONMENT,),
)
