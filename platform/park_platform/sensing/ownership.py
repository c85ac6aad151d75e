"""Which worker owns which stream: rendezvous hashing over the living workers, and the beat that proves life."""

import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import structlog

from park_platform.storage.connect import connect
from park_platform.storage.workers import BEAT_EVERY_S, StreamRow, beat
from park_wire.errors import StoreError

log = structlog.get_logger()

# A main loop that has not come round for so long does not deserve its streams.
_STALLED_S: Final = 30.0


def chosen_worker(stream: str, workers: Sequence[UUID]) -> UUID:
    """The worker that should own a stream: the highest hash of (stream, worker). `workers` must not be empty."""
    return max(workers, key=lambda worker: hashlib.sha256(stream.encode() + worker.bytes).digest())


def to_take(rows: Iterable[StreamRow], worker: UUID, living: Sequence[UUID]) -> list[StreamRow]:
    """The free or abandoned streams that fall to this worker."""
    return [row for row in rows if (row.owner is None or row.abandoned) and chosen_worker(row.name, living) == worker]


def to_release(rows: Iterable[StreamRow], worker: UUID, living: Sequence[UUID]) -> list[StreamRow]:
    """The streams that this worker owns and another living worker should."""
    return [row for row in rows if row.owner == worker and chosen_worker(row.name, living) != worker]


class Heart:
    """Beats in a thread of its own, as long as the main loop shows that it goes round."""

    def __init__(self, url: str, worker: UUID) -> None:
        self._url = url
        self._worker = worker
        self._seen = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self.failed = False

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has ended."""
        self._stopping.set()
        self._thread.join(5)

    def seen(self) -> None:
        """The main loop went round."""
        self._seen = time.monotonic()

    def _run(self) -> None:
        try:
            with connect(self._url, "park ingest heart") as connection:
                while not self._stopping.wait(BEAT_EVERY_S):
                    if time.monotonic() - self._seen < _STALLED_S and not beat(connection, self._worker):
                        break
        except StoreError as error:
            log.warning("heart_stopped", reason=str(error))
        self.failed = not self._stopping.is_set()
