"""Requests and their clock, worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Grid, Happened, Params
from park_sdk.register import Row
from park_sdk.report import Data, RegisterNeed
from park_systems.services.clock import deadline, hours_between, to_us
from park_systems.services.derive import REGISTER, count_requests
from park_systems.services.registers import REQUESTS, Request
from park_systems.services.reports import MONTH, MonthParams
from park_systems.services.settings import Settings, WorkingHours
from park_systems.services.system import SYSTEM
from park_wire.quantities import Text

SHANGHAI = ZoneInfo("Asia/Shanghai")


def local(text: str) -> datetime:
    """A time in the park."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def request(number: str = "1", kind: str = "repair", asked_at: str = "2026-11-23T10:00", **fields: Any) -> Request:
    """A request; 2026-11-23 is a Monday."""
    given_fields = {
        "number": number,
        "enterprise": "chem",
        "title": "路灯不亮",
        "kind": kind,
        "text": "三号路",
        "contact": "李明",
        "asked_at": local(asked_at),
    }
    return Request.model_validate(given_fields | fields)


def count(rows: list[Row], at: list[str], settings: Settings | None = None) -> dict[str, list[float]]:
    """What the derivation gives at these times in the park."""
    ends = np.array([to_us(local(each)) for each in at], np.int64)
    none = Happened(np.empty(0, np.intp), np.empty(0, np.int64), ())
    grid = Grid(int(ends[0]) - 60_000_000, 1, ends, {}, {"none": none})
    parks = (AssetView("park", "park"),)
    params = Params(parks, Settings() if settings is None else settings, {REGISTER: rows}, (), SHANGHAI)
    found = count_requests(grid, params)
    assert found.asset.tolist() == [0] * len(at)
    return {name: column.tolist() for name, column in found.columns.items()}


def test_the_system_keeps_to_the_contract() -> None:
    first = [Row(request(str(number)), state) for number, state in enumerate(("open", "closed", None))]
    assert check_system(SYSTEM) == []
    assert check_system(SYSTEM, registers={REGISTER: first}) == []


def test_the_clock_runs_out() -> None:
    # A repair has 24 h: asked Monday 10:00, so at 18:00 16 h are left, on Tuesday 10:00 none, and at 12:30 it is 2.5 h
    # late. A lack of power has 4 h: asked Tuesday 09:00, so at 10:00 3 h are left and at 12:30 half an hour.
    rows = [Row(request(), "open"), Row(request("2", "utilities", "2026-11-24T09:00"), "accepted")]
    found = count(rows, ["2026-11-23T18:00", "2026-11-24T10:00", "2026-11-24T12:30"])
    assert found["ticket-count"] == [1.0, 2.0, 2.0]
    assert found["ticket-overdue"] == [0.0, 0.0, 1.0]
    assert found["sla-remaining"] == pytest.approx([16.0, 0.0, -2.5])


def test_only_what_waits_for_the_park_counts() -> None:
    rows = [Row(request(state), state) for state in ("open", "accepted", "answered", "closed", "returned")]
    found = count([*rows, Row(request("new"), None)], ["2026-11-25T10:00"])
    assert (found["ticket-count"], found["ticket-overdue"]) == ([3.0], [3.0])


def test_without_requests_there_is_no_time_to_tell() -> None:
    found = count([], ["2026-11-25T10:00"])
    assert (found["ticket-count"], found["ticket-overdue"]) == ([0.0], [0.0])
    assert np.isnan(found["sla-remaining"]).all()


def test_the_park_sets_its_terms() -> None:
    settings = Settings.model_validate({"terms": {"repair": 48.0}})
    assert count([Row(request(), "open")], ["2026-11-24T10:00"], settings)["sla-remaining"] == pytest.approx([24.0])


def test_working_hours() -> None:
    # 9 to 17, so 8 h a day. Asked on Friday 2026-11-27 at 15:00: Friday gives 2 h, the weekend nothing. Monday 12:00 is
    # 2 + 3 = 5 h later, Tuesday 20:00 is 2 + 8 + 8 = 18 h later. Of 24 h are left 24, 22, 22, 19 and 6.
    settings = Settings(working=WorkingHours())
    at = ["2026-11-27T15:00", "2026-11-27T17:00", "2026-11-29T12:00", "2026-11-30T12:00", "2026-12-01T20:00"]
    found = count([Row(request(asked_at=at[0]), "open")], at, settings)
    assert found["sla-remaining"] == pytest.approx([24.0, 22.0, 22.0, 19.0, 6.0])


