"""What a park promises its enterprises, `[system.services]` in park.toml."""

from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from park_sdk.alarm_rule import Strict

Kind = Literal["utilities", "repair", "approval", "policy", "complaint", "other"]
Hours = Annotated[float, Field(gt=0, le=2_000)]
DEFAULT_TERMS_H: Final[dict[Kind, float]] = {
    "utilities": 4.0,
    "repair": 24.0,
    "approval": 72.0,
    "policy": 72.0,
    "complaint": 24.0,
    "other": 72.0,
}
"""Hours within which a request is answered. No law sets them: they are a start, and each park confirms its own."""


class WorkingHours(Strict):
    """When the clock runs: from begin to end (h, local time) of each working day (0: Monday), not on holidays."""

    begin: Annotated[float, Field(ge=0, lt=24)] = 9.0
    end: Annotated[float, Field(gt=0, le=24)] = 17.0
    weekdays: Annotated[tuple[Annotated[int, Field(ge=0, le=6)], ...], Field(min_length=1)] = (0, 1, 2, 3, 4)
    holidays: tuple[date, ...] = ()
    also: tuple[date, ...] = ()
    """Weekend days that are worked for a holiday (调休)."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "WorkingHours":
        if self.end <= self.begin:
            raise ValueError(f"working hours end at {self.end:g} h and begin at {self.begin:g} h; let them end later")
        return self


class Settings(Strict):
    """The service promise.

    terms: hours by kind of request, where they differ from DEFAULT_TERMS_H. working: when they are counted; without
    it every hour counts. warn: how many hours before its end a term is pointed out.
    """

    terms: dict[Kind, Hours] = Field(default_factory=dict[Kind, Hours])
    working: WorkingHours | None = None
    warn: Annotated[float, Field(ge=0, le=2_000)] = 1.0

    def term(self, kind: Kind) -> float:
        """Hours within which a request of this kind is to be answered."""
        return self.terms.get(kind, DEFAULT_TERMS_H[kind])
