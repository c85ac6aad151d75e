"""How often a batch was tried alone: what finds and ends poison (chain 4.6)."""

from collections.abc import Iterable
from typing import Final

from park_platform.storage.connect import Connection, database_errors

MOST_ATTEMPTS: Final = 3


def begin_attempt(connection: Connection, stream: int, sha256: bytes) -> int:
    """Commit that a batch is about to be tried alone; returns which attempt it is.

    Counted before it begins, so that an attempt which kills the worker counts too.
    """
    with database_errors():
        row = connection.execute(
            """
            INSERT INTO attempt (stream_id, sha256, failures) VALUES (%s, %s, 1)
            ON CONFLICT (stream_id, sha256) DO UPDATE SET failures = attempt.failures + 1 RETURNING failures
            """,
            (stream, sha256),
        ).fetchone()
    return 1 if row is None else int(row[0])


def take_back_attempts(connection: Connection, batches: Iterable[tuple[int, bytes]]) -> None:
    """Count an attempt less of each (stream, sha256): a lost connection or term said nothing about the batch."""
    with database_errors():
        for batch in batches:
            connection.execute(
                "UPDATE attempt SET failures = failures - 1 WHERE stream_id = %s AND sha256 = %s AND failures > 0",
                batch,
            )


def forget_attempts(connection: Connection, batches: Iterable[tuple[int, bytes]]) -> None:
    """Within a commit: batches that are settled need no count any more."""
    wanted = list(batches)
    if wanted:
        connection.execute(
            """
            DELETE FROM attempt a USING unnest(%s::int[], %s::bytea[]) AS w(stream_id, sha256)
            WHERE a.stream_id = w.stream_id AND a.sha256 = w.sha256
            """,
            ([stream for stream, _ in wanted], [sha256 for _, sha256 in wanted]),
        )