def test_asked_at_night_the_clock_starts_in_the_morning() -> None:
    settings = Settings(working=WorkingHours())
    found = count(
        [Row(request(asked_at="2026-11-23T22:00"), "open")], ["2026-11-24T09:00", "2026-11-24T10:00"], settings
    )
    assert found["sla-remaining"] == pytest.approx([24.0, 23.0])


def test_holidays_and_weekend_days_that_are_worked() -> None:
    # Monday is a holiday, Saturday is worked for it: from Friday 17:00 to Tuesday 09:00 it counts 8 h.
    working = WorkingHours(holidays=(date(2026, 11, 30),), also=(date(2026, 11, 28),))
    begin, end = (np.array([to_us(local(at))]) for at in ("2026-11-27T17:00", "2026-12-01T09:00"))
    assert hours_between(begin, end, working, SHANGHAI) == pytest.approx(8.0)


def test_what_was_asked_long_ago_costs_no_time() -> None:
    settings = Settings(working=WorkingHours())
    found = count([Row(request(asked_at="2000-01-02T10:00"), "open")], ["2099-12-30T10:00"], settings)
    assert found["ticket-overdue"] == [1.0]
    assert found["sla-remaining"][0] == -10_000.0


def hours_one_by_one(begin: datetime, end: datetime, working: WorkingHours) -> float:
    """The same, counted by quarters of an hour."""
    quarters, at = 0, begin
    while at < end:
        works = at.date() in working.also or (at.weekday() in working.weekdays and at.date() not in working.holidays)
        quarters += works and working.begin <= at.hour + at.minute / 60 < working.end
        at += timedelta(minutes=15)
    return quarters / 4


@given(
    st.integers(0, 14 * 96),
    st.integers(0, 14 * 96),
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.integers(0, 14)),
    st.sets(st.integers(0, 14)),
    st.integers(0, 12),
    st.integers(13, 24),
)
def test_hours_are_those_that_one_would_count(
    first: int, length: int, weekdays: set[int], off: set[int], also: set[int], opens: int, closes: int
) -> None:
    day = local("2026-11-20T00:00")
    days = {number: (day + timedelta(days=number)).date() for number in range(30)}
    working = WorkingHours(
        begin=opens,
        end=closes,
        weekdays=tuple(weekdays),
        holidays=tuple(days[number] for number in off),
        also=tuple(days[number] for number in also),
    )
    begin = day + timedelta(minutes=15 * first)
    end = begin + timedelta(minutes=15 * length)
    found = hours_between(np.array([to_us(begin)]), np.array([to_us(end)]), working, SHANGHAI)
    assert found[0, 0] == pytest.approx(hours_one_by_one(begin, end, working), abs=1e-6)


def test_nobody_gets_time_by_asking_from_the_future() -> None:
    (accept,) = [step for step in REQUESTS.steps if step.id == "accept"]
    asked = request()
    assert not accept.check(asked, asked.asked_at)
    (fault,) = accept.check(asked, asked.asked_at - timedelta(hours=1))
    assert "return it" in fault.en


def test_the_workflow() -> None:
    moves = {(start, step.to): step for step in REQUESTS.steps for start in step.from_}
    assert set(moves) == {
        ("open", "accepted"), ("open", "returned"), ("accepted", "returned"), ("returned", "open"),
        ("accepted", "answered"), ("answered", "accepted"), ("answered", "closed"),
    }  # fmt: skip
    # What the park does to a request, its enterprise can't do itself.
    assert all("enterprise" not in moves[move].roles for move in moves if move[1] in ("returned", "answered"))
    assert "enterprise" not in moves["open", "accepted"].roles
    assert REQUESTS.states[0][0] == "open"
    # Who reads names and numbers of people has a part in the request.
    assert not REQUESTS.readers & {"regulator", "auditor", "safety"}


