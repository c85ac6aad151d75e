"""What a park sets for the safety system, `[system.safety]` in park.toml."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Unconfirmed: TypeAlias = Literal["pressure-ratio-h", "pressure-ratio-hh", "time-to-limit"]
"""Rules whose limits no standard gives: they are off until the park says that the limits are its own."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FirstLevels(_Strict):
    """First alarm levels of gases; the second level is twice the first.

    GB/T 50493-2019 (石油化工可燃气体和有毒气体检测报警设计标准): combustible gas at most 25 %LEL, toxic gas at most
    the occupational exposure limit (OEL), second level at most 50 %LEL and twice the OEL. The defaults are the levels
    that it gives; a park may set lower ones.
    """

    gas_lel: Annotated[float, Field(gt=0, le=25)] = 25.0
    """%LEL."""
    gas_h2s: Annotated[float, Field(gt=0, le=10)] = 10.0
    """mg/m3, as are all that follow."""
    gas_co: Annotated[float, Field(gt=0, le=20)] = 20.0
    gas_nh3: Annotated[float, Field(gt=0, le=20)] = 20.0
    gas_cl2: Annotated[float, Field(gt=0, le=1)] = 1.0
    gas_so2: Annotated[float, Field(gt=0, le=5)] = 5.0

    def by_quantity(self) -> dict[str, float]:
        """The level by quantity id, in the quantity's canonical unit."""
        return {name.replace("_", "-"): getattr(self, name) for name in FirstLevels.model_fields}


class Settings(_Strict):
    """Limits and windows.

    ratio_high, ratio_high_high: P / P_design of the two alarms. limit_ratio: time to limit counts down to this
    multiple of the design pressure. slope_window_s: how much of the past the slope is taken from, 5 to 15 min.
    time_to_limit_min: minutes below which it alarms. watch_gas: whether gas levels are alarmed by this system; a park
    that keeps them in its own rules says no. confirmed: rules, off by default, whose limits the park has confirmed.
    """

    ratio_high: Annotated[float, Field(gt=0, le=1)] = 0.9
    ratio_high_high: Annotated[float, Field(gt=0, le=1)] = 0.95
    limit_ratio: Annotated[float, Field(gt=0, le=1)] = 1.0
    slope_window_s: Annotated[float, Field(ge=300, le=900)] = 300.0
    time_to_limit_min: Annotated[float, Field(gt=0, le=120)] = 10.0
    first_level: FirstLevels = FirstLevels()
    watch_gas: bool = True
    confirmed: frozenset[Unconfirmed] = frozenset()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ratio_high >= self.ratio_high_high:
            problem = f"ratio_high {self.ratio_high:g} must lie below ratio_high_high {self.ratio_high_high:g}"
            raise ValueError(problem)
        return self
