"""Intake workers and the streams that they own (chain 4.1).

A worker beats; who has not beaten for DEAD_AFTER_S is dead. Whoever takes a stream raises its term, so that nothing
that the former owner still tries can commit. A worker's id is its incarnation: each life on one connection has its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from psycopg import errors

from park_platform.storage.connect import Connection, database_errors
from park_wire.errors import OwnershipLost, StoreError

BEAT_EVERY_S: Final = 0.5
DEAD_AFTER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as the ownership table shows it. `abandoned`: it has an owner, and that owner is dead."""

    id: int
    name: str
    kind: str
    owner: UUID | None
    term: int
    abandoned: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a transaction checks before it may speak for a stream."""

    stream: int
    worker: UUID
    term: int


def check_durability(connection: Connection) -> None:
    """Raise StoreError when the server could forget what it has committed."""
    with database_errors():
        rows = connection.execute(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting <> 'on'"
        ).fetchall()
    if rows:
        names = " and ".join(str(name) for (name,) in rows)
        raise StoreError(
            f"the database runs with {names} off, so a commit proves nothing; switch it on in its settings"
        )


def register_worker(connection: Connection, worker: UUID) -> None:
    """Enter this worker with the backend of `connection`, which must be the one that commits."""
    with database_errors():
        connection.execute(
            """
            INSERT INTO worker (id, backend_pid, backend_start)
            SELECT %s, pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()
            ON CONFLICT (id) DO UPDATE SET beat_at = clock_timestamp(),
              backend_pid = EXCLUDED.backend_pid, backend_start = EXCLUDED.backend_start
            """,
            (worker,),
        )


def beat(connection: Connection, worker: UUID) -> bool:
    """Say that this worker lives. False when it is not entered (any more), or was dead and has lost its streams.

    A worker that was frozen must not rise again and be given the streams of those who stood in for it.
    """
    with database_errors():
        return (
            connection.execute(
                """
                UPDATE worker SET beat_at = clock_timestamp() WHERE id = %(worker)s
                  AND (beat_at > clock_timestamp() - make_interval(secs => %(dead)s)
                       OR EXISTS (SELECT FROM stream WHERE owner = %(worker)s))
                """,
                {"worker": worker, "dead": DEAD_AFTER_S},
            ).rowcount
            == 1
        )


def living_workers(connection: Connection) -> list[UUID]:
    """The workers that have beaten lately."""
    with database_errors():
        rows = connection.execute(
            "SELECT id FROM worker WHERE beat_at > clock_timestamp() - make_interval(secs => %s) ORDER BY id",
            (DEAD_AFTER_S,),
        ).fetchall()
    return [worker for (worker,) in rows]


def stream_rows(connection: Connection) -> list[StreamRow]:
    """Every stream with its owner."""
    with database_errors():
        rows = connection.execute(
            """
            SELECT s.id, s.name, s.kind, s.owner, s.term,
                   s.owner IS NOT NULL AND (w.id IS NULL
                     OR w.beat_at <= clock_timestamp() - make_interval(secs => %s))
            FROM stream s LEFT JOIN worker w ON w.id = s.owner
            ORDER BY s.id
            """,
            (DEAD_AFTER_S,),
        ).fetchall()
    return [StreamRow(*row) for row in rows]


def take_stream(connection: Connection, row: StreamRow, worker: UUID) -> Claim | None:
    """Take a free or abandoned stream. None when somebody else was faster, or still holds its lock.

    The dead owner's backend is terminated first: frozen inside a COPY it would hold the stream's lock for ever.
    """
    with database_errors():
        if row.abandoned and row.owner is not None:
            _terminate(connection, row.owner, only_dead=True)
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '500ms'")
                taken = connection.execute(
                    "UPDATE stream SET owner = %s, term = term + 1 WHERE id = %s AND term = %s RETURNING term",
                    (worker, row.id, row.term),
                ).fetchone()
        except errors.LockNotAvailable:
            return None
    return None if taken is None else Claim(row.id, worker, taken[0])


def _terminate(connection: Connection, worker: UUID, *, only_dead: bool) -> None:
    """End the backend on which a worker commits, and wait until its locks are gone."""
    connection.execute(
        """
        SELECT pg_terminate_backend(a.pid, 1000)
        FROM worker w JOIN pg_stat_activity a ON a.pid = w.backend_pid AND a.backend_start = w.backend_start
        WHERE w.id = %s AND a.pid <> pg_backend_pid()
          AND (NOT %s OR w.beat_at <= clock_timestamp() - make_interval(secs => %s))
        """,
        (worker, only_dead, DEAD_AFTER_S),
    )


def end_former_life(connection: Connection, worker: UUID, claims: Sequence[Claim]) -> None:
    """Give back what this process held on a connection that it has lost, so that nobody waits for its death.

    Raises OwnershipLost when somebody has taken one of its streams meanwhile.
    """
    with database_errors():
        _terminate(connection, worker, only_dead=False)
        taken = connection.execute(
            """
            SELECT s.name FROM stream s JOIN unnest(%s::int[], %s::bigint[]) AS c(id, term) ON c.id = s.id
            WHERE s.term > c.term ORDER BY s.name
            """,
            ([claim.stream for claim in claims], [claim.term for claim in claims]),
        ).fetchall()
    leave(connection, worker)
    if taken:
        names = ", ".join(name for (name,) in taken)
        raise OwnershipLost(f"another worker has taken {names} while this one was cut off from the database")


def release_streams(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give streams back, so that another worker may take them at once."""
    with database_errors():
        for claim in claims:
            connection.execute(
                "UPDATE stream SET owner = NULL WHERE id = %s AND owner = %s AND term = %s",
                (claim.stream, claim.worker, claim.term),
            )


