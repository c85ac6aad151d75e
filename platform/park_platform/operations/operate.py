"""`park operate`: the park's housekeeper.

Rollups, park-wide derivations, late readings, partitions, the watch over silent gateways.

One process at a time does it, by a lock in the database; others stand by and take over when it goes.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from park_platform.operations.late_pass import LatePass
from park_platform.operations.park_stream import ParkStream
from park_platform.storage.connect import Connection, connect
from park_platform.storage.partitions import keep_partitions
from park_platform.storage.roles import check_roles
from park_platform.storage.rollups import roll_all
from park_platform.storage.silence import database_clock, hold_operate_lock, watch_silence
from park_sdk.system import System
from park_wire.errors import OwnershipLost, StoreError, StoreUnavailable

log = structlog.get_logger()

SILENT_AFTER_US: Final = 30_000_000
_STAND_BY_S: Final = 2.0


@dataclass(slots=True)
class _Duty:
    """Something to do again and again; `do` returns whether there is more to do at once."""

    name: str
    every_s: float
    do: Callable[[Connection], bool]
    due: float = 0.0
    failed: str = ""


class Operate:
    """The housekeeper as a value: `run` until `stop` is called from another thread or a signal."""

    def __init__(self, db_url: str, systems: Mapping[str, System]) -> None:
        self._db_url = db_url
        self._systems = systems
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End `run` after the duty at hand."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped; a database that is away is waited for.

        Raises ConfigError and StoreError at start, OwnershipLost when another took over: the process should start anew.
        """
        delay_s, lost = 0.2, False
        while not self._stopping.is_set():
            try:
                with connect(self._db_url, "park operate") as connection:
                    check_roles(connection, "operate")
                    if lost:
                        log.info("database_back")
                    delay_s, lost = 0.2, False
                    self._work(connection)
            except StoreUnavailable as error:
                if not lost:
                    log.warning("database_lost", reason=str(error))
                lost = True
                self._stopping.wait(delay_s)
                delay_s = min(delay_s * 2, 5.0)

    def _work(self, connection: Connection) -> None:
        while not hold_operate_lock(connection):
            if self._stopping.wait(_STAND_BY_S):
                return
        log.info("operates")
        park = ParkStream(connection, self._systems, database_clock)
        late = LatePass(connection, self._systems, database_clock)
        duties = [
            _Duty("silence", 1.0, _watch),
            _Duty("rollups", 5.0, _roll),
            _Duty("derivations", 5.0, lambda _: park.advance()),
            _Duty("derivations again", 30.0, lambda _: park.renew()),
            _Duty("late readings", 5.0, lambda _: late.advance()),
            _Duty("partitions", 600.0, _keep),
        ]
        while not self._stopping.wait(0.2):
            for duty in duties:
                if time.monotonic() >= duty.due:
                    more = _do(duty, connection)
                    duty.due = time.monotonic() + (0.0 if more else duty.every_s)


def _do(duty: _Duty, connection: Connection) -> bool:
    """Do it; one duty that fails must not end the watch over silent gateways."""
    try:
        more = duty.do(connection)
    except (StoreUnavailable, OwnershipLost):
        # Whoever lost the park stream has to begin anew: the database was restored, or another works on it.
        raise
    except StoreError as error:
        if duty.failed != str(error):
            log.error("duty_failed", duty=duty.name, reason=str(error))
        duty.failed = str(error)
        return False
    if duty.failed:
        log.info("duty_works_again", duty=duty.name)
        duty.failed = ""
    return more


def _watch(connection: Connection) -> bool:
    for gateway in watch_silence(connection, SILENT_AFTER_US, database_clock(connection)):
        log.warning("gateway_silence_changed", gateway=gateway)
    return False


def _roll(connection: Connection) -> bool:
    return roll_all(connection, database_clock(connection))


def _keep(connection: Connection) -> bool:
    kept = keep_partitions(connection, database_clock(connection))
    if kept.made or kept.dropped or kept.busy:
        log.info("partitions_kept", made=kept.made, dropped=kept.dropped, busy=kept.busy)
    return False
