"""The alarm journal: append-only, a hash chain per stream whose head stands in the stream's row (chain 8).

hash = sha256(prev + CBOR of the row). Whoever appends holds the stream's row lock, so that no two can follow one head.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from park_platform.storage.connect import Connection
from park_wire import cbor

JOURNAL_CHANNEL: Final = "park_journal"
"""NOTIFY on it hints that a stream's journal has grown; the payload is the stream's id."""
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
    """The hash of a line; `park db verify` checks the journal by computing it again from the stored columns."""
    row = [
        *(stream, seq, entry.at, entry.kind, entry.rule, entry.point, entry.subject, entry.alarm),
        # A whole number comes back from the database as a float.
        *(None if number is None else float(number) for number in (entry.value, entry.limit)),
        *(entry.late, entry.actor, entry.note, recorded_at),
    ]
    return hashlib.sha256(prev + cbor.encode(row)).digest()


def free_instants(connection: Connection, lines: Sequence[tuple[int, int | None, str, str, int]]) -> list[int]:
    """When each line (rule, point, subject, kind, at) may stand: at its time, or at the next free µs after it.

    The kernel can come to one change twice at one instant, when a gateway breaks the promise of its `until` and a delay
    was changed meanwhile; and two notices may fall into one µs. Neither is the same change twice.
    """
    given: set[tuple[int, int | None, str, str, int]] = set()
    latest = _latest_near(connection, lines)
    times: list[int] = []
    for number, (rule, point, subject, kind, at) in enumerate(lines):
        free = latest[number] + 1 if number in latest else at
        while (rule, point, subject, kind, free) in given:
            free += 1
        given.add((rule, point, subject, kind, free))
        times.append(free)
    return times


def _latest_near(connection: Connection, lines: Sequence[tuple[int, int | None, str, str, int]]) -> dict[int, int]:
    """For the lines whose instant is taken, by number: the last taken one within a second."""
    rows = connection.execute(
        """
        WITH line AS (
          SELECT n::int - 1 AS n, rule_id, point_id, subject, kind, at_us(us) AS at
          FROM unnest(%s::int[], %s::int[], %s::text[], %s::text[], %s::bigint[])
            WITH ORDINALITY AS t(rule_id, point_id, subject, kind, us, n)
        ), taken AS (
          SELECT l.n, l.at AS asked, j.at FROM line l
          JOIN journal j ON j.rule_id = l.rule_id AND j.point_id = l.point_id AND j.subject = l.subject
                        AND j.kind = l.kind AND j.at >= l.at AND j.at < l.at + interval '1 second'
          UNION ALL
          SELECT l.n, l.at AS asked, j.at FROM line l
          JOIN journal j ON j.rule_id = l.rule_id AND j.point_id IS NULL AND j.subject = l.subject
                        AND j.kind = l.kind AND j.at >= l.at AND j.at < l.at + interval '1 second'
          WHERE l.point_id IS NULL
        )
        SELECT n, us_of(max(at)) FROM taken GROUP BY n HAVING min(at) = min(asked)
        """,
        tuple(list(column) for column in zip(*lines, strict=True)),
    )
    return dict(rows.fetchall())


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
    connection.execute("SELECT pg_notify(%s, %s)", (JOURNAL_CHANNEL, str(stream)))
    return Chain(seq, head)


def verify(connection: Connection, stream: int) -> str | None:
    """Walk a stream's chain. None when it is whole, else a sentence that names the first line that is not.

    The journal may grow meanwhile. A chain that was cut off together with its stream's row can't be told from here.
    """
    row = connection.execute("SELECT name FROM stream WHERE id = %s", (stream,)).fetchone()
    name = f"journal of {row[0]}" if row else f"journal of stream {stream}"
    said = _end(connection, stream)
    seq, head = 0, bytes(32)
    # Row by row: a journal of years doesn't fit into memory.
    rows = connection.cursor().stream(
        """
        SELECT seq, us_of(at), kind, rule_id, alarm_id, point_id, subject, value, limit_value, late, actor, note,
               us_of(recorded_at), prev, hash
        FROM journal WHERE stream_id = %s ORDER BY seq
        """,
        (stream,),
    )
    for number, *columns, recorded_at, prev, stored in rows:
        if number != seq + 1:
            return f"{name}: line {seq + 1} is missing"
        if prev != head or stored != entry_hash(stream, number, Entry(*columns), recorded_at, head):
            return f"{name}: line {number} was changed or does not follow line {seq}"
        seq, head = number, stored
        if seq == said.seq and head != said.head:
            return f"{name}: line {seq} is not the one that its stream names as the last"
    if seq < said.seq:
        return f"{name}: it ends at line {seq}, its stream says {said.seq}"
    if seq > (now := _end(connection, stream)).seq:
        return f"{name}: line {now.seq + 1} was added past the end, its stream says {now.seq}"
    return None


def _end(connection: Connection, stream: int) -> Chain:
    row = connection.execute("SELECT journal_seq, journal_head FROM stream WHERE id = %s", (stream,)).fetchone()
    return Chain(0, bytes(32)) if row is None else Chain(*row)
