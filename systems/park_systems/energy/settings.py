"""What a park sets for the energy system, `[system.energy]` in park.toml."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Unconfirmed: TypeAlias = Literal["imbalance"]
"""Rules whose limits no standard that was read gives: they are off until the park says that the limits are its own."""


class Settings(BaseModel):
    """Limits.

    imbalance_limit: % of what a meter counted in an hour that may differ from the sum of its sub-meters. least_kwh,
    least_water_m3, least_gas_m3, least_steam_t: in an hour that counts less there is no imbalance, because a share of
    next to nothing means nothing. use_unconfirmed: whether rows of the factors register count that nobody has
    confirmed; without them a figure that needs one has no value. confirmed: rules whose limits the park has confirmed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    imbalance_limit: Annotated[float, Field(gt=0, le=100)] = 5.0
    least_kwh: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    least_water_m3: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    least_gas_m3: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    least_steam_t: Annotated[float, Field(gt=0, le=1e6)] = 0.5
    use_unconfirmed: bool = True
    confirmed: frozenset[Unconfirmed] = frozenset()
