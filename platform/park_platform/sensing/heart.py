"""The beat that proves a worker's life."""

import threading
import time
from typing import Final
from uuid import UUID

import structlog

from park_platform.storage.connect import connect
from park_platform.storage.workers import BEAT_EVERY_S, beat
from park_wire.errors import StoreError, StoreUnavailable

log = structlog.get_logger()

# Longer than the slowest commit: whoever waits for a slow disk lives, and taking its streams would help nobody. A main
# loop that has not come round for so long hangs.
_STALLED_S: Final = 30.0


class Heart:
    """Beats in a thread and on a connection of its own, as long as the main loop shows that it goes round.

    A process that is killed or frozen stops beating at once.
    """

    def __init__(self, url: str, worker: UUID) -> None:
        self._url = url
        self._worker = worker
        self._seen = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._failed = False

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has ended."""
        self._stopping.set()
        self._thread.join(5)

    def check(self) -> None:
        """The main loop goes round. Raises StoreUnavailable when the beat has ended."""
        self._seen = time.monotonic()
        if self._failed:
            raise StoreUnavailable("this worker's beat was missing for too long, or its connection ended")

    def _run(self) -> None:
        try:
            with connect(self._url, "park ingest heart") as connection:
                while not self._stopping.wait(BEAT_EVERY_S):
                    if time.monotonic() - self._seen < _STALLED_S and not beat(connection, self._worker):
                        break
        except StoreError as error:
            log.warning("heart_stopped", reason=str(error))
        self._failed = not self._stopping.is_set()
