"""Events as people see them: weigh tickets, gate passes, notices of devices."""

from dataclasses import dataclass
from typing import Any

from park_platform.storage.connect import Connection
from park_platform.storage.scope import Scope


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
