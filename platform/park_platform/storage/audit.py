"""The audit trail: who did what, append-only, one hash chain.

The trigger `audit_chain` numbers each row and chains it under a lock, so that a process which may insert can neither
choose a number nor a hash: hash = sha256(prev + canonical text of the row). `verify` computes the chain again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg.types.json import Jsonb

from park_platform.storage.connect import Connection, database_errors

_GENESIS: Final = bytes(32)
_VERIFY_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act. `at` in µs UTC; `object` is a path such as person/li or alarm/12; `source` the address it came from."""

    id: int
    at: int
    actor: str
    action: str
    object: str
    before: Any
    after: Any
    source: str | None
    hash: bytes


def append(
    connection: Connection,
    actor: str,
    action: str,
    object_: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    source: str | None = None,
) -> None:
    """Write one row, in the transaction of the act itself where there is one."""
    with database_errors():
        connection.execute(
            "INSERT INTO audit (actor, action, object, before, after, source) VALUES (%s, %s, %s, %s, %s, %s)",
            (
                actor,
                action,
                object_,
                None if before is None else Jsonb(before),
                None if after is None else Jsonb(after),
                source,
            ),
        )


def audit_rows(connection: Connection, before: int | None, limit: int) -> list[AuditRow]:
    """The newest rows first, those with an id below `before` when that is given."""
    with database_errors():
        rows = connection.execute(
            """
            SELECT id, us_of(at), actor, action, object, before, after, source, hash
            FROM audit WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s
            """,
            {"before": before, "limit": limit},
        ).fetchall()
    return [AuditRow(*row) for row in rows]


def verify(connection: Connection) -> str | None:
    """Check the whole chain. None when it holds, else a sentence that names the first row that does not."""
    expected, last = _GENESIS, 0
    with database_errors(), connection.transaction():
        while True:
            rows = connection.execute(
                "SELECT a.id, audit_text(a), a.prev, a.hash FROM audit a WHERE a.id > %s ORDER BY a.id LIMIT %s",
                (last, _VERIFY_ROWS),
            ).fetchall()
            if not rows:
                return None
            for number, text, prev, stored in rows:
                if number != last + 1:
                    return f"audit row {last + 1} is missing; the next one is {number}"
                if prev != expected:
                    return f"audit row {number} does not follow row {last}: its prev is not that row's hash"
                if hashlib.sha256(prev + text.encode()).digest() != stored:
                    return f"audit row {number} was changed: its content does not give its hash"
                expected, last = stored, number
