"""The exact judgement of chosen rules over any number of readings each, without a loop over rules or readings.

The readings of a rule are cut into runs in which its condition stands still: violated, ended or unknown. A delay can
only end within its own run, and whether it does follows from the run alone: its start, its delay, and how long the
run's last value holds. So every run says on its own whether it raises or clears the alarm, and the alarm's level after
it is what the last such run said.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from park_sdk.arrivals import find_bad
from park_sdk.frame import FOREVER, NEVER, Bools, Floats, Frame, Image, Int64s, Rows
from park_sdk.rules import Change, Phase, RuleKind, RuleState, RuleTable, Transitions
from park_sdk.spans import begins, carry, ends, last_older, later, spread

Said: TypeAlias = NDArray[np.int8]

VIOLATED, ENDED, UNKNOWN, KEPT = 1, -1, 0, 2
"""What a reading says of a condition. KEPT: between limit and deadband, so what the reading before it said."""

RUNNING: Final = np.array([UNKNOWN, VIOLATED, UNKNOWN, ENDED, UNKNOWN, VIOLATED], np.int8)
"""By Phase: the run that a rule in this phase is in the middle of."""

SITUATION: Final = np.array([0, 1, 2, 3, 0, 1], np.int8)
"""By Phase: 2 while the alarm is active, plus 1 while a delay runs. A latch does not count."""

PHASES: Final = np.array(
    [[Phase.IDLE, Phase.LATCHED], [Phase.PENDING, Phase.RELAPSING], [Phase.ACTIVE] * 2, [Phase.RETURNING] * 2], np.uint8
)
"""By situation, and by whether a latch holds."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The c rules to judge, ascending.

    row: in the rule table. slot: their point in the image. first, count: their point's rows in the frame (count may
    be 0). until: i64[c], the event time before which nothing of their point will follow.
    """

    row: Rows
    slot: Rows
    first: Rows
    count: Rows
    until: Int64s

    def __len__(self) -> int:
        """How many rules."""
        return len(self.row)

    def take(self, chosen: Rows | slice) -> "Chosen":
        """Some of them."""
        return Chosen(self.row[chosen], self.slot[chosen], self.first[chosen], self.count[chosen], self.until[chosen])


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of c rules before anything is reset.

    row: in the rule table, ascending. phase, since, due: as in RuleState. moved: the transitions, those of one rule
    side by side and as they followed each other.
    """

    row: Rows
    phase: NDArray[np.uint8]
    since: Int64s
    due: Int64s
    moved: Transitions

    @staticmethod
    def joined(parts: "list[Judgement]") -> "Judgement":
        """Several judgements of different rules as one, ascending by row."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            none = Transitions.joined([])
            return Judgement(none.row, none.change, none.at, none.at, none)
        row = np.concatenate([part.row for part in parts])
        order = np.argsort(row, kind="stable")
        return Judgement(
            row[order],
            np.concatenate([part.phase for part in parts])[order],
            np.concatenate([part.since for part in parts])[order],
            np.concatenate([part.due for part in parts])[order],
            Transitions.joined([part.moved for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """For each of c rules the reading that the image holds, called its opening, then those of the frame.

    owner: which of the c rules. row: of the frame, meaningless for an opening. time, value: of the reading. following:
    the time of the next reading of the same rule, or of its `until` if that is later than its last reading.
    """

    owner: Rows
    row: Rows
    opening: Bools
    time: Int64s
    value: Floats
    following: Int64s


def unroll(chosen: Chosen, frame: Frame, image: Image) -> Timeline:
    """The readings of each rule's point, in order of time."""
    row, owner = spread(chosen.first - 1, chosen.count + 1)
    opening = begins(owner)
    arrived = np.flatnonzero(~opening)
    time = np.empty(len(owner), np.int64)
    value = np.empty(len(owner), np.float64)
    time[opening] = image.time[chosen.slot]
    value[opening] = image.value[chosen.slot]
    time[arrived] = frame.time[row[arrived]]
    value[arrived] = frame.value[row[arrived]]
    following = np.empty(len(owner), np.int64)
    following[:-1] = time[1:]
    closing = ends(owner)
    following[closing] = np.maximum(time[closing], chosen.until)
    return Timeline(owner, row, opening, time, value, following)


def read_conditions(rules: RuleTable, chosen: Chosen, phase: NDArray[np.uint8], line: Timeline, frame: Frame) -> Said:
    """What each reading says of its rule's condition; an opening says what its rule is waiting for."""
    said = np.empty(len(line.owner), np.int8)
    said[line.opening] = RUNNING[phase]
    arrived = np.flatnonzero(~line.opening)
    readings = frame.take(line.row[arrived])
    bad = find_bad(readings)
    rule = chosen.row[line.owner[arrived]]
    # A lower limit is an upper limit on the negated value.
    sign = np.where(rules.kind[rule] <= RuleKind.H, 1.0, -1.0)
    value, limit = readings.value * sign, rules.limit[rule] * sign
    level = np.where(value > limit, VIOLATED, np.where(value <= limit - rules.deadband[rule], ENDED, KEPT))
    level = np.where(bad, UNKNOWN, level)
    quality = np.where(bad, VIOLATED, ENDED)
    said[arrived] = np.where(rules.kind[rule] == RuleKind.BAD_QUALITY, quality, level)
    return said


