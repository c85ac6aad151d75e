"""Where live values and alarms meet the clients of this process: one board, one bounded box for each client.

Values come from the feed (MQTT) and, for a stream whose sequence has a hole, from the watch (database). Nothing here
knows a socket, and nothing is kept for a client but alarm lines: a slow one costs no memory.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_platform.api.board import Board, Values
from park_platform.storage.alarm_queries import TailLine
from park_platform.storage.scope import Scope
from park_sdk.frame import Int32s
from park_wire.messages import LiveValues

MOST_CLIENTS: Final = 200
MOST_CLIENTS_OF_ONE: Final = 8
MOST_LINES: Final = 1_000
RATE_WINDOW_S: Final = 10
LOOKED_WITHIN_S: Final = 5.0


class Client:
    """What waits for one live stream. Lives in the event loop's thread."""

    def __init__(self, person: str, scope: Scope, points: Int32s) -> None:
        self.person = person
        self.scope = scope
        self.points = points
        self.wake = asyncio.Event()
        self._seen = 0
        self._lines: deque[TailLine] = deque(maxlen=MOST_LINES)
        self._missed_lines = False

    def offer(self, lines: Sequence[TailLine]) -> None:
        """Keep the lines that this client may see; too many of them become one word that lines were missed."""
        visible = [line for line in lines if self.scope.sees(line.enterprise)]
        if not visible:
            return
        self._missed_lines = self._missed_lines or len(self._lines) + len(visible) > MOST_LINES
        self._lines.extend(visible)
        self.wake.set()

    def take_lines(self) -> tuple[list[TailLine], bool]:
        """The waiting lines, and whether older ones were missed."""
        taken, missed = list(self._lines), self._missed_lines
        self._lines.clear()
        self._missed_lines = False
        self.wake.clear()
        return taken, missed

    def take_values(self, board: Board) -> Values:
        """What changed on the board since the last call, of this client's points."""
        values, self._seen = board.since(self.points, self._seen)
        return values

    def look_anew(self, scope: Scope, points: Int32s) -> bool:
        """Take over what the client may see now; True when that differs, and the next values are all values."""
        if scope == self.scope and np.array_equal(points, self.points):
            return False
        self.scope, self.points, self._seen = scope, points, 0
        return True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `latest` must be read for: everything (`number` tells which outage), or streams up to a sequence."""

    number: int
    all: bool
    streams: Mapping[str, int]


class Hub:
    """The live side of one `park serve`."""

    def __init__(self) -> None:
        self.board = Board()
        self.broker_up = False
        self.config_seq = -1
        self._looked_at = -math.inf
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._last_seq: dict[str, int] = {}
        self._wanted_seq: dict[str, int] = {}
        self._missed = 1
        self._made_good = 0
        self._counts: dict[str, deque[tuple[float, int]]] = {}

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say in which event loop the clients live."""
        self._loop = loop

    @property
    def database_up(self) -> bool:
        """Whether the database was looked into lately; a watch that hangs or has died counts as a database lost."""
        return time.monotonic() - self._looked_at < LOOKED_WITHIN_S

    # clients, in the event loop's thread ------------------------------------------------------------------------

    def join(self, client: Client) -> bool:
        """Let a client in; False when there are too many, of this person or together."""
        own = sum(other.person == client.person for other in self._clients)
        if len(self._clients) >= MOST_CLIENTS or own >= MOST_CLIENTS_OF_ONE:
            return False
        self._clients.add(client)
        return True

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)

    @property
    def clients(self) -> int:
        """How many live streams are open."""
        return len(self._clients)

    def _offer(self, lines: Sequence[TailLine]) -> None:
        for client in self._clients:
            client.offer(lines)

    # from the feed and the watch, in their threads ---------------------------------------------------------------

    def looked(self, *, found: bool) -> None:
        """The watch has looked into the database; `found` false: it could not."""
        self._looked_at = time.monotonic() if found else -math.inf

    def tell(self, lines: Sequence[TailLine]) -> None:
        """Pass journal lines on to every client."""
        if self._loop is not None and lines:
            self._loop.call_soon_threadsafe(self._offer, lines)

    def receive(self, values: LiveValues) -> None:
        """Show what a stream just committed; a hole in its sequence makes the watch read `latest`."""
        with self._lock:
            last = self._last_seq.get(values.stream)
            if last is None or values.seq != last + 1:
                self._wanted_seq[values.stream] = values.seq - 1
            self._last_seq[values.stream] = values.seq
            self._counts.setdefault(values.stream, deque()).append((time.monotonic(), len(values.point)))
        self.board.show(
            np.array(values.point, np.int32),
            np.array(values.time, np.int64),
            np.array(values.value, np.float64),
            np.array(values.quality, np.int32).astype(np.int16),
        )

    def want_all(self) -> None:
        """Something may have been missed on every stream: the broker or the database was away."""
        with self._lock:
            self._missed += 1
            self._last_seq.clear()

    def wanted(self) -> Wanted:
        """What `latest` must be read for."""
        with self._lock:
            return Wanted(self._missed, self._missed != self._made_good, dict(self._wanted_seq))

    def satisfy(self, wanted: Wanted, read: Mapping[str, int]) -> None:
        """`latest` was read and shown, of these streams up to these sequences: holes that it covers are closed."""
        with self._lock:
            if wanted.all:
                self._made_good = wanted.number
            for stream, seq in read.items():
                if self._wanted_seq.get(stream, seq + 1) <= seq:
                    del self._wanted_seq[stream]

    def rates(self) -> dict[str, float]:
        """Values per second by stream, over the last 10 s."""
        now = time.monotonic()
        with self._lock:
            for counts in self._counts.values():
                while counts and counts[0][0] < now - RATE_WINDOW_S:
                    counts.popleft()
            return {stream: sum(n for _, n in counts) / RATE_WINDOW_S for stream, counts in self._counts.items()}
