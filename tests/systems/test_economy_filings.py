"""Filings: who may do what, what is owed, and the figures of accepted months, worked out by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Grid, Params
from park_sdk.register import Row
from park_systems.economy.filings import filed_figures
from park_systems.economy.months import last_due, last_ended, month_begins, month_due, to_us
from park_systems.economy.registers import FILINGS, REGISTER, Filing
from park_systems.economy.settings import Settings
from park_systems.economy.system import SYSTEM

SHANGHAI = ZoneInfo("Asia/Shanghai")
SITES = (
    AssetView("chem-site", "site", enterprise="chem", design={"land-area": 420.0}),
    AssetView("food-site", "site", enterprise="food", design={"land-area": 180.0}),
)
FIGURES: dict[str, Any] = {
    "output_value": 10e6,
    "value_added": 3e6,
    "revenue": 9e6,
    "tax": 0.5e6,
    "employment": 120,
}


def at(text: str) -> int:
    """A time in the park, µs UTC."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))


def filing(month: str = "2026-10", enterprise: str = "chem", **fields: Any) -> Filing:
    """What an enterprise files."""
    return Filing.model_validate({"month": month, "enterprise": enterprise} | FIGURES | fields)


def accepted(*months: str, enterprise: str = "chem", **fields: Any) -> list[Row]:
    """Accepted filings of these months."""
    return [Row(filing(month, enterprise, **fields), "accepted", enterprise=enterprise) for month in months]


def year_to(month: int) -> list[str]:
    """The twelve months that end with one of 2026."""
    return [f"{2026 + number // 12}-{number % 12 + 1:02}" for number in range(month - 12, month)]


def figures(
    rows: list[Row], *times: str, settings: Settings | None = None, sites: tuple[AssetView, ...] = SITES
) -> dict[str, list[float]]:
    """What the derivation gives, works by works and time by time."""
    ends = np.array([at(time) for time in times], np.int64)
    params = Params(sites, settings or Settings(), {REGISTER: rows}, (), SHANGHAI)
    found = filed_figures(Grid(int(ends[0]), 0, ends, {}, {}), params)
    assert found.asset.tolist() == [number for number in range(len(sites)) for _ in times]
    return {name: column.tolist() for name, column in found.columns.items()}


def test_the_system_keeps_to_the_contract_with_filings_in_every_state() -> None:
    rows = [Row(filing(f"2026-0{number}"), state) for number, (state, _) in enumerate(FILINGS.states, 1)]
    assert check_system(SYSTEM, registers={REGISTER: [*rows, *accepted(*year_to(10))]}) == []


# the figures ----------------------------------------------------------------------------------------------------------


def test_twelve_accepted_months_are_a_year() -> None:
    # 12 * 10 million yuan over 420 mu: 285 714.29 yuan/mu; tax 12 * 0.5 million: 14 285.71 yuan/mu.
    found = figures(accepted(*year_to(10)), "2026-11-24T10:00")
    assert found["output-per-mu"][0] == pytest.approx(285_714.2857)
    assert found["tax-per-mu"][0] == pytest.approx(14_285.7143)
    assert found["filing-months"] == [12.0, 0.0]
    assert np.isnan(found["output-per-mu"][1])


def test_fewer_months_are_stretched_to_a_year() -> None:
    # (10 + 12 + 14) million * 12 / 3 = 144 million over 420 mu: 342 857.14 yuan/mu.
    rows = [Row(filing(f"2026-{8 + n:02}", output_value=(10 + 2 * n) * 1e6), "accepted") for n in range(3)]
    found = figures(rows, "2026-11-24T10:00")
    assert found["output-per-mu"][0] == pytest.approx(342_857.1429)
    assert found["filing-months"][0] == 3.0
    of_four = figures(rows, "2026-11-24T10:00", settings=Settings(least_months=4))
    assert np.isnan(of_four["output-per-mu"][0])
    assert of_four["filing-months"][0] == 3.0


