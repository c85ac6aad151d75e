"""What came in and could not be stored as it was: dead letters, quarantined readings, conflicting values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from park_platform.storage.connect import Connection
from park_platform.storage.scope import Scope
from park_platform.storage.work import Letter

_LONGEST_REASON: Final = 1_000


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A payload of `size` bytes that could not be processed. Times in µs UTC."""

    id: int
    stream: str
    lane: str | None
    seq: int | None
    reason: str
    size: int
    sha256: bytes
    recorded_at: int


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A reading whose time is impossible; `time_us` is as it came."""

    id: int
    point: int
    time_us: int
    value: float
    quality: int
    reason: str
    recorded_at: int


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """Two values for one point and time: `kept` is stored, `value` came later. Times in µs UTC."""

    id: int
    point: int
    time: int
    kept: float
    value: float
    quality: int
    recorded_at: int


def dead_letters(connection: Connection, *, before: int | None, limit: int) -> list[LetterRow]:
    """Dead letters, newest first, those with an id below `before`. For the whole park's scope only."""
    rows = connection.execute(
        """
        SELECT d.id, s.name, d.lane, d.seq, d.reason, length(d.payload), sha256(d.payload), us_of(d.recorded_at)
        FROM dead_letter d JOIN stream s ON s.id = d.stream_id
        WHERE %(before)s::bigint IS NULL OR d.id < %(before)s ORDER BY d.id DESC LIMIT %(limit)s
        """,
        {"before": before, "limit": limit},
    ).fetchall()
    return [LetterRow(*row) for row in rows]


def dead_letter_payload(connection: Connection, letter: int) -> bytes | None:
    """A dead letter as it came from the wire, or None."""
    row = connection.execute("SELECT payload FROM dead_letter WHERE id = %s", (letter,)).fetchone()
    return None if row is None else row[0]


def quarantine(
    connection: Connection, scope: Scope, *, point: int | None, before: int | None, limit: int
) -> list[QuarantineRow]:
    """Quarantined readings of visible points, newest first, those with an id below `before`."""
    rows = connection.execute(
        """
        SELECT q.id, q.point_id, q.time_us, q.value, q.quality, q.reason, us_of(q.recorded_at)
        FROM quarantine q LEFT JOIN point p ON p.id = q.point_id LEFT JOIN asset a ON a.id = p.asset_id
        WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s)) AND (%(point)s::int IS NULL OR q.point_id = %(point)s)
          AND (%(before)s::bigint IS NULL OR q.id < %(before)s) ORDER BY q.id DESC LIMIT %(limit)s
        """,
        {**scope.parameters(), "point": point, "before": before, "limit": limit},
    ).fetchall()
    return [QuarantineRow(*row) for row in rows]


def conflicts(
    connection: Connection, scope: Scope, *, point: int | None, before: int | None, limit: int
) -> list[ConflictRow]:
    """Conflicting values of visible points, newest first, those with an id below `before`."""
    rows = connection.execute(
        """
        SELECT c.id, c.point_id, us_of(c.ts), c.kept, c.value, c.quality, us_of(c.recorded_at)
        FROM reading_conflict c LEFT JOIN point p ON p.id = c.point_id LEFT JOIN asset a ON a.id = p.asset_id
        WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s)) AND (%(point)s::int IS NULL OR c.point_id = %(point)s)
          AND (%(before)s::bigint IS NULL OR c.id < %(before)s) ORDER BY c.id DESC LIMIT %(limit)s
        """,
        {**scope.parameters(), "point": point, "before": before, "limit": limit},
    ).fetchall()
    return [ConflictRow(*row) for row in rows]


def save_letters(connection: Connection, stream: int, letters: Sequence[Letter]) -> None:
    """Keep payloads that could not be processed."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dead_letter (stream_id, epoch, lane, seq, reason, payload) VALUES (%s, %s, %s, %s, %s, %s)",
            [
                # PostgreSQL keeps no NUL, and an error's text may quote what came in.
                (stream, letter.epoch, letter.lane, letter.seq, letter.reason.replace("\0", "�")[:_LONGEST_REASON],
                 letter.payload)
                for letter in letters
            ],
        )  # fmt: skip
