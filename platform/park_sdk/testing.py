"""What a test of rules needs: frames from plain numbers, and a stand that plays them through the kernel."""

from collections.abc import Iterable, Sequence

import numpy as np

from park_sdk.evaluate import evaluate
from park_sdk.frame import NEVER, Frame, Image
from park_sdk.rules import Rule, RuleState, RuleTable, Transitions


def frame_of(readings: Iterable[tuple[int, int, float, int]]) -> Frame:
    """The frame of these readings (point, time in µs, value, quality), sorted as `evaluate` wants it."""
    rows = sorted(readings, key=lambda reading: reading[:2])
    return Frame(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.int16),
    )


class Stand:
    """Rules with their image and state, as the owner of a stream holds them; `feed` is one tick and its commit."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = RuleTable.of(rules)
        self.image = Image.blank(self.rules.points)
        self.state = RuleState.idle(len(self.rules))

    def feed(self, frame: Frame, until: int = NEVER, resets: Sequence[tuple[int, int]] = ()) -> Transitions:
        """Evaluate a frame and install what follows from it.

        Args:
            frame: As `evaluate` wants it.
            until: Event time in µs before which nothing older will follow.
            resets: Row of the rule table and event time in µs of each.
        """
        changes, transitions = evaluate(
            self.rules,
            frame,
            self.image,
            self.state,
            until=until,
            resets=np.array([row for row, _ in resets], np.intp),
            reset_at=np.array([at for _, at in resets], np.int64),
        )
        self.state.apply(changes)
        ruled = frame.take(np.isin(frame.point, self.image.point))
        self.image.show(ruled)
        return transitions
