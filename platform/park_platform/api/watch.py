"""One thread that looks into the database for the live side: journal lines, `latest` where values were missed, changes.

A NOTIFY wakes it; without one it looks every second, so that a lost hint costs a second and nothing else.
"""

import threading
import time
from typing import Final

import numpy as np
import structlog

from park_platform.api.hub import Hub
from park_platform.storage.alarm_queries import (
    TailLine,
    journal_after,
    journal_ends,
    listen_to_journal,
    wait_for_journal,
)
from park_platform.storage.connect import Connection, connect
from park_platform.storage.latest import read_latest
from park_platform.storage.points import config_seq, point_ids
from park_platform.storage.roles import check_roles
from park_platform.storage.scope import WHOLE_PARK, scoped
from park_sdk.frame import NEVER
from park_wire.errors import ParkError

log = structlog.get_logger()

LOOK_EVERY_S: Final = 1.0
_WAITS: Final = 5
WITHOUT_BROKER_EVERY_S: Final = 5.0


class Watch:
    """Runs from `start` to `stop`, through every outage of the database."""

    def __init__(self, database_url: str, hub: Hub) -> None:
        self._url = database_url
        self._hub = hub
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._ends: dict[int, int] | None = None
        self._said_lost = False
        self._without_broker_at = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End within a fraction of a second, or when a statement that runs has ended."""
        self._ending.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                with connect(self._url, "park serve watch") as connection:
                    check_roles(connection, "api")
                    listen_to_journal(connection)
                    self._hub.want_all()
                    while not self._ending.is_set():
                        self.look(connection)
                        self._found()
                        self._wait(connection)
            except ParkError as error:
                self._lost(error)
                self._ending.wait(LOOK_EVERY_S)

    def _wait(self, connection: Connection) -> None:
        # In short waits, so that the end of the process need not wait for a whole one.
        for _ in range(_WAITS):
            if self._ending.is_set() or wait_for_journal(connection, LOOK_EVERY_S / _WAITS):
                return

    def look(self, connection: Connection) -> None:
        """Pass on what is new."""
        with scoped(connection, WHOLE_PARK):
            self._hub.config_seq = config_seq(connection)
            lines = self._new_lines(connection)
            self._read_latest(connection)
        self._hub.tell(lines)

    def _new_lines(self, connection: Connection) -> list[TailLine]:
        now = journal_ends(connection)
        if self._ends is None:
            # What was committed before this process began is no news; it is in the list of alarms.
            self._ends = now
            return []
        grown = {stream: self._ends.get(stream, 0) for stream, end in now.items() if end > self._ends.get(stream, 0)}
        lines = journal_after(connection, grown) if grown else []
        for line in lines:
            self._ends[line.stream_id] = line.seq
        return lines

    def _read_latest(self, connection: Connection) -> None:
        hub = self._hub
        if not hub.broker_up and time.monotonic() >= self._without_broker_at:
            self._without_broker_at = time.monotonic() + WITHOUT_BROKER_EVERY_S
            hub.want_all()
        wanted = hub.wanted()
        if not wanted.all and not wanted.streams:
            return
        ids = point_ids(connection, None if wanted.all else list(wanted.streams))
        latest = read_latest(connection, np.array(ids, np.int32))
        image = latest.image
        seen = image.time != NEVER
        hub.board.show(image.point[seen], image.time[seen], image.value[seen], image.quality[seen])
        hub.satisfy(wanted, latest.seq)

    def _found(self) -> None:
        if self._said_lost:
            log.info("database_back")
        self._said_lost = False
        self._hub.looked(found=True)

    def _lost(self, error: ParkError) -> None:
        if not self._said_lost:
            self._said_lost = True
            log.warning("database_lost", reason=str(error))
        self._hub.looked(found=False)
