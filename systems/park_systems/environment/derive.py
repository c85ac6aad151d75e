"""The environment system's derivations."""

from typing import Final

from park_sdk.derivation import Derivation
from park_systems.environment.air import AIR_HOURS
from park_systems.environment.outfall import ACIDITY, OUTFALL, OUTFALL_HOURS
from park_systems.environment.stack import STACK, STACK_HOURS

DERIVATIONS: Final[tuple[Derivation, ...]] = (STACK, STACK_HOURS, OUTFALL, ACIDITY, OUTFALL_HOURS, AIR_HOURS)
