"""Credit follows how long commits take, slowly enough to see what a change brought."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from park_platform.sensing.pace import MOST_CREDIT, Pace


def credits_of(durations: list[float], every_s: float = 1.0) -> list[int]:
    pace, found = Pace(), list[int]()
    for n, took_s in enumerate(durations):
        pace.note(took_s, n * every_s)
        found.append(pace.credit)
    return found


def test_it_is_halved_while_commits_are_slow_and_comes_back() -> None:
    found = credits_of([0.6] * 60 + [0.1] * 80)
    assert [found[n] for n in (0, 9, 10, 20, 30, 40, 59)] == [8, 8, 4, 2, 1, 1, 1]
    assert found[-1] == MOST_CREDIT
    back = found[60:]
    assert sorted(set(back)) == [1, 2, 4, 8, 16]
    assert back == sorted(back)


def test_one_slow_commit_in_two_hundred_changes_nothing() -> None:
    durations = ([0.02] * 199 + [3.0]) * 2
    pace = Pace()
    for n, took_s in enumerate(durations):
        pace.note(took_s, n * 0.05)
        assert took_s > 1 or pace.p99_s() == 0.02 or n < 200
    assert credits_of([0.02] * 300, 0.05) == [MOST_CREDIT] * 300


@given(st.lists(st.floats(0, 10), max_size=200), st.floats(0.001, 5))
def test_it_stays_within_its_bounds_and_moves_a_step_at_a_time(durations: list[float], every_s: float) -> None:
    found = [MOST_CREDIT, *credits_of(durations, every_s)]
    for one, following in itertools.pairwise(found):
        assert 1 <= following <= MOST_CREDIT
        assert following in {one, one // 2, one * 2}
