"""Stories in which a gateway breaks the promise of its `until` and people change delays on the way, told to the kernel.

The kernel's own tests keep every promise; what it says here need not be right, only such that it can be recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from park_platform.derivations import Derivations
from park_platform.sensing.tick import tick
from park_platform.storage.resets import Reset
from park_platform.storage.streams import StreamRules
from park_sdk.frame import NEVER, Image
from park_sdk.rules import Change, Rule, RuleKind, RuleState, RuleTable
from park_sdk.testing import frame_of

POINT = 1
Told = tuple[int, Change, int, bool]
"""Number of the rule, change, time, whether it latches."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One commit: pauses and values of readings, how far `until` lies beyond the last one, delays, rule to reset."""

    readings: tuple[tuple[int, float], ...]
    ahead: int | None
    delays: tuple[int, int]
    reset: int | None


@dataclass(frozen=True, slots=True)
class Story:
    """Rules 1, 2, … on one point, and what happens to them."""

    rules: tuple[Rule, ...]
    chapters: tuple[Chapter, ...]


_rules = st.builds(
    Rule,
    rule=st.just(0),
    point=st.just(POINT),
    kind=st.sampled_from(RuleKind),
    limit=st.just(5.0),
    deadband=st.sampled_from((0.0, 1.0)),
    on_delay=st.sampled_from((0, 1, 3)),
    off_delay=st.sampled_from((0, 1, 3)),
    max_age=st.sampled_from((2, 6, 50)),
    latch=st.booleans(),
)
_chapters = st.builds(
    Chapter,
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from((3.0, 5.5, 7.0))), max_size=4).map(tuple),
    st.none() | st.integers(0, 12),
    st.tuples(st.sampled_from((0, 1, 3)), st.sampled_from((0, 1, 3))),
    st.none() | st.integers(1, 3),
)


def stories() -> st.SearchStrategy[Story]:
    """Up to three rules and ten commits."""
    rules = st.lists(_rules, min_size=3, max_size=3).map(
        lambda some: tuple(replace(rule, rule=number) for number, rule in enumerate(some, start=1))
    )
    return st.builds(Story, rules, st.lists(_chapters, min_size=1, max_size=10).map(tuple))


def told_by_kernel(story: Story) -> Iterator[list[Told]]:
    """What each commit has to record."""
    image = Image.blank(np.array([POINT], np.int32))
    state = RuleState.idle(len(story.rules))
    now, until = 0, NEVER
    for chapter in story.chapters:
        on, off = chapter.delays
        table = RuleTable.of([replace(rule, on_delay=on, off_delay=off) for rule in story.rules])
        rows: list[tuple[int, int, float, int]] = []
        for pause, value in chapter.readings:
            now += pause
            rows.append((POINT, now, value, 0))
        if chapter.ahead is not None:
            until = max(until, now + chapter.ahead)
        resets = [] if chapter.reset is None else [Reset(1, chapter.reset, POINT, now, "wang", None)]
        rules = StreamRules(table, RuleState(state.phase, state.since, state.due), ("high",) * len(table))
        ticked = tick(frame_of(rows), image, rules, until, resets, Derivations())
        rules.state.apply(ticked.changes)
        state = rules.state
        image.show(ticked.shown)
        found = ticked.transitions
        yield [
            (int(table.rule[row]), Change(change), at, bool(table.latch[row]))
            for row, change, at in zip(found.row.tolist(), found.change.tolist(), found.at.tolist(), strict=True)
        ]
