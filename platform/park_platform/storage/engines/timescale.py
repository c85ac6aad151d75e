"""The engine for TimescaleDB, Apache edition or TSL: hypertables, a day of readings a chunk.

TimescaleDB makes a chunk with its first row, so nothing is made ahead.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from psycopg import errors

from park_platform.storage.connect import Connection
from park_platform.storage.engines.engine import Dropped, Partition, SeriesTable


class Timescale:
    """Chunks come with their first row and are dropped one by one."""

    name: ClassVar[str] = "timescale"

    def make_partitions(self, connection: Connection, table: SeriesTable, start: int, end: int) -> int:
        """Nothing is to be made."""
        return 0

    def partitions_for(self, connection: Connection, table: SeriesTable, times: Iterable[int]) -> None:
        """Nothing is to be made."""

    def drop_before(self, connection: Connection, table: SeriesTable, before: int) -> Dropped:
        """Drop the chunks that end at or before `before`."""
        gone: list[str] = []
        leaving = [chunk for chunk in self.partitions(connection, table) if chunk.end <= before]
        for chunk in leaving:
            try:
                with connection.transaction():
                    connection.execute("SET LOCAL lock_timeout = '1s'")
                    connection.execute(
                        "SELECT drop_chunks(%s::regclass, newer_than => at_us(%s), older_than => at_us(%s))",
                        (table, chunk.start, chunk.end),
                    )
            except errors.LockNotAvailable:
                break
            gone.append(chunk.name)
        return Dropped(tuple(gone), tuple(chunk.name for chunk in leaving[len(gone) :]))

    def partitions(self, connection: Connection, table: SeriesTable) -> list[Partition]:
        """Every chunk, the oldest first."""
        rows = connection.execute(
            """
            SELECT c.chunk_name, us_of(c.range_start), us_of(c.range_end), s.total_bytes,
                   CASE WHEN k.reltuples > 0 THEN k.reltuples::bigint ELSE pg_stat_get_live_tuples(k.oid) END
            FROM timescaledb_information.chunks c
            JOIN chunks_detailed_size(%(table)s::regclass) s USING (chunk_schema, chunk_name)
            JOIN pg_class k ON k.oid = format('%%I.%%I', c.chunk_schema, c.chunk_name)::regclass
            WHERE c.hypertable_schema = 'public' AND c.hypertable_name = %(table)s::text ORDER BY c.range_start
            """,
            {"table": table},
        ).fetchall()
        return [Partition(*row) for row in rows]

    def edition(self, connection: Connection) -> Literal["apache", "tsl"]:
        """Which edition the server has loaded: what the Apache edition lacks is done by our own jobs."""
        row = connection.execute("SHOW timescaledb.license").fetchone()
        return "apache" if row is not None and row[0] == "apache" else "tsl"
