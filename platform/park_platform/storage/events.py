"""Events: weigh tickets, gate passes, notices of devices. Stored with a commit, and read as people see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from park_platform.storage.connect import Connection
from park_platform.storage.engines.store import open_store
from park_platform.storage.letters import save_letters
from park_platform.storage.scope import Scope
from park_platform.storage.work import Letter, Work
from park_wire import cbor
from park_wire.batch import Event


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened at a device. Times in µs UTC."""

    id: int
    stream: str
    device: str
    kind: str
    at: int
    body: dict[str, Any]
    recorded_at: int


def events(
    connection: Connection,
    scope: Scope,
    *,
    device: str | None,
    kind: str | None,
    before: int | None,
    limit: int,
) -> list[EventRow]:
    """Events of devices whose asset is visible, newest first, those with an id below `before`."""
    rows = connection.execute(
        """
        SELECT x.id, s.name, x.device, x.kind, us_of(x.ts), x.body, us_of(x.recorded_at)
        FROM event x JOIN stream s ON s.id = x.stream_id
        LEFT JOIN device d ON d.stream_id = x.stream_id AND d.key = x.device LEFT JOIN asset a ON a.id = d.asset_id
        WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s)) AND (%(device)s::text IS NULL OR x.device = %(device)s)
          AND (%(kind)s::text IS NULL OR x.kind = %(kind)s) AND (%(before)s::bigint IS NULL OR x.id < %(before)s)
        ORDER BY x.id DESC LIMIT %(limit)s
        """,
        {**scope.parameters(), "device": device, "kind": kind, "before": before, "limit": limit},
    ).fetchall()
    return [EventRow(*row) for row in rows]


def save_events(connection: Connection, works: Sequence[Work], now: int) -> int:
    """Store the events; one whose time is impossible becomes a dead letter. Returns how many were there already."""
    events = [(work.claim.stream, event) for work in works for event in work.events]
    if not events:
        return 0
    store = open_store(connection)
    oldest, newest = store.oldest_kept(now), store.newest_kept(now)
    possible = [(stream, event) for stream, event in events if oldest <= event.time <= newest]
    for stream, event in events:
        if not oldest <= event.time <= newest:
            reason = f"event of device {event.device} at {event.time} µs: outside of what is kept and 5 min ahead"
            save_letters(connection, stream, [Letter(reason, _encode(event))])
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO event (stream_id, device, kind, ts, body, body_sha256)
            VALUES (%s, %s, %s, at_us(%s), %s, sha256(%s)) ON CONFLICT DO NOTHING
            """,
            [
                (stream, event.device, event.kind, event.time, Jsonb(event.body), cbor.encode(event.body))
                for stream, event in possible
            ],
        )
        return len(possible) - max(cursor.rowcount, 0)


def _encode(event: Event) -> bytes:
    return cbor.encode([event.device, event.time, event.kind, event.body])
