"""A brake on sign-in: how often an address may fail in a minute.

Tokens of 256 bits can't be guessed; what this bounds is the work and the log lines that guessing costs.
"""

import threading
from collections import deque
from typing import Final

MOST_PER_SOURCE: Final = 10
_MOST_KEPT: Final = 10_000
WINDOW_S: Final = 60.0


class Attempts:
    """Failures of the last minute, in memory; safe to use from many threads."""

    def __init__(self) -> None:
        self._failures: deque[tuple[float, str]] = deque(maxlen=_MOST_KEPT)
        self._lock = threading.Lock()

    def wait_s(self, source: str, now: float) -> float:
        """How long this address must wait before its next attempt; 0 when it may try. `now` is monotonic seconds."""
        with self._lock:
            self._forget(now)
            own = [at for at, who in self._failures if who == source]
            if len(own) >= MOST_PER_SOURCE:
                return own[0] + WINDOW_S - now
            return 0.0

    def failed(self, source: str, now: float) -> None:
        """Count a failure."""
        with self._lock:
            self._forget(now)
            self._failures.append((now, source))

    def _forget(self, now: float) -> None:
        while self._failures and self._failures[0][0] <= now - WINDOW_S:
            self._failures.popleft()
