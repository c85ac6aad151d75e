"""What a park sets for the economy system, `[system.economy]` in park.toml."""

from typing import Annotated

from pydantic import Field

from park_sdk.alarm_rule import Strict
from park_sdk.days import MONTH_PATTERN


class Settings(Strict):
    """How activity is judged, and from when on filings are owed.

    hours: the last hours that the activity index compares with the same hours of the days before. least_days: how many
    of those days have to be covered. least_covered: the share of the hours that good readings cover, of every meter.
    low: index below which an enterprise is pointed out. watch_low: whether it is; a park says so once it knows what is
    usual. since: the first month ("2026-01") that everybody has to file; without it an enterprise owes filings from
    its first one on. least_months: accepted months that a figure of a year needs.
    """

    hours: Annotated[int, Field(ge=1, le=24)] = 1
    least_days: Annotated[int, Field(ge=1, le=7)] = 1
    least_covered: Annotated[float, Field(gt=0, le=1)] = 0.9
    low: Annotated[float, Field(gt=0, lt=1_000)] = 60.0
    watch_low: bool = False
    since: Annotated[str | None, Field(pattern=MONTH_PATTERN)] = None
    least_months: Annotated[int, Field(ge=1, le=12)] = 3
