"""What people reset, put in its place among the transitions that readings and delays caused."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from park_sdk.frame import NEVER, Int64s, Rows
from park_sdk.judge import Judgement
from park_sdk.rules import Change, Phase, RuleState, RuleTable, Transitions
from park_sdk.spans import begins, ends

UNLATCHED: Final = np.array(
    [Phase.IDLE, Phase.PENDING, Phase.ACTIVE, Phase.RETURNING, Phase.IDLE, Phase.PENDING], np.uint8
)
"""By Phase: what a reset makes of it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Resets that were asked for. row: in the rule table. at: event time in µs."""

    row: Rows
    at: Int64s

    @staticmethod
    def of(row: Rows | None, at: Int64s | None) -> "Asked":
        """The resets as they were passed in.

        Raises:
            ValueError: there is not one time for each row.
        """
        rows = np.empty(0, np.intp) if row is None else row
        times = np.empty(0, np.int64) if at is None else at
        if len(rows) != len(times):
            raise ValueError(f"{len(rows)} rules to reset but {len(times)} times in reset_at: give one time for each")
        return Asked(rows, times)


def take_resets(
    rules: RuleTable, state: RuleState, judged: Judgement, asked: Asked
) -> tuple[NDArray[np.uint8], Int64s, Transitions]:
    """The phases and since of the judged rules after the resets, and all transitions, ordered by (at, row).

    A reset takes effect if what came just before it on its rule left the rule latched. After a delay and a reading of
    the same instant it comes last.
    """
    moved = judged.moved
    if not len(asked.row):
        return judged.phase, judged.since, moved.take(np.lexsort((moved.row, moved.at)))
    nothing = np.full(len(asked.row), np.nan)
    resets = Transitions(asked.row, np.full(len(asked.row), Change.RESET, np.uint8), asked.at, nothing)
    story = Transitions.joined([moved, resets])
    # The sort is stable: in one instant the resets stay behind what they were joined to.
    story = story.take(np.lexsort((story.at, story.row)))
    first = begins(story.row)
    phase = state.phase[story.row]
    latched = (phase == Phase.LATCHED) | (phase == Phase.RELAPSING)
    before = np.flatnonzero(~first) - 1
    latched[before + 1] = (story.change[before] == Change.CLEARED) & rules.latch[story.row[before]]
    is_reset = story.change == Change.RESET
    final, since = judged.phase.copy(), judged.since.copy()
    ended_by_reset = np.searchsorted(judged.row, story.row[ends(story.row) & is_reset])
    unlatched = UNLATCHED[final[ended_by_reset]]
    final[ended_by_reset] = unlatched
    since[ended_by_reset] = np.where(unlatched == Phase.IDLE, NEVER, since[ended_by_reset])
    kept = story.take(np.flatnonzero(~is_reset | latched))
    return final, since, kept.take(np.lexsort((kept.row, kept.at)))
