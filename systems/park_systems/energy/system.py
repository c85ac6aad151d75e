"""The energy system as one value."""

from typing import Final

from park_sdk.system import CONTRACT, System
from park_systems.energy.derive import DERIVATIONS
from park_systems.energy.pages import ENERGY
from park_systems.energy.quality import QUALITY
from park_systems.energy.registers import FACTORS
from park_systems.energy.reports import MONTHLY
from park_systems.energy.rules import rules
from park_systems.energy.settings import Settings
from park_systems.energy.tariffs import TARIFFS
from park_wire.quantities import Text

SYSTEM: Final = System(
    id="energy",
    contract=CONTRACT,
    name=Text("能源消耗", "Energy"),
    settings=Settings,
    rules=rules,
    derivations=DERIVATIONS,
    registers=(FACTORS, TARIFFS),
    reports=(MONTHLY, QUALITY),
    pages=(ENERGY,),
)
