"""Reading registers (台账): lists, one row, its versions. Runs inside `scoped`; row security shows no more.

Who sees an enterprise also sees the park's own rows; which registers at all, the routes decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from park_platform.storage.connect import Connection
from park_platform.storage.scope import Scope


@dataclass(frozen=True, slots=True)
class Place:
    """Which register: the ids of system and register."""

    system: str
    register: str


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A version of a row. Times in µs UTC.

    key: the key fields' values as JSON. record: as it was stored. enterprise: key of its owner, None for the park.
    actor: None where the reader may not know who it was.
    """

    id: int
    key: str
    version: int
    record: Mapping[str, Any]
    state: str | None
    is_deleted: bool
    valid_from: int
    recorded_at: int
    action: str
    actor: str | None
    note: str | None
    enterprise: str | None


# Who acts in the park is told within the park only.
_COLUMNS: Final = """
    SELECT r.id, r.key, v.version, v.record, v.state, v.deleted, us_of(v.valid_from), us_of(v.recorded_at), v.action,
           CASE WHEN %(park)s OR v.actor = 'system' OR p.enterprise_id = ANY(%(tenants)s) THEN v.actor END, v.note,
           e.key
    FROM register_row r
"""
_WHO: Final = """
    LEFT JOIN enterprise e ON e.id = v.enterprise_id LEFT JOIN person p ON p.name = v.actor
    WHERE r.system = %(system)s AND r.register = %(register)s
      AND (%(park)s OR v.enterprise_id = ANY(%(tenants)s) OR (v.enterprise_id IS NULL AND %(tenants)s <> '{}'))
"""
_NEWEST: Final = "JOIN register_version v ON v.row_id = r.id AND v.version = r.version"
_IN_FORCE: Final = """
    JOIN LATERAL (
      SELECT * FROM register_version w WHERE w.row_id = r.id AND w.valid_from <= at_us(%(as_of)s)
      ORDER BY w.version DESC LIMIT 1
    ) v ON true
"""
_MATCH: Final = """
      AND NOT v.deleted AND r.id > %(after)s
      AND (%(pattern)s::text IS NULL
           OR EXISTS (SELECT FROM jsonb_each_text(v.record) AS field WHERE field.value ILIKE %(pattern)s))
    ORDER BY r.id LIMIT %(limit)s
"""


def register_rows(
    connection: Connection,
    scope: Scope,
    place: Place,
    *,
    text: str | None = None,
    as_of: int | None = None,
    after: int = 0,
    limit: int,
) -> list[StoredRow]:
    """Visible rows that are not deleted, by id, those with an id above `after`.

    text: stands in some field. as_of: the versions that are in force at this time (µs UTC); None: the newest.
    """
    escaped = None if text is None else text.translate({ord(c): f"\\{c}" for c in "\\%_"})
    rows = connection.execute(
        _COLUMNS + (_NEWEST if as_of is None else _IN_FORCE) + _WHO + _MATCH,
        {
            **_parameters(scope, place),
            "as_of": as_of,
            "after": after,
            "pattern": None if escaped is None else f"%{escaped}%",
            "limit": limit,
        },
    ).fetchall()
    return [StoredRow(*row) for row in rows]


def register_row(connection: Connection, scope: Scope, place: Place, number: int) -> StoredRow | None:
    """The newest version of a visible row, also when that says that it is deleted."""
    row = connection.execute(
        _COLUMNS + _NEWEST + _WHO + "AND r.id = %(id)s", {**_parameters(scope, place), "id": number}
    ).fetchone()
    return None if row is None else StoredRow(*row)


def row_versions(
    connection: Connection, scope: Scope, place: Place, number: int, *, before: int | None, limit: int
) -> list[StoredRow]:
    """The visible versions of a visible row, newest first, those below the version `before`."""
    rows = connection.execute(
        _COLUMNS
        + "JOIN register_version v ON v.row_id = r.id"
        + _WHO
        + "AND r.id = %(id)s AND (%(before)s::int IS NULL OR v.version < %(before)s) "
        + "ORDER BY v.version DESC LIMIT %(limit)s",
        {**_parameters(scope, place), "id": number, "before": before, "limit": limit},
    ).fetchall()
    return [StoredRow(*row) for row in rows]


def _parameters(scope: Scope, place: Place) -> dict[str, Any]:
    return {**scope.parameters(), "system": place.system, "register": place.register}