@pytest.mark.parametrize("state", ["draft", "submitted", "returned", None])
def test_only_accepted_months_count(state: str | None) -> None:
    rows = [*accepted(*year_to(9)[-3:]), Row(filing("2026-10", output_value=9e9, land_area=1.0), state)]
    found = figures(rows, "2026-11-24T10:00")
    assert found["output-per-mu"][0] == pytest.approx(3 * 10e6 * 4 / 420)
    assert found["filing-months"][0] == 3.0


def test_months_before_the_year_and_after_the_time_do_not_count() -> None:
    old, coming = accepted("2025-10", output_value=9e9), accepted("2026-11", output_value=9e9)
    found = figures([*old, *accepted(*year_to(10)), *coming], "2026-11-30T23:00", "2026-12-01T00:00")
    assert found["output-per-mu"][0] == pytest.approx(12 * 10e6 / 420)
    # November is over with the first instant of December: 11 * 10 million + 9000 million.
    assert found["output-per-mu"][1] == pytest.approx((11 * 10e6 + 9e9) / 420)


def test_what_is_older_than_a_year_says_nothing_of_now() -> None:
    rows = accepted(*year_to(10))
    found = figures(rows, "2027-10-31T23:00", "2027-11-01T00:00")
    assert found["output-per-mu"][0] == pytest.approx(12 * 10e6 / 420)
    assert np.isnan(found["output-per-mu"][1])
    assert found["filing-months"][:2] == [12.0, 0.0]


def test_land_that_an_accepted_filing_names_counts_from_then_on() -> None:
    rows = [*accepted(*year_to(9)), *accepted("2026-10", land_area=500.0)]
    found = figures(rows, "2026-10-31T12:00", "2026-11-01T12:00")
    assert found["output-per-mu"][:2] == pytest.approx([12 * 10e6 / 420, 12 * 10e6 / 500])


def test_two_works_of_an_enterprise_have_one_figure() -> None:
    north = AssetView("chem-north", "site", enterprise="chem", design={"land-area": 180.0})
    nobody = AssetView("empty", "site", design={"land-area": 10.0})
    settings = Settings(since="2026-01")
    found = figures(accepted(*year_to(10)), "2026-11-24T10:00", sites=(SITES[0], north, nobody), settings=settings)
    assert found["output-per-mu"][:2] == pytest.approx([120e6 / 600, 120e6 / 600])
    # Nobody's works owes nothing.
    assert found["filing-overdue"] == [0.0, 0.0, 0.0]


def test_growth_against_the_same_month_a_year_before() -> None:
    # 11.5 million over 10 million: 15 %.
    rows = [*accepted("2025-10"), *accepted("2026-10", output_value=11.5e6)]
    assert figures(rows, "2026-11-24T10:00")["growth"][0] == pytest.approx(15.0)
    assert np.isnan(figures(rows[1:], "2026-11-24T10:00")["growth"][0])
    idle = [*accepted("2025-10", output_value=0.0, value_added=0.0), rows[1]]
    assert np.isnan(figures(idle, "2026-11-24T10:00")["growth"][0])


def test_refunds_make_tax_negative() -> None:
    found = figures(accepted(*year_to(10), tax=-42_000.0), "2026-11-24T10:00")
    assert found["tax-per-mu"][0] == pytest.approx(-1_200.0)


# what is owed ---------------------------------------------------------------------------------------------------------


