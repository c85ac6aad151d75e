"""The energy system's derivations."""

from typing import Final

from park_sdk.derivation import Derivation
from park_systems.energy.balance import BALANCES
from park_systems.energy.carriers import SITE_HOURS
from park_systems.energy.demand import DEMAND

DERIVATIONS: Final[tuple[Derivation, ...]] = (SITE_HOURS, *BALANCES, DEMAND)
