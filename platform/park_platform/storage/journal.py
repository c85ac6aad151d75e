"""The alarm journal: append-only, a hash chain per stream whose head stands in the stream's row (chain 8).

hash = sha256(prev + CBOR of the row). Whoever appends holds the stream's row lock, so that no two can follow one head.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from park_platform.storage.connect import Connection
from park_wire import cbor

Kind: TypeAlias = Literal["raised", "cleared", "reset", "acknowledged"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. `at` is event time, or a person's time for what people do; both µs UTC."""

    at: int
    kind: Kind
    rule: int
    alarm: int
    point: int | None = None
    subject: str = ""
    value: float | None = None
    limit: float | None = None
    late: bool = False
    actor: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a stream's journal ends."""

    seq: int
    head: bytes


def entry_hash(stream: int, seq: int, entry: Entry, recorded_at: int, prev: bytes) -> bytes:
    """The hash of a line; `park` verifies the journal by computing it again from the stored columns."""
    row = [
        *(stream, seq, entry.at, entry.kind, entry.rule, entry.point, entry.subject, entry.alarm),
        *(entry.value, entry.limit, entry.late, entry.actor, entry.note, recorded_at),
    ]
    return hashlib.sha256(prev + cbor.encode(row)).digest()


def append(connection: Connection, stream: int, chain: Chain, entries: Sequence[Entry], recorded_at: int) -> Chain:
    """Write the entries behind the chain's end and return the new end. The caller stores it in the stream's row."""
    if not entries:
        return chain
    seq, head = chain.seq, chain.head
    rows: list[tuple[object, ...]] = []
    for entry in entries:
        seq += 1
        prev, head = head, entry_hash(stream, seq, entry, recorded_at, head)
        rows.append(
            (
                *(stream, seq, entry.at, entry.kind, entry.rule, entry.point, entry.subject, entry.alarm, entry.value),
                *(entry.limit, entry.late, entry.actor, entry.note, recorded_at, prev, head),
            )
        )
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO journal (stream_id, seq, at, kind, rule_id, point_id, subject, alarm_id, value, limit_value,
                                 late, actor, note, recorded_at, prev, hash)
            VALUES (%s, %s, at_us(%s), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                    at_us(%s), %s, %s)
            """,
            rows,
        )
    # A hint for whoever follows the journal; the journal itself is the truth.
    connection.execute("SELECT pg_notify('park_journal', %s)", (str(stream),))
    return Chain(seq, head)


def verify(connection: Connection, stream: int) -> str | None:
    """Walk a stream's chain. None when it is whole, else a sentence that names the first line that is not."""
    seq, head = 0, bytes(32)
    rows = connection.execute(
        """
        SELECT seq, us_of(at), kind, rule_id, alarm_id, point_id, subject, value,
               limit_value, late, actor, note, us_of(recorded_at), prev, hash
        FROM journal WHERE stream_id = %s ORDER BY seq
        """,
        (stream,),
    )
    for row in rows:
        entry = Entry(*row[1:12])
        if row[0] != seq + 1:
            return f"journal of stream {stream}: line {seq + 1} is missing"
        if row[13] != head or row[14] != entry_hash(stream, row[0], entry, row[12], head):
            return f"journal of stream {stream}: line {row[0]} was changed or does not follow line {seq}"
        seq, head = row[0], row[14]
    end = connection.execute("SELECT journal_seq, journal_head FROM stream WHERE id = %s", (stream,)).fetchone()
    if end != (seq, head):
        return f"journal of stream {stream}: it ends at line {seq}, its stream says {end and end[0]}"
    return None
