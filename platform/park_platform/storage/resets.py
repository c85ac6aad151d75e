"""What people tell the alarm kernel: resets of latched alarms, which the stream's owner takes with its next commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from park_platform.storage.connect import Connection, database_errors


@dataclass(frozen=True, slots=True)
class Reset:
    """A person's wish to reset a latched alarm. `at`: when they said so, µs UTC by the database's clock."""

    stream: int
    rule: int
    point: int
    at: int
    actor: str
    note: str | None


def take_resets(connection: Connection, streams: Sequence[int]) -> list[Reset]:
    """Take the waiting resets of these streams, oldest first; they are gone when the transaction commits."""
    rows = connection.execute(
        """
        DELETE FROM alarm_command WHERE stream_id = ANY(%s)
        RETURNING id, stream_id, rule_id, point_id, us_of(at), actor, note
        """,
        (list(streams),),
    ).fetchall()
    return [Reset(*row[1:]) for row in sorted(rows)]


def streams_with_resets(connection: Connection, streams: Sequence[int]) -> set[int]:
    """Which of these streams have a waiting reset."""
    with database_errors():
        rows = connection.execute(
            "SELECT DISTINCT stream_id FROM alarm_command WHERE stream_id = ANY(%s)", (list(streams),)
        ).fetchall()
    return {stream for (stream,) in rows}
