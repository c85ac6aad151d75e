"""The services system as one value."""

from typing import Final

from park_sdk.system import CONTRACT, System
from park_systems.services.derive import REQUESTS as COUNTING
from park_systems.services.pages import SERVICES
from park_systems.services.registers import REQUESTS
from park_systems.services.reports import MONTH
from park_systems.services.rules import rules
from park_systems.services.settings import Settings
from park_wire.quantities import Text

SYSTEM: Final = System(
    id="services",
    contract=CONTRACT,
    name=Text("综合服务", "Services"),
    settings=Settings,
    rules=rules,
    derivations=(COUNTING,),
    registers=(REQUESTS,),
    reports=(MONTH,),
    pages=(SERVICES,),
)
