"""The kernel against a scalar oracle, over random rules, readings, resets and cuts."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park_sdk.frame import FOREVER, NEVER
from park_sdk.rules import Rule, RuleKind
from park_wire.quality import is_bad
from support.alarm_cases import describe, load_case
from support.alarm_oracle import Oracle
from support.alarm_play import Event, Piece, by_kernel, by_oracle

POINTS = (1, 2, 3)
DELAYS = (0, 0, 1, 2, 5, 9)
AGES = (1, 2, 3, 6, 15, FOREVER)
# Around the limits 5 and 6, on them, and on limit less deadband.
VALUES = (2.0, 3.0, 4.0, 5.0, 5.5, 6.0, 7.0, 8.0, math.nan)
QUALITIES = (0x00, 0x00, 0x00, 0x00, 0x40, 0x80, 0xC1)
STEPS = (1, 1, 1, 1, 2, 3, 8)

rule_settings = st.tuples(
    st.sampled_from(POINTS),
    st.sampled_from(RuleKind),
    st.sampled_from([5.0, 6.0]),
    st.sampled_from([0.0, 0.0, 1.0, 2.0]),
    st.sampled_from(DELAYS),
    st.sampled_from(DELAYS),
    st.sampled_from(AGES),
    st.booleans(),
)
step = st.tuples(st.sampled_from(STEPS), st.sampled_from(VALUES), st.sampled_from(QUALITIES))


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Rule], list[Event], list[Piece], int]:
    """Rules in the order of the table, all events, the same in pieces, and how far time goes."""
    chosen = sorted(draw(st.lists(rule_settings, min_size=1, max_size=6)), key=lambda rule: rule[0])
    rules = [Rule(n, *fields) for n, fields in enumerate(chosen)]
    events: list[Event] = []
    for point in POINTS:
        at = 0
        for pause, value, quality in draw(st.lists(step, max_size=16)):
            at += pause
            events.append(Event(point, at, (value, quality)))
    for row, at in draw(st.lists(st.tuples(st.integers(0, len(rules) - 1), st.integers(0, 40)), max_size=6)):
        events.append(Event(rules[row].point, at, row=row))
    end = max((event.at for event in events), default=0)
    until = draw(st.one_of(st.just(NEVER), st.integers(0, 40).map(lambda more: end + more)))
    return rules, events, cut(draw, events), until


def cut(draw: st.DrawFn, events: list[Event]) -> list[Piece]:
    """The events of each point stay in order; different points go their own ways."""
    count = draw(st.integers(1, 8))
    slack = st.one_of(st.none(), st.sampled_from([0, 0, 1, 4]))
    pieces = [Piece([], draw(slack)) for _ in range(count)]
    for point in POINTS:
        own = sorted((event for event in events if event.point == point), key=lambda event: event.order)
        places = sorted(draw(st.lists(st.integers(0, count - 1), min_size=len(own), max_size=len(own))))
        for event, place in zip(own, places, strict=True):
            pieces[place].events.append(event)
    return pieces


@settings(max_examples=350)
@given(stories())
def test_any_cut_gives_what_the_oracle_says(story: tuple[list[Rule], list[Event], list[Piece], int]) -> None:
    rules, events, pieces, until = story
    expected = by_oracle(rules, events, until)
    assert by_kernel(rules, [Piece(events, None)], until) == expected
    assert by_kernel(rules, pieces, until) == expected


def random_story(seed: int) -> tuple[list[Rule], list[Event], list[Piece], int]:
    """Like `stories`, but with more points than fit into one block of lower bounds."""
    choice = random.Random(seed)
    points = range(1, 300)
    rules = [
        Rule(
            n, point, kind, choice.choice((5.0, 6.0)), choice.choice((0.0, 1.0)), choice.choice(DELAYS),
            choice.choice(DELAYS), choice.choice(AGES), choice.random() < 0.3,
        )
        for n, (point, kind) in enumerate(
            (point, kind) for point in points for kind in (*choice.sample(list(RuleKind), 2), RuleKind.STALE)
        )
    ]  # fmt: skip
    pieces = [Piece([], choice.choice((None, 0, 0, 2))) for _ in range(12)]
    events: list[Event] = []
    for point in points:
        at = 0
        own: list[Event] = []
        for _ in range(choice.randrange(25)):
            at += choice.choice(STEPS)
            own.append(Event(point, at, (choice.choice(VALUES), choice.choice(QUALITIES))))
        own += [Event(point, choice.randrange(60), row=choice.randrange(point * 3 - 3, point * 3)) for _ in range(2)]
        own.sort(key=lambda event: event.order)
        places = sorted(choice.randrange(12) for _ in own)
        for event, place in zip(own, places, strict=True):
            pieces[place].events.append(event)
        events += own
    return rules, events, pieces, max(event.at for event in events) + choice.randrange(20)


@pytest.mark.parametrize("seed", range(6))
def test_many_points_over_many_blocks(seed: int) -> None:
    rules, events, pieces, until = random_story(seed)
    expected = by_oracle(rules, events, until)
    assert sum(len(ending.steps) for ending in expected) > 1_000
    assert by_kernel(rules, pieces, until) == expected
    assert by_kernel(rules, [Piece(events, None)], until) == expected


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "cases" / "alarms").glob("*.toml")), ids=lambda path: path.stem
)
def test_the_oracle_passes_the_cases_too(path: Path) -> None:
    case = load_case(path)
    oracle = Oracle(case.rule)
    happenings = [(at, 0, value, quality) for at, value, quality in case.readings]
    happenings += [(at, 1, math.nan, 0) for at in case.resets]
    for at, is_reset, value, quality in sorted(happenings, key=lambda row: row[:2]):
        if is_reset:
            oracle.reset(at)
        else:
            oracle.read(at, value, is_bad(quality) or math.isnan(value))
    oracle.wait(case.until)
    assert [describe(*step) for step in oracle.steps] == list(case.expect)
    assert oracle.phase == case.ends
