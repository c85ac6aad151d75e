"""The alarm kernel: which alarms do these readings raise and clear, and when.

Pure: it reads the image and the state and returns what is to change, so that a transaction that fails leaves no trace
in memory. Its cost follows the points in the frame and the delays that end, not the rules of the table. It knows event
time only, and its answer does not depend on how readings were cut into frames.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from park_sdk.arrivals import Arrivals, find_slots, group, select
from park_sdk.frame import FOREVER, NEVER, Frame, Image, Int64s, Rows
from park_sdk.judge import Chosen, Judgement, judge_limits, judge_stale
from park_sdk.resets import Asked, take_resets
from park_sdk.rules import NO_TRANSITIONS, Phase, RuleKind, RuleState, RuleTable, StateChanges, Transitions
from park_sdk.spans import BLOCK, among, block_rows, later, united

TOGETHER: Final = 1 << 14
"""How many rules are judged at once: their arrays stay in the processor's cache."""

NO_ROWS: Final = np.empty(0, np.intp)
NO_TIMES: Final = np.empty(0, np.int64)


def evaluate(
    rules: RuleTable,
    frame: Frame,
    image: Image,
    state: RuleState,
    *,
    until: int = NEVER,
    resets: Rows | None = None,
    reset_at: Int64s | None = None,
) -> tuple[StateChanges, Transitions]:
    """Judge the readings of a frame, the delays that end up to `until`, and what people reset.

    Reads `image` and `state` and writes neither: once the result is committed, call `state.apply(changes)` and
    `image.show(frame)`. Points of the frame that have no rule are passed over and need not be in the image.

    A reset is an event of its rule's point: stamp it with the later of `until` and the point's newest reading, because
    a delay that ends by then ends before it. A reading of the same instant comes before the reset too. A reset that
    meets no latched alarm does nothing: the transitions have no RESET of that row and time.

    Args:
        rules: The rules of a stream.
        frame: Sorted by (point, time), no two rows with equal (point, time), none at or before its point's time in
            the image.
        image: The last readings before the frame.
        state: Where the rules stand before the frame.
        until: Event time in µs before which nothing older will follow; NEVER if that is not known.
        resets: Rows of the rule table that people reset.
        reset_at: i64, the event time in µs of each of `resets`.

    Raises:
        ValueError: A point of the frame has a rule and is not in the image, or a reset has no time.
    """
    asked = Asked.of(resets, reset_at)
    if not len(rules):
        return StateChanges.of_no_rule(NO_ROWS, NO_ROWS, NO_TIMES), NO_TRANSITIONS
    arrivals = group(rules, frame, image, until)
    awake, over = end_delays(state, until)
    looked, bounds, aged = look_at_stale(rules, image, state, until)
    others = np.concatenate([over, aged, asked.row])
    chosen = choose(rules, state, image, arrivals, others, until=until, asked=asked)
    if not len(chosen):
        return StateChanges.of_no_rule(awake, looked, bounds), NO_TRANSITIONS
    judged = judge(rules, state, chosen, frame, image)
    phase, since, transitions = take_resets(rules, state, judged, asked)
    row = judged.row
    differs = (phase != state.phase[row]) | (since != state.since[row]) | (judged.due != state.due[row])
    armed, due = arm_stale(rules, frame, chosen, image, phase)
    blocks, wake = lower_bounds(state, looked, bounds, armed, due)
    changes = StateChanges(
        row[differs], phase[differs], since[differs], judged.due[differs], awake, blocks, wake
    )  # fmt: skip
    return changes, transitions


def end_delays(state: RuleState, until: int) -> tuple[Rows, Rows]:
    """The blocks that `until` wakes, and the rules in them whose delay ends by then."""
    awake = np.flatnonzero(state.wake <= until) if until > NEVER else NO_ROWS
    if not len(awake):
        return awake, awake
    rows = block_rows(awake, len(state.due))
    return awake, rows[state.due[rows] <= until]


