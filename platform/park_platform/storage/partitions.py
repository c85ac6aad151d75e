"""Keeping partitions: enough of them ahead, and none older than the park keeps raw readings."""

from dataclasses import dataclass
from typing import Final

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.engine import DAY_US, SeriesTable
from park_platform.storage.engines.store import Store, open_store
from park_platform.storage.roles import as_owner

AHEAD_DAYS: Final = 7
_BACK_DAYS: Final = 2
# A rollup that is recomputed for the oldest day may need what held when that day began.
_SPARE_DAYS: Final = 1
_TABLES: Final[tuple[SeriesTable, ...]] = ("reading", "rollup_1m")


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round did: how many partitions were made, which were dropped, which could not be yet."""

    made: int
    dropped: tuple[str, ...]
    busy: tuple[str, ...]


def keep_partitions(connection: Connection, now: int) -> Kept:
    """One round of `park operate`, often enough every hour; `now` in µs. Rollups are kept for ever.

    The connection is in autocommit mode outside a transaction. Raises StoreUnavailable when a lock can't be had.
    """
    with database_errors():
        store = open_store(connection)
        with as_owner(connection):
            made = _make(connection, store, now, now + AHEAD_DAYS * DAY_US)
            dropped = store.engine.drop_before(connection, "reading", store.oldest_kept(now) - _SPARE_DAYS * DAY_US)
    return Kept(made, dropped.gone, dropped.busy)


def make_first_partitions(connection: Connection) -> None:
    """The partitions of a new database: some days ahead, and the last ones, which gateways may still hold."""
    store = open_store(connection)
    row = connection.execute("SELECT us_of(clock_timestamp())").fetchone()
    now = int(row[0]) if row else 0
    _make(connection, store, now - _BACK_DAYS * DAY_US, now + AHEAD_DAYS * DAY_US)


def _make(connection: Connection, store: Store, start: int, end: int) -> int:
    # The day that `end` falls on is made too.
    return sum(store.engine.make_partitions(connection, table, start, end + 1) for table in _TABLES)
