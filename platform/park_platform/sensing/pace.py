"""How many backfill batches a gateway may have on their way: fewer while the database is slow (chain: credit)."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

MOST_CREDIT: Final = 16
SLOW_S: Final = 0.5
"""A commit that takes longer, at the 99th percentile, holds up live alarms."""
_WINDOW_S: Final = 10.0


@dataclass(slots=True)
class Pace:
    """The durations of a worker's commits of the last ten seconds, and the credit that follows from them."""

    credit: int = MOST_CREDIT
    _commits: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])
    _changed_at: float = float("-inf")

    def note(self, took_s: float, now_s: float) -> None:
        """Count a commit that ended at `now_s` of a monotonic clock.

        The credit is halved while the 99th percentile exceeds SLOW_S, once in ten seconds, and doubled when it does
        not: what a change brings is seen before the next.
        """
        commits = self._commits
        commits.append((now_s, took_s))
        while commits[0][0] < now_s - _WINDOW_S:
            commits.popleft()
        if now_s - self._changed_at < _WINDOW_S:
            return
        credit = max(1, self.credit // 2) if self.p99_s() > SLOW_S else min(MOST_CREDIT, self.credit * 2)
        if credit != self.credit:
            self.credit, self._changed_at = credit, now_s

    def p99_s(self) -> float:
        """The duration, in seconds, that 99 of 100 commits of the window do not exceed; 0 when there was none."""
        took = sorted(took_s for _, took_s in self._commits)
        return took[(len(took) * 99 + 99) // 100 - 1] if took else 0.0
