"""What the rules would have said of readings that came too late to be judged (chain 5). Pure.

Readings of a stretch, late or not, are judged in the order of their times as if all had come in time. What the journal
does not have of it was missed. Rules about age are left out: that nothing came in time was true.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from park_platform.storage.late_hours import NEW, Line, Missed, Standing
from park_platform.storage.streams import StreamRules
from park_sdk.evaluate import evaluate
from park_sdk.frame import FOREVER, NEVER, Bools, Frame, Image, Int32s
from park_sdk.rules import Change, Phase, RuleKind, RuleState, RuleTable, Transitions
from park_wire.quality import LATE

# How far back a delay may have begun. A value that holds longer than this is read again in between.
_MOST_BEFORE_US: Final = 7_200_000_000
_KIND: Final[dict[int, Literal["raised", "cleared"]]] = {Change.RAISED: "raised", Change.CLEARED: "cleared"}


def rules_on(rules: StreamRules, points: Int32s) -> StreamRules:
    """The rules that watch these points and can have missed something. They latch nothing: nobody is to reset it."""
    table = rules.table
    rows = np.flatnonzero(np.isin(table.point, points) & (table.kind != RuleKind.STALE))
    chosen = RuleTable(
        table.rule[rows],
        table.point[rows],
        table.kind[rows],
        table.limit[rows],
        table.deadband[rows],
        table.on_delay[rows],
        table.off_delay[rows],
        table.max_age[rows],
        np.zeros(len(rows), np.bool_),
    )
    return StreamRules(chosen, RuleState.idle(len(rows)), tuple(rules.priority[row] for row in rows.tolist()))


def reach_us(rules: StreamRules) -> int:
    """How far before and after a stretch readings decide what happens in it, µs."""
    table = rules.table
    if not len(table):
        return 0
    return min(int((table.on_delay + table.off_delay).max()) + int(_held(table).max()), _MOST_BEFORE_US)


def find_missed(
    rules: StreamRules, frame: Frame, stood: Standing, lines: Sequence[Line], *, start: int, end: int, until: int
) -> list[Missed]:
    """The transitions in [start, until] that the journal lacks, in order of time.

    Args:
        rules: Of `rules_on`.
        frame: All readings of their points from `reach_us` before `start` to `until`, sorted by (point, time).
        stood: Where each rule stood before `start`, by the journal.
        lines: What the journal has of these points from `start` on, to `reach_us` behind `until`.
        start: The oldest late reading, µs.
        end: The newest late reading, µs.
        until: Event time up to which delays may end, µs.
    """
    table = rules.table
    happened = _judged(table, frame, stood, start, until)
    order = np.argsort(happened.at, kind="stable")
    known = {(line.rule, line.point, line.kind, line.at): line.alarm for line in lines}
    # Which rules are raised, each with its alarm: NEW when nobody has been told of it yet.
    raised: dict[int, int] = {row: int(stood.alarm[row]) for row in np.flatnonzero(stood.active).tolist()}
    missed: list[Missed] = []
    for number in order.tolist():
        row, at = int(happened.row[number]), int(happened.at[number])
        kind = _KIND.get(int(happened.change[number]))
        if kind is None:
            continue
        rule, point = int(table.rule[row]), int(table.point[row])
        line = known.get((rule, point, kind, at))
        if kind == "raised":
            told = line if line is not None else _told_later(table, row, at, lines) if at > end else None
            raised[row] = alarm = NEW if told is None else told
            if told is not None:
                continue
        else:
            alarm = raised.pop(row, None)
            # What was raised in time and ends behind the stretch, the intake has seen itself.
            if alarm is None or (alarm != NEW and (line is not None or at > end)):
                continue
        value = float(happened.value[number])
        missed.append(
            Missed(
                at=at,
                kind=kind,
                rule=rule,
                point=point,
                priority=rules.priority[row],
                value=None if np.isnan(value) else value,
                limit=rules.limit_of(row),
                alarm=alarm,
                is_known=line is not None,
            )
        )
    return missed


def _judged(table: RuleTable, frame: Frame, stood: Standing, start: int, until: int) -> Transitions:
    frame = replace(frame, quality=(frame.quality & ~LATE).astype(np.int16))
    before = frame.time < start
    image, state = Image.blank(table.points), RuleState.idle(len(table))
    past = frame.take(before)
    state.apply(evaluate(table, past, image, state, until=start - 1)[0])
    image.show(past)
    state = _as_the_journal_has_it(state, stood)
    return evaluate(table, frame.take(~before), image, state, until=until)[1]


def _as_the_journal_has_it(state: RuleState, stood: Standing) -> RuleState:
    """Running delays from the readings, but raised is what the journal says is raised."""
    held = _is_raised(state)
    phase, since, due = state.phase.copy(), state.since.copy(), state.due.copy()
    over, begun = held & ~stood.active, ~held & stood.active
    phase[over], since[over], due[over] = Phase.IDLE, NEVER, FOREVER
    phase[begun], since[begun], due[begun] = Phase.ACTIVE, stood.since[begun], FOREVER
    return RuleState(phase, since, due)


def _is_raised(state: RuleState) -> Bools:
    return (state.phase == Phase.ACTIVE) | (state.phase == Phase.RETURNING)


def _told_later(table: RuleTable, row: int, at: int, lines: Sequence[Line]) -> int | None:
    """The alarm of the same occurrence a little later: its delay began anew with the first timely reading."""
    last = at + int(table.on_delay[row]) + int(_held(table)[row])
    rule, point = int(table.rule[row]), int(table.point[row])
    return next(
        (
            line.alarm
            for line in lines
            if line.kind == "raised" and (line.rule, line.point) == (rule, point) and at <= line.at <= last
        ),
        None,
    )


def _held(table: RuleTable) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.minimum(table.max_age, _MOST_BEFORE_US)