def follow_levels(owner: Rows, said: Said, active: Bools) -> tuple[Bools, Bools]:
    """Whether each owner's alarm is active after and before each thing said; UNKNOWN leaves it as it is.

    active: by owner, before the first.
    """
    first = begins(owner)
    source = carry(first | (said != UNKNOWN))
    after = np.where(said[source] == UNKNOWN, active[owner], said[source] == VIOLATED)
    before = np.empty(len(owner), np.bool_)
    before[1:] = after[:-1]
    before[first] = active
    return after, before


def latch_of(rules: RuleTable, row: Rows, phase: NDArray[np.uint8], moved: Rows) -> Bools:
    """Whether each rule is latched if its alarm is not active now. moved: the indices of rules with a transition."""
    latched = (phase == Phase.LATCHED) | (phase == Phase.RELAPSING)
    latched[moved] = rules.latch[row[moved]]
    return latched


def judge_limits(rules: RuleTable, state: RuleState, chosen: Chosen, frame: Frame, image: Image) -> Judgement:
    """Judge rules of any kind but STALE."""
    row = chosen.row
    phase, since = state.phase[row], state.since[row]
    line = unroll(chosen, frame, image)
    said = read_conditions(rules, chosen, phase, line, frame)
    held = later(line.time, rules.max_age[row][line.owner])

    # A run ends with a gap, and where a reading says something else.
    cut = line.opening.copy()
    cut[1:] |= line.time[1:] > held[:-1]
    said[cut & (said == KEPT)] = UNKNOWN
    said = said[carry(said != KEPT)]
    cut[1:] |= said[1:] != said[:-1]
    head = np.flatnonzero(cut)
    tail = np.append(head[1:], len(cut)) - 1
    owner, said = line.owner[head], said[head]

    # Time never runs backwards for a rule, not even if a reading breaks the promise of an earlier `until`.
    start = np.maximum(np.where(line.opening[head], since[owner], line.time[head]), since[owner])
    delay = np.where(said == VIOLATED, rules.on_delay[row][owner], rules.off_delay[row][owner])
    due = later(start, delay)
    fires = due <= np.maximum(np.minimum(line.following[tail], held[tail]), start)
    after, before = follow_levels(owner, np.where(fires, said, np.int8(UNKNOWN)), SITUATION[phase] >= 2)
    moves = np.flatnonzero(after != before)
    value = line.value[last_older(line.time, head[moves], tail[moves], due[moves])]
    change = np.where(after[moves], np.uint8(Change.RAISED), np.uint8(Change.CLEARED))
    moved = Transitions(row[owner[moves]], change, due[moves], value)

    waits = (said != UNKNOWN) & ((said == VIOLATED) != after)
    situation = 2 * after.astype(np.int8) + waits
    first = begins(owner)
    earlier = np.empty_like(situation)
    earlier[1:] = situation[:-1]
    earlier[first] = SITUATION[phase]
    changes = situation != earlier
    entered = np.where(after != before, due, start)
    closing = ends(owner)
    changed = carry(first | changes)[closing]
    waits, due = waits[closing], due[closing]
    final = PHASES[situation[closing], latch_of(rules, row, phase, owner[moves]).astype(np.intp)]
    began = np.where(waits, start[closing], np.where(changes[changed], entered[changed], since))
    due = np.where(waits & (due <= held[tail[closing]]), due, FOREVER)
    return Judgement(row, final, np.where(final == Phase.IDLE, NEVER, began), due, moved)


def judge_stale(rules: RuleTable, state: RuleState, chosen: Chosen, frame: Frame, image: Image) -> Judgement:
    """Judge STALE rules: each reading ends the condition, and its age begins it."""
    row = chosen.row
    phase, since = state.phase[row], state.since[row]
    line = unroll(chosen, frame, image)
    aged = later(line.time, rules.max_age[row][line.owner])
    ends_it = np.where(line.opening, UNKNOWN, ENDED)
    begins_it = np.where((aged <= line.following) & (line.time != NEVER), VIOLATED, UNKNOWN)
    said = np.stack([ends_it, begins_it], axis=1).ravel().astype(np.int8)
    at = np.stack([np.maximum(line.time, since[line.owner]), aged], axis=1).ravel()
    value = np.stack([line.value, np.full(len(aged), np.nan)], axis=1).ravel()
    owner = np.repeat(line.owner, 2)
    after, before = follow_levels(owner, said, phase == Phase.ACTIVE)
    moves = np.flatnonzero(after != before)
    change = np.where(after[moves], np.uint8(Change.RAISED), np.uint8(Change.CLEARED))
    moved = Transitions(row[owner[moves]], change, at[moves], value[moves])

    active = after[ends(owner)]
    final = PHASES[2 * active.astype(np.intp), latch_of(rules, row, phase, owner[moves]).astype(np.intp)]
    began = since.copy()
    began[owner[moves]] = at[moves]
    return Judgement(row, final, np.where(final == Phase.IDLE, NEVER, began), np.full(len(row), FOREVER), moved)
