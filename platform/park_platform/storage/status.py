"""The database in figures, for `park db status`."""

from dataclasses import dataclass
from typing import Literal

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.engine import Partition, SeriesTable
from park_platform.storage.engines.store import open_store
from park_platform.storage.engines.timescale import Timescale


@dataclass(frozen=True, slots=True)
class SeriesStatus:
    """One table of series: how many partitions or chunks, rows by the server's statistics, bytes with indexes.

    oldest and newest: µs, the span of its partitions that hold rows; None while there are none.
    """

    table: SeriesTable
    partitions: int
    rows: int
    size_bytes: int
    oldest: int | None
    newest: int | None

    @property
    def bytes_per_row(self) -> float | None:
        """What a row costs on the disk."""
        return self.size_bytes / self.rows if self.rows else None


@dataclass(frozen=True, slots=True)
class DbStatus:
    """The database as it is. `edition`: of TimescaleDB, None on the engine plain."""

    database: str
    server: str
    schema: str
    engine: str
    edition: Literal["apache", "tsl"] | None
    raw_days: int
    size_bytes: int
    series: tuple[SeriesStatus, ...]


def db_status(connection: Connection) -> DbStatus:
    """Look at sizes and partitions; cheap, counts nothing. Raises StoreError when the database was not migrated."""
    store = open_store(connection)
    with database_errors():
        row = connection.execute(
            """
            SELECT current_database(), current_setting('server_version'), version_num,
                   pg_database_size(current_database()) FROM alembic_version
            """
        ).fetchone()
        assert row is not None  # noqa: S101 - alembic keeps one row
        database, server, schema, size = row
        return DbStatus(
            database=database,
            server=server,
            schema=schema,
            engine=store.engine.name,
            edition=store.engine.edition(connection) if isinstance(store.engine, Timescale) else None,
            raw_days=store.raw_days,
            size_bytes=size,
            series=(
                _series("reading", store.engine.partitions(connection, "reading")),
                _series("rollup_1m", store.engine.partitions(connection, "rollup_1m")),
            ),
        )


def _series(table: SeriesTable, partitions: list[Partition]) -> SeriesStatus:
    filled = [partition for partition in partitions if partition.rows > 0]
    return SeriesStatus(
        table=table,
        partitions=len(partitions),
        rows=sum(partition.rows for partition in filled),
        # Empty partitions, made ahead, would distort what a row costs.
        size_bytes=sum(partition.size_bytes for partition in filled),
        oldest=min((partition.start for partition in filled), default=None),
        newest=max((partition.end for partition in filled), default=None),
    )
