"""What a park sets for the environment system, `[system.environment]` in park.toml."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Unconfirmed: TypeAlias = Literal["stack-dilution", "stack-share", "outfall-share"]
"""Rules that no standard asks for in this form: early warnings. They are off until the park wants them."""


class Settings(BaseModel):
    """Reference values.

    reference_o2: % O2 to which a stack is converted whose row of the limits register gives none. highest_o2: %; from
    here on a conversion means nothing, because 21 - O2 nears zero. air_o2, least_flow_m3h: oxygen and flow above which
    a stack that is said to burn draws in air. ph_low, ph_high: the window where no limit is registered, GB 8978-1996,
    table 4: 6 to 9 at all levels. judge_unconfirmed: whether rows of the register count that nobody has confirmed.
    confirmed: early warnings that the park wants.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reference_o2: Annotated[float, Field(ge=0, le=20)] = 6.0
    highest_o2: Annotated[float, Field(gt=0, le=20.9)] = 20.9
    air_o2: Annotated[float, Field(gt=0, le=21)] = 19.0
    least_flow_m3h: Annotated[float, Field(ge=0, le=1e7)] = 1_000.0
    ph_low: Annotated[float, Field(ge=0, le=14)] = 6.0
    ph_high: Annotated[float, Field(ge=0, le=14)] = 9.0
    judge_unconfirmed: bool = False
    confirmed: frozenset[Unconfirmed] = frozenset()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ph_low >= self.ph_high:
            raise ValueError(f"ph_low {self.ph_low:g} must lie below ph_high {self.ph_high:g}")
        return self
