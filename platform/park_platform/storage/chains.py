"""The hash chains of the database, checked from their first line to their last: journals and audit trail."""

from collections.abc import Generator
from dataclasses import dataclass

from park_platform.storage import audit, journal
from park_platform.storage.connect import Connection, database_errors


@dataclass(frozen=True, slots=True)
class CheckedChain:
    """A chain and its number of lines. `stream` None: the audit trail.

    `fault`: a sentence that names the first line that does not hold, None when all do.
    """

    stream: str | None
    lines: int
    fault: str | None


def check_chains(connection: Connection) -> Generator[CheckedChain]:
    """Check one chain after the other, journals by the name of their stream and the audit trail last."""
    with database_errors():
        streams = connection.execute(
            """
            SELECT s.id, s.name, (SELECT count(*) FROM journal j WHERE j.stream_id = s.id)
            FROM stream s ORDER BY s.name
            """
        ).fetchall()
        for number, name, lines in streams:
            yield CheckedChain(name, lines, journal.verify(connection, number))
        row = connection.execute("SELECT count(*) FROM audit").fetchone()
        yield CheckedChain(None, 0 if row is None else row[0], audit.verify(connection))
