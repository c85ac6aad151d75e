"""Alarm rules as people write them: what is watched, the limit, and what somebody has to do about it.

park.toml holds such rules, and a system brings its own. `rules.py` has what the kernel reads.
"""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from park_sdk.rules import Priority
from park_wire.quantities import Text
from park_wire.topics import ID_RULE

Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$", description=ID_RULE)]


class Strict(BaseModel):
    """A model that takes nothing that it does not name, and no limit that is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_Words = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]


class _BothLanguages(Strict):
    zh: _Words
    en: _Words


def _as_table(value: object) -> object:
    return {"zh": value.zh, "en": value.en} if isinstance(value, Text) else value


if TYPE_CHECKING:
    Words: TypeAlias = Text
else:
    # By way of a model, so that a fault names the language that it is in.
    Words = Annotated[
        _BothLanguages, BeforeValidator(_as_table), AfterValidator(lambda words: Text(words.zh, words.en))
    ]
"""A text for people, in both languages."""


class Selector(Strict):
    """Which points a rule watches: each given field must match."""

    quantity: str | None = None
    asset_kind: Id | None = None
    asset: Id | None = None
    point: str | None = None


class DesignLimit(Strict):
    """A limit as a multiple of the asset's design value of a quantity."""

    quantity: str
    times: Annotated[float, Field(gt=0)]


class AlarmRule(Strict):
    """An alarm rule; limit and deadband in the quantity's canonical unit."""

    id: Id
    name: Words
    kind: Literal["HH", "H", "L", "LL", "STALE", "BAD_QUALITY"]
    on: Selector
    limit: float | None = None
    design_limit: DesignLimit | None = None
    deadband: Annotated[float, Field(ge=0)] = 0.0
    on_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    off_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    latch: bool = False
    priority: Priority
    cause: Words
    consequence: Words
    action: Words
    respond_s: Annotated[int, Field(gt=0, le=2**31 - 1)]
    source: Annotated[str, Field(min_length=1)]
    enabled: bool = True
