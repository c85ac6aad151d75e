"""Each line that protects the chain is broken once, and the model sees it: what it can't see, it does not test."""

from collections.abc import Generator, Sequence

import pytest

from support.chain_drive import draw, steps_to_break
from support.chain_mutants import BOTH_WALLS, MUTANTS, SEEN_WHEN, broken
from support.chain_trace import modelled

MOST_TRACES = 60
STEPS = 200


@pytest.fixture(autouse=True)
def played() -> Generator[None]:
    with modelled():
        yield


def steps_until_seen(first: int = 0, often: Sequence[str] = (), without: Sequence[str] = ()) -> int | None:
    for traces in range(MOST_TRACES):
        step = steps_to_break(first + traces, draw(first + traces, STEPS, often=often, without=without))
        if step is not None:
            return traces * STEPS + step
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_line_is_seen(name: str) -> None:
    with broken(MUTANTS[name]):
        assert steps_until_seen(*SEEN_WHEN.get(name, (0, (), ()))) is not None


@pytest.mark.parametrize("name", BOTH_WALLS)
def test_what_two_lines_hold_is_seen_when_both_are_broken(name: str) -> None:
    with broken(*BOTH_WALLS[name]):
        assert steps_until_seen() is not None
