"""Stream derivations against a loop that looks at one reading after the other, and what breaks the contract."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_sdk.bind import Bound
from park_sdk.derivation import Params, State, StreamDerivation, Window
from park_sdk.derive import BadResult, Carry, derive, fresh_carry
from park_sdk.frame import Frame
from park_wire.quality import Quality
from support.derived_oracle import (
    LAST_TIME,
    OUTPUTS,
    Row,
    by_hand,
    frame_of,
    readings,
    rows_of,
    watch,
    watched,
)

every = st.sampled_from([0, 1, 4, 7])
cuts = st.lists(st.integers(0, LAST_TIME), max_size=6).map(sorted)


def in_parts(bound: Bound, rows: list[Row], edges: list[int]) -> Frame:
    """All that is derived when readings come cut at these times."""
    carry, derived = fresh_carry(bound), list[Frame]()
    for low, high in pairwise([0, *edges, LAST_TIME + 1]):
        part, carry = derive(bound, carry, frame_of([row for row in rows if low <= row[1] < high]))
        assert (np.diff(part.point) >= 0).all()
        derived.append(part)
    return Frame.joined(derived)


@given(readings(), every, cuts)
def test_it_gives_what_the_readings_say_however_they_are_cut(rows: list[Row], every_us: int, edges: list[int]) -> None:
    assert rows_of(in_parts(watched(every_us), rows, edges)) == by_hand(rows, every_us)


def one(rows: list[Row]) -> dict[tuple[int, int], tuple[float, int]]:
    derived, _ = derive(watched(), fresh_carry(watched()), frame_of(rows))
    return {
        (point, time): (value, quality)
        for point, time, value, quality in zip(
            derived.point.tolist(), derived.time.tolist(), derived.value.tolist(), derived.quality.tolist(), strict=True
        )
    }


def test_a_reading_of_the_same_instant_is_seen() -> None:
    assert one([(11, 5, 1.0, 0), (13, 5, 2.0, 0)])[21, 5] == (21.0, 0)


def test_a_value_holds_up_to_its_max_age() -> None:
    at_last, too_old = one([(13, 1, 2.0, 0), (11, 7, 1.0, 0), (11, 8, 1.0, 0)]), Quality.BAD
    assert at_last[21, 7] == (21.0, 0)
    assert np.isnan(at_last[21, 8][0])
    assert at_last[21, 8][1] == too_old


def test_a_bad_reading_ends_the_value_before_it() -> None:
    found = one([(13, 1, 2.0, 0), (13, 2, np.nan, Quality.BAD_SENSOR_FAILURE), (11, 3, 1.0, 0)])
    assert found[21, 3][1] == Quality.BAD


def test_of_a_clock_that_lags_nothing_newer_is_seen() -> None:
    # A backlog brings the clock's readings after those of another point: what is held then is of later.
    bound = watched()
    _, carry = derive(bound, fresh_carry(bound), frame_of([(13, 9, 2.0, 0)]))
    derived, _ = derive(bound, carry, frame_of([(11, 5, 1.0, 0), (11, 9, 1.0, 0)]))
    assert rows_of(derived)[0][1:] == (5, "nan", Quality.BAD)
    assert rows_of(derived)[1][1:] == (9, "21", 0)


def test_nothing_of_its_own_gives_nothing() -> None:
    bound = watched()
    carry = fresh_carry(bound)
    derived, following = derive(bound, carry, frame_of([(99, 1, 1.0, 0), (21, 1, 1.0, 0)]))
    assert len(derived) == 0
    assert following is carry


def test_what_is_carried_is_never_changed() -> None:
    bound = watched(4)
    first = frame_of([(11, 1, 1.0, 0), (13, 1, 1.0, 0)])
    _, carry = derive(bound, fresh_carry(bound), first)
    second = frame_of([(11, 5, 2.0, 0)])
    once, after = derive(bound, carry, second)
    again, _ = derive(bound, carry, second)
    assert rows_of(once) == rows_of(again)
    assert after.state["count"].tolist() == [2, 0]
    assert carry.state["count"].tolist() == [1, 0]


def broken(compute: Callable[[Window, Params, State], Any]) -> tuple[Bound, Carry]:
    bound = watched()
    carry = fresh_carry(bound)
    return replace(bound, derivation=replace(bound.derivation, compute=compute)), carry


ROWS = frame_of([(11, 1, 1.0, 0), (11, 2, 1.0, 0), (13, 1, 1.0, 0)])


def raised_by(compute: Callable[[dict[str, Any], dict[str, Any]], Any]) -> str:
    """What is said of a `compute` that turns the sound columns and state into something else."""

    def wrong(window: Window, params: Params, state: State) -> Any:
        columns, following = watch(window, params, state)
        return compute(dict(columns), dict(following))

    bound, carry = broken(wrong)
    with pytest.raises(BadResult) as error:
        derive(bound, carry, ROWS)
    return str(error.value)


def test_bad_results_are_sentences() -> None:
    ratio, left = OUTPUTS
    assert raised_by(lambda columns, state: columns) == "compute gave a dict; it must give (columns, state)"
    assert raised_by(lambda columns, state: None) == "compute gave a NoneType; it must give (columns, state)"
    assert "compute gave a list for its columns" in raised_by(lambda columns, state: ([], state))
    assert raised_by(lambda columns, state: ({}, state)) == f"compute gave nothing; its outputs are {ratio}, {left}"
    assert f"compute gave {ratio};" in raised_by(lambda columns, state: ({ratio: columns[ratio]}, state))
    assert "level" in raised_by(lambda columns, state: ({**columns, "level": columns[ratio]}, state))
    too_long = raised_by(lambda columns, state: ({**columns, left: np.zeros(3)}, state))
    assert too_long == f"output {left!r} is float64[3]; it must be float64[2], a value for each row"
    other_type = raised_by(lambda columns, state: ({**columns, left: np.zeros(2, np.int64)}, state))
    assert "is int64[2]" in other_type
    assert "is list[]" in raised_by(lambda columns, state: ({**columns, left: [1.0, 2.0]}, state))
    assert "float64[2, 1]" in raised_by(lambda columns, state: ({**columns, left: np.zeros((2, 1))}, state))
    short = raised_by(lambda columns, state: (columns, {"count": np.zeros(1)}))
    assert short == "state 'count' has shape (1,); its first axis is the 2 assets"
    assert "has shape int" in raised_by(lambda columns, state: (columns, {"count": 5}))
    assert raised_by(lambda columns, state: (columns, None)) == "the state is a NoneType; it must be arrays by name"


def test_a_state_that_is_wrong_from_the_start() -> None:
    def too_long(n: int) -> State:
        return {"count": np.zeros(n + 1)}

    bound = watched()
    wrong = replace(bound.derivation, new_state=too_long)
    with pytest.raises(BadResult, match=r"state 'count' has shape \(3,\)"):
        fresh_carry(replace(bound, derivation=wrong))


def test_nobody_writes_to_a_state() -> None:
    def write(window: Window, params: Params, state: State) -> Any:
        state["count"][0] = 9
        return watch(window, params, state)

    bound, carry = broken(write)
    with pytest.raises(ValueError, match="read-only"):
        derive(bound, carry, ROWS)
    assert carry.state["count"].tolist() == [0, 0]


def test_what_a_system_raises_is_passed_on() -> None:
    def fail(window: Window, params: Params, state: State) -> Any:
        raise ZeroDivisionError("by the system")

    bound, carry = broken(fail)
    with pytest.raises(ZeroDivisionError, match="by the system"):
        derive(bound, carry, ROWS)


def test_an_infinite_value_is_bad() -> None:
    def endless(window: Window, params: Params, state: State) -> Any:
        return {name: np.full(len(window), np.inf) for name in OUTPUTS}, state

    bound, carry = broken(endless)
    derived, _ = derive(bound, carry, ROWS)
    assert np.isnan(derived.value).all()
    assert set(derived.quality.tolist()) == {Quality.BAD}


def test_of_no_readings_nothing_follows() -> None:
    bound = watched()
    derived, _ = derive(bound, fresh_carry(bound), Frame.empty())
    assert len(derived) == 0
    assert isinstance(bound.derivation, StreamDerivation)
