"""The logistics system as one value."""

from typing import Final

from park_sdk.system import CONTRACT, System
from park_systems.logistics.derive import PRESENCE, TICKETS, TRUCKS
from park_systems.logistics.pages import TRAFFIC
from park_systems.logistics.registers import VEHICLES
from park_systems.logistics.reports import LICENCES
from park_systems.logistics.rules import rules
from park_systems.logistics.settings import Settings
from park_wire.quantities import Text

SYSTEM: Final = System(
    id="logistics",
    contract=CONTRACT,
    name=Text("交通物流", "Traffic and logistics"),
    settings=Settings,
    rules=rules,
    derivations=(TRUCKS, TICKETS, PRESENCE),
    registers=(VEHICLES,),
    reports=(LICENCES,),
    pages=(TRAFFIC,),
)
