"""The safety system's derivations."""

from typing import Final

from park_sdk.derivation import Derivation
from park_systems.safety.gas import GAS
from park_systems.safety.pipelines import BALANCE, HOUR_BALANCE
from park_systems.safety.vessels import RATIO, RISE

DERIVATIONS: Final[tuple[Derivation, ...]] = (RATIO, RISE, BALANCE, HOUR_BALANCE, GAS)
