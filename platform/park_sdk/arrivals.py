"""A frame by point, and the filter that finds the few rules whose state the frame could change."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from park_sdk.frame import FOREVER, NEVER, Bools, Floats, Frame, Image, Int32s, Int64s, Rows
from park_sdk.rules import Phase, RuleKind, RuleState, RuleTable
from park_sdk.spans import begins
from park_wire.quality import BAD_SEVERITY

DELAYED: Final = np.array([False, True, False, True, False, True])
"""By Phase: whether a delay runs."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a frame brings to each of the m points that have a rule, ascending by point.

    place: the point's index in the table's `points`. slot: its index in the image. first, count: its rows in the frame.
    highest, lowest: f64[m], of its readings that are not bad (-inf and inf where all are). bad, usable: whether it has
    bad ones, and others. silence: i64[m], the longest time in µs between two readings, the last one before the frame
    included (FOREVER: there was none). reached: i64[m], the time up to which all is known: the last reading or `until`.
    """

    place: Rows
    slot: Rows
    first: Rows
    count: Rows
    highest: Floats
    lowest: Floats
    bad: Bools
    usable: Bools
    silence: Int64s
    reached: Int64s

    def __len__(self) -> int:
        """How many points."""
        return len(self.place)


def find_bad(frame: Frame) -> Bools:
    """Which readings are bad: by their severity, or because there is no value."""
    return ((frame.quality & BAD_SEVERITY) != 0) | np.isnan(frame.value)


def find_slots(image: Image, points: Int32s) -> Rows:
    """Where these points stand in the image.

    Raises:
        ValueError: a point is not in the image.
    """
    if len(points) == len(image) and np.array_equal(points, image.point):
        return np.arange(len(points))
    slots = np.minimum(image.slots(points), len(image) - 1)
    if len(points) and not (len(image) and np.array_equal(image.point[slots], points)):
        missing = np.setdiff1d(points, image.point)[:5].tolist()
        raise ValueError(f"points {missing} have rules but are not in the image: make the image of all points")
    return slots


def group(rules: RuleTable, frame: Frame, image: Image, until: int) -> Arrivals:
    """What the frame brings to each point that has a rule.

    Raises:
        ValueError: such a point is not in the image.
    """
    first = np.flatnonzero(begins(frame.point))
    points = frame.point[first]
    everywhere = len(points) == len(rules.points) and np.array_equal(points, rules.points)
    if everywhere:
        place = np.arange(len(points))
        ruled = np.ones(len(points), np.bool_)
    else:
        place = np.minimum(np.searchsorted(rules.points, points), len(rules.points) - 1)
        ruled = rules.points[place] == points
    kept = slice(None) if everywhere or ruled.all() else np.flatnonzero(ruled)
    count = np.append(first[1:], len(frame)) - first
    bad = find_bad(frame)
    spoiled = bad.any()
    highest = np.where(bad, -np.inf, frame.value) if spoiled else frame.value
    lowest = np.where(bad, np.inf, frame.value) if spoiled else frame.value
    usable = ~bad
    between = np.zeros(len(first), np.int64)
    if len(first) < len(frame):
        steps = np.diff(frame.time, prepend=0)
        steps[first] = 0
        between = np.maximum.reduceat(steps, first)
        highest = np.maximum.reduceat(highest, first)
        lowest = np.minimum.reduceat(lowest, first)
        bad = np.logical_or.reduceat(bad, first)
        usable = np.logical_or.reduceat(usable, first)
    slot = find_slots(image, points[kept])
    known = image.time[slot]
    first, count = first[kept], count[kept]
    silence = np.where(known == NEVER, FOREVER, np.maximum(between[kept], frame.time[first] - known))
    last = frame.time[first + count - 1]
    reached = np.maximum(last, until)
    return Arrivals(
        place[kept], slot, first, count, highest[kept], lowest[kept], bad[kept], usable[kept], silence, reached
    )  # fmt: skip


def select(rules: RuleTable, state: RuleState, arrivals: Arrivals) -> tuple[Rows, Rows]:
    """The rules that the arrivals could change, ascending, and for each its index in the arrivals.

    It may name too many, never too few: what it names is judged exactly afterwards.
    """
    place = arrivals.place
    marked = (
        (arrivals.highest > rules.ceiling[place])
        | (arrivals.lowest < rules.floor[place])
        | (arrivals.bad & rules.watched[place])
        | (arrivals.silence >= rules.stale_age[place])
    )
    if len(arrivals) == len(rules.points):
        marked[rules.place[np.flatnonzero(state.phase)]] = True
    else:
        rows, owner = rules.rows_of(place)
        marked[owner[state.phase[rows] != Phase.IDLE]] = True
    suspects = np.flatnonzero(marked)
    if not len(suspects):
        return suspects, suspects
    rows, owner = rules.rows_of(place[suspects])
    arrival = suspects[owner]
    chosen = may_change(rules, state, arrivals, rows, arrival)
    return rows[chosen], arrival[chosen]


def may_change(rules: RuleTable, state: RuleState, arrivals: Arrivals, rows: Rows, arrival: Rows) -> Bools:
    """Which of these rules their point's readings could change."""
    kind, phase, limit, deadband = rules.kind[rows], state.phase[rows], rules.limit[rows], rules.deadband[rows]
    highest, lowest = arrivals.highest[arrival], arrivals.lowest[arrival]
    upper = kind <= RuleKind.H
    violated = np.where(upper, highest > limit, lowest < limit)
    ended = np.where(upper, lowest <= limit - deadband, highest >= limit + deadband)
    unknown = arrivals.bad[arrival]
    quality = np.flatnonzero(kind == RuleKind.BAD_QUALITY)
    violated[quality], ended[quality], unknown[quality] = unknown[quality], arrivals.usable[arrival[quality]], False

    chosen = np.where((phase == Phase.IDLE) | (phase == Phase.LATCHED), violated, ended)
    waits = np.flatnonzero(DELAYED[phase])
    due = state.due[rows[waits]]
    chosen[waits] = (
        np.where(phase[waits] == Phase.RETURNING, violated[waits], ended[waits])
        | unknown[waits]
        # A gap that voids the delay is longer than the value holds, so it reaches beyond due as well.
        | (due <= arrivals.reached[arrival[waits]])
        # The value did not hold long enough for the delay; with these readings it may.
        | (due == FOREVER)
    )
    stale = np.flatnonzero(kind == RuleKind.STALE)
    overdue = arrivals.silence[arrival[stale]] >= rules.max_age[rows[stale]]
    chosen[stale] = overdue | (phase[stale] == Phase.ACTIVE)
    return chosen