@pytest.mark.parametrize(
    "fields",
    [{"number": "a b"}, {"title": ""}, {"kind": "wish"}, {"asked_at": "2026-11-23T10:00"}, {"asked_at": "9999-12-31"},
     {"asked_at": "0001-01-01T00:00:00+08:00"}, {"text": "x" * 4_001}, {"state": "closed"}],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate(request().model_dump() | fields)


@pytest.mark.parametrize(
    "settings",
    [
        {"terms": {"wish": 1}},
        {"terms": {"repair": 0}},
        {"working": {"begin": 17, "end": 9}},
        {"working": {"weekdays": []}},
    ],
)
def test_settings_refuse_nonsense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(settings)


def test_the_report_of_a_month() -> None:
    rows = [
        Row(request("1"), "closed"),
        Row(request("2", "utilities", "2026-11-30T23:00"), "open"),
        Row(request("3", "repair", "2026-11-30T12:00"), "accepted"),
        Row(request("4", "repair", "2026-11-02T12:00", enterprise="alloy"), "open"),
        Row(request("5", "repair", "2026-12-01T00:00"), "open"),
        Row(request("6", "repair", "2026-10-31T23:59"), "open"),
    ]
    data = Data(
        totals={},
        registers={"requests": rows},
        alarms={},
        enterprises={"chem": Text("恒远化工", "Hengyuan")},
        park=Text("园", "Park"),
        time_zone=SHANGHAI,
        settings=Settings(),
        now=to_us(datetime(2027, 1, 5, tzinfo=UTC)),
    )
    document = MONTH.build(MonthParams(year=2026, month=11), data)
    assert {fact.id: fact.value for fact in document.facts} == {"asked": 4, "waiting": 3, "overdue": 1}
    # At the end of November: number 4 has 24 - 28.5 * 24 = -660 h left, number 2 has 4 - 1 = 3, number 3 has 24 - 12.
    assert [(row[0], row[4]) for row in document.tables[1].rows] == [("4", -660.0), ("2", 3.0), ("3", 12.0)]
    kinds = {row[0].en: row[1:] for row in document.tables[0].rows if isinstance(row[0], Text)}
    # Columns: those open, accepted, answered, closed and returned.
    assert kinds["Repair"] == (1, 1, 0, 1, 0)
    assert kinds["Water, power, gas, heat"] == (1, 0, 0, 0, 0)
    assert all(isinstance(fact.source, Text) for fact in document.facts)
    params = MonthParams(year=2026, month=11, enterprise="chem")
    assert MONTH.needs(params, SHANGHAI)["requests"] == RegisterNeed(
        REGISTER, to_us(local("2026-12-01T00:00")), enterprise="chem"
    )
    december = MONTH.build(MonthParams(year=2026, month=12), data)
    assert december.facts[0].value == 1
    assert document.end == december.start == to_us(local("2026-12-01T00:00"))


def test_a_request_is_due_when_its_term_ends_while_the_park_has_to_act() -> None:
    due = REQUESTS.due
    assert due is not None
    asked = request("1", "repair", "2026-11-27T16:00")
    # 24 h of every hour; of working hours 1 is left on Friday, 8 each on Monday and Tuesday, 7 on Wednesday.
    assert due(Row(asked, "open"), Settings(), SHANGHAI) == local("2026-11-28T16:00")
    working = Settings(working=WorkingHours())
    assert due(Row(asked, "accepted"), working, SHANGHAI) == local("2026-12-02T16:00")
    assert due(Row(asked, "accepted"), Settings(terms={"repair": 2.0}), SHANGHAI) == local("2026-11-27T18:00")
    for state in ("answered", "closed", "returned"):
        assert due(Row(asked, state), working, SHANGHAI) is None


@given(
    st.integers(0, 400 * 86_400),
    st.floats(0.01, 300),
    st.floats(0, 20),
    st.floats(0.5, 4),
    st.sets(st.integers(0, 6), min_size=1),
)
def test_a_term_has_counted_at_its_deadline(
    asked_s: int, term: float, begin: float, long: float, days: set[int]
) -> None:
    working = WorkingHours(begin=begin, end=begin + long, weekdays=tuple(days))
    asked = to_us(datetime(2026, 1, 1, tzinfo=UTC)) + asked_s * 1_000_000
    at = deadline(asked, term, working, SHANGHAI)
    if at is None:  # not within ten years
        return
    counted = hours_between(np.array([asked]), np.array([at - 60_000_000, at]), working, SHANGHAI)[:, 0]
    assert counted[1] == pytest.approx(term, abs=1e-6)
    assert counted[0] < term


def test_a_term_that_never_ends_is_not_due() -> None:
    assert deadline(0, 2_000.0, WorkingHours(begin=9, end=9.1), SHANGHAI) is None


def test_who_may_not_read_a_request_gets_no_report_of_it() -> None:
    assert MONTH.readers == REQUESTS.readers


def test_the_clock_rests_on_the_register_alone() -> None:
    assert [derivation.inputs for derivation in SYSTEM.derivations] == [()]
