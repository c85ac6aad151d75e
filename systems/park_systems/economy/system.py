"""The economy system as one value."""

from typing import Final

from park_sdk.system import CONTRACT, System
from park_systems.economy.derive import DERIVATIONS
from park_systems.economy.pages import ECONOMY
from park_systems.economy.registers import FILINGS
from park_systems.economy.reports import PER_MU
from park_systems.economy.rules import rules
from park_systems.economy.settings import Settings
from park_wire.quantities import Text

SYSTEM: Final = System(
    id="economy",
    contract=CONTRACT,
    name=Text("经济运行", "Economy"),
    settings=Settings,
    rules=rules,
    derivations=DERIVATIONS,
    registers=(FILINGS,),
    reports=(PER_MU,),
    pages=(ECONOMY,),
)