def leave(connection: Connection, worker: UUID) -> None:
    """Give back every stream and remove the worker's row; dead workers' rows without streams go too."""
    with database_errors(), connection.transaction():
        connection.execute("UPDATE stream SET owner = NULL WHERE owner = %s", (worker,))
        connection.execute(
            """
            DELETE FROM worker w WHERE w.id = %s OR (w.beat_at < clock_timestamp() - interval '1 hour'
              AND NOT EXISTS (SELECT FROM stream s WHERE s.owner = w.id))
            """,
            (worker,),
        )


def db_incarnation(connection: Connection) -> UUID:
    """The random number that a restore replaces."""
    with database_errors():
        row = connection.execute("SELECT db_incarnation FROM installation").fetchone()
    if row is None:
        raise StoreError("the database is not prepared: run `park db migrate`")
    return row[0]


@dataclass(frozen=True, slots=True)
class LockedStream:
    """A stream's row under this transaction's lock."""

    id: int
    event_until: int | None
    live_seq: int
    journal_seq: int
    journal_head: bytes
    rules_seq: int


def lock_stream(connection: Connection, stream: int) -> None:
    """Let no commit of this stream go on until the transaction ends. For who changes its past and owns it not."""
    connection.execute("SELECT FROM stream WHERE id = %s FOR NO KEY UPDATE", (stream,))


def lock_streams(connection: Connection, claims: Sequence[Claim], incarnation: UUID) -> dict[int, LockedStream]:
    """Lock the rows of owned streams in sorted order and check owner, term and incarnation in the same breath.

    Raises OwnershipLost when any of them changed. Must run inside a transaction.
    """
    rows = connection.execute(
        """
        SELECT s.id, s.owner, s.term, i.db_incarnation, us_of(s.event_until),
               s.live_seq, s.journal_seq, s.journal_head, i.rules_seq
        FROM stream s CROSS JOIN installation i WHERE s.id = ANY(%s) ORDER BY s.id FOR NO KEY UPDATE OF s
        """,
        ([claim.stream for claim in claims],),
    ).fetchall()
    found = {row[0]: row for row in rows}
    for claim in claims:
        row = found.get(claim.stream)
        if row is None or row[1] != claim.worker or row[2] != claim.term:
            raise OwnershipLost(f"stream {claim.stream} belongs to another worker now (term {claim.term} is over)")
        if row[3] != incarnation:
            raise OwnershipLost("the database was restored from a backup while this worker ran; it must start anew")
    return {row[0]: LockedStream(row[0], row[4], row[5], row[6], row[7], row[8]) for row in rows}