def look_at_stale(rules: RuleTable, image: Image, state: RuleState, until: int) -> tuple[Rows, Int64s, Rows]:
    """The blocks of STALE rules that `until` wakes, their new bounds, and the rules whose point may be too old."""
    blocks = -(-len(rules.stale) // BLOCK)
    awake = np.flatnonzero(state.stale_wake[:blocks] <= until) if until > NEVER else NO_ROWS
    if not len(awake):
        return awake, NO_TIMES, awake
    rows = rules.stale[block_rows(awake, len(rules.stale))]
    seen = image.time[find_slots(image, rules.point[rows])]
    # What is stale, or was never read, gets its due again with its next reading (arm_stale).
    asleep = (seen == NEVER) | (state.phase[rows] == Phase.ACTIVE)
    due = np.where(asleep, FOREVER, later(seen, rules.max_age[rows]))
    over = due <= until
    bounds = np.minimum.reduceat(np.where(over, FOREVER, due), np.arange(len(awake)) * BLOCK)
    return awake, bounds, rows[over]


def choose(
    rules: RuleTable, state: RuleState, image: Image, arrivals: Arrivals, others: Rows, *, until: int, asked: Asked
) -> Chosen:
    """The rules to judge: those that the arrivals could change, and `others`."""
    row, arrival = select(rules, state, arrivals)
    slot, first, count = arrivals.slot[arrival], arrivals.first[arrival], arrivals.count[arrival]
    if len(others):
        extra = united(others[~among(others, row)])
        order = np.argsort(np.concatenate([row, extra]))
        extra_first, extra_count = find_arrival(arrivals, rules.place[extra])
        row = np.concatenate([row, extra])[order]
        slot = np.concatenate([slot, find_slots(image, rules.point[extra])])[order]
        first = np.concatenate([first, extra_first])[order]
        count = np.concatenate([count, extra_count])[order]
    untils = np.full(len(row), until)
    np.maximum.at(untils, np.searchsorted(row, asked.row), asked.at)
    return Chosen(row, slot, first, count, untils)


def find_arrival(arrivals: Arrivals, place: Rows) -> tuple[Rows, Rows]:
    """Where the readings of these points begin in the frame, and how many there are: often none."""
    if not len(arrivals):
        return np.zeros_like(place), np.zeros_like(place)
    arrival = np.minimum(np.searchsorted(arrivals.place, place), len(arrivals) - 1)
    arrived = arrivals.place[arrival] == place
    return np.where(arrived, arrivals.first[arrival], 0), np.where(arrived, arrivals.count[arrival], 0)


def judge(rules: RuleTable, state: RuleState, chosen: Chosen, frame: Frame, image: Image) -> Judgement:
    """Judge the chosen rules, each kind in its way; the result is in the order of the chosen."""
    stale = rules.kind[chosen.row] == RuleKind.STALE
    limits = chosen.take(np.flatnonzero(~stale)) if stale.any() else chosen
    parts = [
        judge_limits(rules, state, limits.take(slice(start, start + TOGETHER)), frame, image)
        for start in range(0, len(limits), TOGETHER)
    ]
    if stale.any():
        parts.append(judge_stale(rules, state, chosen.take(np.flatnonzero(stale)), frame, image))
    return Judgement.joined(parts)


def arm_stale(
    rules: RuleTable, frame: Frame, chosen: Chosen, image: Image, phase: NDArray[np.uint8]
) -> tuple[Rows, Int64s]:
    """The blocks of the judged STALE rules that wait for their point to grow too old, and when it will have."""
    waits = np.flatnonzero((rules.kind[chosen.row] == RuleKind.STALE) & (phase != Phase.ACTIVE))
    armed = chosen.take(waits)
    seen = image.time[armed.slot]
    arrived = armed.count > 0
    seen[arrived] = frame.time[(armed.first + armed.count - 1)[arrived]]
    due = np.where(seen == NEVER, FOREVER, later(seen, rules.max_age[armed.row]))
    return np.searchsorted(rules.stale, armed.row) // BLOCK, due


def lower_bounds(state: RuleState, looked: Rows, bounds: Int64s, armed: Rows, due: Int64s) -> tuple[Rows, Int64s]:
    """The blocks of stale_wake that change, and their bounds after what was looked at and what was armed."""
    blocks = united(looked, armed)
    wake = state.stale_wake[blocks]
    wake[np.searchsorted(blocks, looked)] = bounds
    np.minimum.at(wake, np.searchsorted(blocks, armed), due)
    return blocks, wake
