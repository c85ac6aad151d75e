"""What rules missed of a hole: the journal and what was found make the story that would have been told in time."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from park_platform.operations.missed import find_missed, reach_us, rules_on
from park_platform.storage.late_hours import NEW, Line, Missed, Standing
from park_platform.storage.streams import StreamRules
from park_sdk.evaluate import evaluate
from park_sdk.frame import NEVER, Frame, Image
from park_sdk.rules import Change, Rule, RuleKind, RuleState, RuleTable
from park_wire.quality import LATE

SECOND = 1_000_000
RULE, POINT = 7, 3
ALARM = 50
KINDS = {Change.RAISED: "raised", Change.CLEARED: "cleared"}


def rules_of(rule: Rule) -> StreamRules:
    return StreamRules(RuleTable.of([rule]), RuleState.idle(1), ("high",))


def limit(max_age: int = 5 * SECOND, **fields: int | float) -> Rule:
    return Rule(RULE, POINT, RuleKind.H, limit=10.0, max_age=max_age, **fields)  # pyright: ignore[reportArgumentType]


def frame_of(values: list[float], late: range = range(0)) -> Frame:
    """A reading a second, those of `late` marked."""
    quality = np.array([LATE if n in late else 0 for n in range(len(values))], np.int16)
    time = np.arange(len(values), dtype=np.int64) * SECOND
    return Frame(np.full(len(values), POINT, np.int32), time, np.array(values), quality)


def told(rules: StreamRules, frame: Frame) -> list[Line]:
    """What the intake makes of readings that come in time, one after the other; an alarm has the number of its line."""
    state, image = RuleState.idle(1), Image.blank(rules.table.points)
    lines: list[Line] = []
    for row in range(len(frame)):
        one = frame.take(np.array([row]))
        changes, found = evaluate(rules.table, one, image, state, until=int(frame.time[row]))
        state.apply(changes)
        image.show(one)
        for at, change in zip(found.at.tolist(), found.change.tolist(), strict=True):
            alarm = ALARM + len(lines) if change == Change.RAISED else lines[-1].alarm
            lines.append(Line(RULE, POINT, KINDS[change], at, alarm))  # pyright: ignore[reportArgumentType]
    return lines


def missed_of(rules: StreamRules, frame: Frame, late: range) -> tuple[list[Line], list[Missed]]:
    """What was told of the timely readings, and what is found when the late ones have come."""
    lines = told(rules, frame.take((frame.quality & LATE) == 0))
    start, end = late[0] * SECOND, late[-1] * SECOND
    before = [line for line in lines if line.at < start]
    active = bool(before) and before[-1].kind == "raised"
    stood = Standing(
        np.array([active]),
        np.array([before[-1].at if active else NEVER]),
        np.array([before[-1].alarm if active else 0]),
    )
    chosen = rules_on(rules, rules.table.points)
    reach = reach_us(chosen)
    until = min(end + reach, int(frame.time[-1]))
    near = frame.take((frame.time >= start - reach) & (frame.time <= until))
    known = [line for line in lines if start <= line.at <= until + reach]
    return lines, find_missed(chosen, near, stood, known, start=start, end=end, until=until)


def story(lines: list[Line], missed: list[Missed]) -> list[tuple[int, str]]:
    both = [(line.at, line.kind) for line in lines] + [(one.at, one.kind) for one in missed if not one.is_known]
    return sorted(both, key=lambda each: each[0])


def test_an_episode_in_a_hole_is_found() -> None:
    values = [1.0] * 5 + [1.0, 11.0, 12.0, 1.0, 1.0] + [1.0] * 5
    lines, missed = missed_of(rules_of(limit()), frame_of(values, range(5, 10)), range(5, 10))
    assert lines == []
    assert [(one.at, one.kind, one.value, one.limit, one.alarm) for one in missed] == [
        (6 * SECOND, "raised", 11.0, 10.0, NEW),
        (8 * SECOND, "cleared", 1.0, 10.0, NEW),
    ]


def test_what_was_told_before_the_hole_ends_in_it() -> None:
    values = [1.0, 1.0, 11.0, 11.0, 11.0, 1.0, 1.0, 11.0, 11.0, 1.0]
    lines, missed = missed_of(rules_of(limit()), frame_of(values, range(4, 8)), range(4, 8))
    assert [(line.at, line.kind) for line in lines] == [(2 * SECOND, "raised"), (9 * SECOND, "cleared")]
    assert [(one.at, one.kind, one.alarm, one.is_known) for one in missed] == [
        (5 * SECOND, "cleared", ALARM, False),
        (7 * SECOND, "raised", NEW, False),
        # Its end was told of in time, as that of the alarm that was open then.
        (9 * SECOND, "cleared", NEW, True),
    ]


def test_a_delay_that_began_before_the_hole_ends_in_it() -> None:
    values = [1.0, 11.0, 11.0, 11.0, 11.0, 11.0, 1.0, 1.0]
    rules = rules_of(limit(on_delay=4 * SECOND, max_age=2 * SECOND))
    lines, missed = missed_of(rules, frame_of(values, range(3, 7)), range(3, 7))
    assert lines == []
    assert [(one.at, one.kind) for one in missed] == [(5 * SECOND, "raised"), (6 * SECOND, "cleared")]


def test_one_that_the_intake_has_told_a_little_later_is_not_told_twice() -> None:
    """The delay began in the hole; in time it could only begin with the first reading after it."""
    values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0]
    rules = rules_of(limit(on_delay=3 * SECOND))
    lines, missed = missed_of(rules, frame_of(values, range(2, 10)), range(2, 10))
    assert [(line.at, line.kind) for line in lines] == [(13 * SECOND, "raised")]
    assert missed == []


def test_age_is_left_out_and_nothing_latches() -> None:
    table = RuleTable.of([limit(latch=1), Rule(8, POINT, RuleKind.STALE, max_age=SECOND)])
    chosen = rules_on(StreamRules(table, RuleState.idle(2), ("high", "low")), table.points)
    assert chosen.table.rule.tolist() == [RULE]
    assert not chosen.table.latch.any()
    assert chosen.priority == ("high",)


values = st.lists(st.sampled_from([1.0, 9.5, 11.0]), min_size=30, max_size=60)


@given(values, st.integers(1, 25), st.integers(1, 20), st.integers(0, 7), st.integers(0, 7))
def test_journal_and_missed_are_what_would_have_been_told(
    values: list[float], first: int, n: int, on: int, off: int
) -> None:
    late = range(first, min(first + n, len(values) - 1))
    rules = rules_of(limit(deadband=1.0, on_delay=on * SECOND // 2, off_delay=off * SECOND // 2))
    frame = frame_of(values, late)
    lines, missed = missed_of(rules, frame, late)
    whole = told(rules, frame_of(values))
    start, end = late[0] * SECOND, late[-1] * SECOND
    expected = [(line.at, line.kind) for line in whole if start <= line.at <= end]
    within = [(at, kind) for at, kind in story(lines, missed) if start <= at <= end]
    # What was told in time stays in the journal, even where it would have been otherwise.
    assert [each for each in within if each not in {(line.at, line.kind) for line in lines}] == [
        each for each in expected if each not in {(line.at, line.kind) for line in lines}
    ]
    assert all(one.at >= start for one in missed)
    # Raised and cleared take turns within what is missed, alarm by alarm.
    for one, following in itertools.pairwise(one for one in missed if one.alarm == NEW):
        assert (one.kind, following.kind) in {("raised", "cleared"), ("cleared", "raised")}
