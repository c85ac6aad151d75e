"""The engine for PostgreSQL as it is: range partitions, a UTC day of readings and a UTC month of rollups each."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import ClassVar, Final

from psycopg import errors, sql

from park_platform.storage.connect import Connection
from park_platform.storage.engines.engine import DAY_US, Dropped, Partition, SeriesTable
from park_wire.errors import StoreUnavailable

_TRIES: Final = 5


class Plain:
    """Partitions are made apart and attached, detached concurrently and dropped: no COPY waits for either."""

    name: ClassVar[str] = "plain"

    def make_partitions(self, connection: Connection, table: SeriesTable, start: int, end: int) -> int:
        """Make what is missing for rows of [start, end), µs, each in a transaction of its own."""
        made = 0
        # A month has several of these days; the second finds its partition there.
        for moment in range(start // DAY_US * DAY_US, end, DAY_US):
            made += _patiently(connection, lambda moment=moment: _make(connection, table, moment))
        return made

    def partitions_for(self, connection: Connection, table: SeriesTable, times: Iterable[int]) -> None:
        """Make what rows of these times (µs) need, in the caller's transaction."""
        for moment in sorted({time // DAY_US * DAY_US for time in times}):
            _make(connection, table, moment)

    def drop_before(self, connection: Connection, table: SeriesTable, before: int) -> Dropped:
        """Detach and drop the partitions that end at or before `before`; finish what a killed call left."""
        gone: list[str] = []
        busy: list[str] = []
        connection.execute("SET lock_timeout = '1s'")
        try:
            leaving = _attached_before(connection, table, before)
            for i, (name, pending) in enumerate(leaving):
                child, parent = sql.Identifier(name), sql.Identifier(table)
                how = sql.SQL("FINALIZE") if pending else sql.SQL("CONCURRENTLY")
                try:
                    connection.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(parent, child, how))
                except errors.LockNotAvailable:
                    # Rows no longer go there, its readers go on; PostgreSQL allows one such partition at a time.
                    busy += [later for later, _ in leaving[i:]]
                    break
            detached = _detached_before(connection, table, before)
            for i, name in enumerate(detached):
                try:
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
                except errors.LockNotAvailable:
                    busy += detached[i:]
                    break
                gone.append(name)
        finally:
            connection.execute("RESET lock_timeout")
        return Dropped(tuple(gone), tuple(busy))

    def partitions(self, connection: Connection, table: SeriesTable) -> list[Partition]:
        """Every attached partition, the oldest first."""
        rows = connection.execute(
            """
            SELECT c.relname, us_of(b.bound[1]::timestamptz), us_of(b.bound[2]::timestamptz),
                   pg_total_relation_size(c.oid),
                   CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                                    $$FROM \\('(.+)'\\) TO \\('(.+)'\\)$$) AS bound) b
            WHERE i.inhparent = %s::regclass ORDER BY b.bound[1]::timestamptz
            """,
            (table,),
        ).fetchall()
        return [Partition(*row) for row in rows]


def _make(connection: Connection, table: SeriesTable, moment: int) -> bool:
    row = connection.execute("SELECT make_partition(%s, at_us(%s))", (table, moment)).fetchone()
    return bool(row and row[0])


def _patiently(connection: Connection, make: Callable[[], bool]) -> bool:
    """Give up a lock after a second and ask again: meanwhile whoever queued behind us goes first."""
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '1s'")
                return make()
        except errors.LockNotAvailable:
            continue
    raise StoreUnavailable(
        f"a partition can't be attached: its table was locked {_TRIES} times for a second; "
        "look in pg_stat_activity for a manual VACUUM, ALTER or CREATE INDEX on it"
    )


def _attached_before(connection: Connection, table: SeriesTable, before: int) -> list[tuple[str, bool]]:
    return connection.execute(
        """
        SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = %s::regclass
          AND (regexp_match(pg_get_expr(c.relpartbound, c.oid), $$TO \\('(.+)'\\)$$))[1]::timestamptz <= at_us(%s)
        ORDER BY NOT i.inhdetachpending, c.relname
        """,
        (table, before),
    ).fetchall()


def _detached_before(connection: Connection, table: SeriesTable, before: int) -> list[str]:
    """Tables of the names that `make_partition` gives, which are no longer a partition of anything."""
    digits, stamp = (8, "%Y%m%d") if table == "reading" else (6, "%Y%m")
    last = f"{table}_{datetime.fromtimestamp(before / 1e6, UTC):{stamp}}"
    rows = connection.execute(
        """
        SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relispartition
          AND relnamespace = 'public'::regnamespace AND relname ~ %s AND relname < %s ORDER BY relname
        """,
        (rf"^{table}_[0-9]{{{digits}}}$", last),
    ).fetchall()
    return [name for (name,) in rows]