def test_months_are_owed_from_the_first_filing_on() -> None:
    # October is due by the end of November 15th; September, never filed, has been since October 15th.
    rows = accepted("2026-08")
    found = figures(rows, "2026-11-15T23:00", "2026-11-16T00:00")
    assert found["filing-overdue"] == [1.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize(("state", "owed"), [("draft", 1.0), ("returned", 1.0), ("submitted", 0.0), ("accepted", 0.0)])
def test_what_lies_with_the_enterprise_is_owed(state: str, owed: float) -> None:
    assert figures([Row(filing("2026-10"), state)], "2026-11-16T10:00")["filing-overdue"][0] == owed


def test_the_park_says_since_when_everybody_files() -> None:
    # Chem filed ten months of 2026, food none: January to October.
    found = figures(accepted(*year_to(10)), "2026-11-24T10:00", settings=Settings(since="2026-01"))
    assert found["filing-overdue"] == [0.0, 10.0]


@given(st.integers(2001 * 12, 2099 * 12))
def test_a_month_ends_and_falls_due(number: int) -> None:
    ends, due = to_us(month_begins(number + 1, SHANGHAI)), to_us(month_due(number, SHANGHAI))
    assert (last_ended(ends - 1, SHANGHAI), last_ended(ends, SHANGHAI)) == (number - 1, number)
    assert (last_due(due - 1, SHANGHAI), last_due(due, SHANGHAI)) == (number - 1, number)


# the register ---------------------------------------------------------------------------------------------------------


def test_the_workflow() -> None:
    moves = {(start, step.to): step for step in FILINGS.steps for start in step.from_}
    assert set(moves) == {
        ("draft", "submitted"), ("returned", "submitted"), ("submitted", "accepted"), ("submitted", "returned"),
        ("accepted", "returned"),
    }  # fmt: skip
    assert FILINGS.states[0][0] == "draft"
    # Who files doesn't accept, and who accepts doesn't write.
    assert moves["draft", "submitted"].roles == FILINGS.writers == {"enterprise"}
    assert all("enterprise" not in step.roles for step in moves.values() if step.to in ("accepted", "returned"))
    assert all(step.note == (step.to == "returned") for step in moves.values())
    assert FILINGS.editable == {"draft", "returned"}
    assert FILINGS.enterprise == "enterprise"
    assert "safety" not in FILINGS.readers


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"value_added": 10e6 + 1}, "Value added"),
        ({"employment": 0}, "nobody is employed"),
        ({"output_value": 0.0, "value_added": 0.0, "product_mass": 5.0}, "no output value"),
        ({"month": "2026-11"}, "not over"),
    ],
)
def test_what_can_not_be_so_is_not_submitted(fields: dict[str, Any], word: str) -> None:
    now = datetime(2026, 11, 30, 15, 59, tzinfo=UTC)
    for id_ in ("submit", "accept"):
        (step,) = [step for step in FILINGS.steps if step.id == id_]
        assert not step.check(filing(), now)
        (fault,) = step.check(filing(**fields), now)
        assert word in fault.en
        assert fault.zh


def test_a_month_can_be_submitted_once_it_is_over_in_the_park() -> None:
    (submit,) = [step for step in FILINGS.steps if step.id == "submit"]
    begins = datetime(2026, 12, 1, tzinfo=SHANGHAI)
    assert not submit.check(filing("2026-11"), begins)
    assert submit.check(filing("2026-11"), begins - timedelta(seconds=1))


def test_a_standstill_can_be_filed() -> None:
    (submit,) = [step for step in FILINGS.steps if step.id == "submit"]
    idle = filing(output_value=0.0, value_added=0.0, revenue=0.0, tax=0.0, employment=0, product_mass=0.0)
    assert not submit.check(idle, datetime(2026, 11, 24, tzinfo=UTC))


def test_a_filing_is_due_while_it_lies_with_the_enterprise() -> None:
    due = FILINGS.due
    assert due is not None
    # The end of November 15th in the park is 16:00 UTC.
    october, december = (Row(filing(month), state) for month, state in (("2026-10", "draft"), ("2025-12", "returned")))
    assert due(october, Settings(), SHANGHAI) == datetime(2026, 11, 15, 16, 0, tzinfo=UTC)
    assert due(december, Settings(), SHANGHAI) == datetime(2026, 1, 15, 16, 0, tzinfo=UTC)
    assert due(october, Settings(), ZoneInfo("Asia/Urumqi")) == datetime(2026, 11, 15, 18, 0, tzinfo=UTC)
    assert due(Row(filing(), "submitted"), Settings(), SHANGHAI) is None
    assert due(Row(filing(), "accepted"), Settings(), SHANGHAI) is None


@pytest.mark.parametrize(
    "wrong",
    [{"month": "2026-13"}, {"month": "2026-1"}, {"month": "1999-01"}, {"output_value": -1.0}, {"revenue": 1e14},
     {"tax": float("nan")}, {"employment": -1}, {"employment": 1.5}, {"land_area": 0.0}, {"product_mass": -1.0},
     {"enterprise": "A B"}, {"state": "accepted"}, {"value_added": None}],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Filing.model_validate(filing().model_dump() | wrong)
