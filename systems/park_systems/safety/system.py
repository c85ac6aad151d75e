"""The safety system as one value."""

from typing import Final

from park_sdk.system import CONTRACT, System
from park_systems.safety.derive import DERIVATIONS
from park_systems.safety.pages import SAFETY
from park_systems.safety.registers import SPECIAL_EQUIPMENT
from park_systems.safety.reports import INSPECTIONS
from park_systems.safety.rules import rules
from park_systems.safety.settings import Settings
from park_wire.quantities import Text

SYSTEM: Final = System(
    id="safety",
    contract=CONTRACT,
    name=Text("安全应急", "Safety and emergency"),
    settings=Settings,
    rules=rules,
    derivations=DERIVATIONS,
    registers=(SPECIAL_EQUIPMENT,),
    reports=(INSPECTIONS,),
    pages=(SAFETY,),
)
