"""The economy system's derivations."""

from typing import Final

from park_sdk.derivation import Derivation
from park_systems.economy.activity import ACTIVITY
from park_systems.economy.filings import FILED

DERIVATIONS: Final[tuple[Derivation, ...]] = (ACTIVITY, FILED)
