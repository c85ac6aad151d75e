"""Figures of a year from accepted filings, and months that are owed. Pure.

亩均产值 is output value over land, 亩均税收 tax over land, by the year. They are ratios of what is filed; which land
and which tax count is for each park's own evaluation to say, and no standard is claimed here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_sdk.derivation import Derived, Grid, Params, ParkDerivation
from park_sdk.register import Row
from park_systems.economy.months import last_due, last_ended, month_number
from park_systems.economy.plausible import plausible
from park_systems.economy.registers import ACCEPTED, REGISTER, WITH_THE_ENTERPRISE, Filing
from park_systems.economy.settings import Settings

YEAR: Final = 12
_FIELDS: Final = {"output-per-mu": "output_value", "tax-per-mu": "tax"}


@dataclass(frozen=True, slots=True)
class Book:
    """The filings of one enterprise by the number of their month. filed: months that lie with the park or count."""

    accepted: dict[int, Filing]
    filed: frozenset[int]
    first: int | None


def book_of(rows: Iterable[Row], enterprise: str | None) -> Book:
    """What an enterprise has filed. A row without a state is a draft."""
    own = {
        month_number(row.record.month): (row.record, row.state or "draft")
        for row in rows
        if enterprise is not None and row.record.enterprise == enterprise
    }
    return Book(
        accepted={month: filing for month, (filing, state) in own.items() if state == ACCEPTED},
        filed=frozenset(month for month, (_, state) in own.items() if state not in WITH_THE_ENTERPRISE),
        first=min(own, default=None),
    )


def latest_accepted(book: Book, until: int) -> int | None:
    """The last accepted month up to `until`, if it lies within the year that ends there: older says nothing of now."""
    return max((month for month in book.accepted if until - YEAR < month <= until), default=None)


def year_before(book: Book, last: int) -> list[Filing]:
    """The accepted filings among the twelve months that end with `last`."""
    return [book.accepted[month] for month in range(last - YEAR + 1, last + 1) if month in book.accepted]


def annualised(filings: Sequence[Filing], field: str) -> float:
    """The sum of twelve months; of fewer, n, what twelve like them would give: sum * 12 / n. NaN of none."""
    if not filings:
        return np.nan
    return sum(float(getattr(filing, field)) for filing in filings) * YEAR / len(filings)


def growth_of(book: Book, month: int) -> float:
    """Output value of a month over that of the same month a year before, %, at current prices.

    NaN when that month was not accepted, or had no output.
    """
    before = book.accepted.get(month - YEAR)
    if before is None or before.output_value == 0:
        return np.nan
    return 100.0 * (book.accepted[month].output_value / before.output_value - 1.0)


def land_of(book: Book, until: int, otherwise: float = np.nan) -> float:
    """The land in use (mu): what the last accepted filing up to a month says that names it."""
    named = [month for month, filing in book.accepted.items() if month <= until and filing.land_area is not None]
    area = book.accepted[max(named)].land_area if named else None
    return otherwise if area is None else area


def overdue_months(book: Book, since: int | None, due: int) -> int:
    """How many months from `since` (else the enterprise's first) to `due` are not filed, or returned."""
    begin = book.first if since is None else since
    return 0 if begin is None else sum(month not in book.filed for month in range(begin, due + 1))


def figures(book: Book, land: float, ended: int, settings: Settings) -> dict[str, float]:
    """What the accepted filings say when `ended` is the last month that is over; land (mu) where no filing names it."""
    last = latest_accepted(book, ended)
    months = [] if last is None else year_before(book, last)
    area = land_of(book, ended, land)
    usable = len(months) >= settings.least_months and area > 0
    found = {name: annualised(months, field) / area if usable else np.nan for name, field in _FIELDS.items()}
    found["filing-months"] = float(len(months))
    found["growth"] = np.nan if last is None else growth_of(book, last)
    return found


def filed_figures(grid: Grid, params: Params) -> Derived:
    """Per mu, growth and what is owed, of each works at each step's end.

    An enterprise with several works has one figure, over all its land. `filing-months` says what per mu rests on:
    twelve are a year as it was, fewer are stretched to one.
    """
    assert isinstance(params.settings, Settings)  # noqa: S101 - the platform gives a system its own settings
    settings, zone, rows = params.settings, params.time_zone, params.registers[REGISTER]
    since = None if settings.since is None else month_number(settings.since)
    enterprises = [asset.enterprise for asset in params.assets]
    design = params.design("land-area")
    land = {each: float(design[[each == other for other in enterprises]].sum()) for each in set(enterprises)}
    books = {each: book_of(rows, each) for each in land}
    ended = [last_ended(int(end), zone) for end in grid.ends]
    due = [last_due(int(end), zone) for end in grid.ends]
    told = {
        (each, at): figures(books[each], land[each], at[0], settings)
        | {"filing-overdue": 0.0 if each is None else float(overdue_months(books[each], since, at[1]))}
        for each in land
        for at in set(zip(ended, due, strict=True))
    }
    table = [told[each, at] for each in enterprises for at in zip(ended, due, strict=True)]
    n, m = len(enterprises), len(grid.ends)
    columns = {name: plausible(name, np.array([row[name] for row in table], np.float64)) for name in FILED.outputs}
    return Derived(np.repeat(np.arange(n), m), np.tile(grid.ends, n), columns)


FILED: Final = ParkDerivation(
    id="filings",
    kinds=("site",),
    inputs=(),
    outputs=(*_FIELDS, "growth", "filing-months", "filing-overdue"),
    compute=filed_figures,
    every_s=3_600,
    design=("land-area",),
    registers=(REGISTER,),
)
