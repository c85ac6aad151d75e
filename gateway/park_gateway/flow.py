"""How much of a lane is on its way, and when to begin again: go-back-N with a timer, without any I/O."""

import random
from dataclasses import dataclass
from typing import Final

FIRST_TIMEOUT_S: Final = 1.0
MOST_TIMEOUT_S: Final = 30.0
_JITTER: Final = 0.2

_random: Final = random.SystemRandom()


@dataclass(slots=True)
class Flow:
    """One lane on one connection. Seqs from `oldest` on are unacknowledged, those from `next` on not sent yet.

    `window` is how many may be unacknowledged. `due` is when to begin again at the oldest, in loop time; None when
    nothing is on its way.
    """

    window: int
    oldest: int
    next: int
    due: float | None = None
    timeout_s: float = FIRST_TIMEOUT_S

    def room(self, next_seq: int) -> int:
        """How many may be sent now of a lane whose next batch will have `next_seq`."""
        return max(0, min(next_seq, self.oldest + self.window) - self.next)

    def send(self, seq: int, now: float) -> None:
        """Note that all up to `seq` were sent."""
        self.next = max(self.next, seq + 1)
        if self.due is None:
            self.due = now + self.timeout_s

    def acknowledge(self, oldest: int, now: float) -> None:
        """Note what is the oldest unacknowledged now; if that has moved, the timer starts anew at its shortest."""
        if oldest <= self.oldest:
            return
        self.oldest = oldest
        self.next = max(self.next, oldest)
        self.timeout_s = FIRST_TIMEOUT_S
        self.due = now + self.timeout_s if self.next > self.oldest else None

    def restart(self) -> bool:
        """Go back to the oldest at once, with the timer at its shortest; whether anything was on its way."""
        was_sent = self.next > self.oldest
        self.next = self.oldest
        self.due = None
        self.timeout_s = FIRST_TIMEOUT_S
        return was_sent

    def expire(self, now: float) -> bool:
        """If the timer has run out, go back to the oldest and wait longer next time; whether that was so."""
        if self.due is None or now < self.due:
            return False
        self.next = self.oldest
        self.due = None
        self.timeout_s = min(MOST_TIMEOUT_S, 2 * self.timeout_s) * (1 - _JITTER * _random.random())
        return True
