"""Which engine a database lives on, and how long it keeps raw readings."""

from dataclasses import dataclass
from typing import Final

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.engine import DAY_US, Engine
from park_platform.storage.engines.plain import Plain
from park_platform.storage.engines.timescale import Timescale
from park_wire.errors import StoreError

AHEAD_US: Final = 300_000_000
"""How far in the future a reading's time may lie: a gateway's clock may be a little fast."""


@dataclass(frozen=True, slots=True)
class Store:
    """The engine of a database and its retention, as the installation row says."""

    engine: Engine
    raw_days: int

    def oldest_kept(self, now: int) -> int:
        """The oldest time, µs, that a reading may have: `raw_days` whole UTC days before today."""
        return (now // DAY_US - self.raw_days) * DAY_US

    def newest_kept(self, now: int) -> int:
        """The newest time, µs, that a reading may have."""
        return now + AHEAD_US


def open_store(connection: Connection) -> Store:
    """The store behind a connection. Raises StoreError when the database was not migrated."""
    with database_errors():
        row = connection.execute("SELECT engine, raw_days FROM installation").fetchone()
    if row is None:
        raise StoreError(f'database "{connection.info.dbname}" has no installation row: run `park db migrate`')
    return Store(Plain() if row[0] == "plain" else Timescale(), row[1])
