"""Changing registers (台账): every change appends a version. Runs inside `scoped`: nobody writes rows of others.

A key is given once in a register: a row that was deleted and is added again goes on where it ended.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from psycopg import Rollback

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.register_rows import Place
from park_platform.storage.scope import Scope

ADDED: Final = "added"
CHANGED: Final = "changed"
DELETED: Final = "deleted"
IMPORTED: Final = "imported"


@dataclass(frozen=True, slots=True)
class RowContent:
    """What a version says. owner: id of the enterprise, None for the park. record: JSON values by field."""

    key: str
    record: Mapping[str, Any]
    owner: int | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes something, why, and from when on it is true (µs UTC)."""

    actor: str
    note: str | None
    valid_from: int


Refusal: TypeAlias = Literal["taken", "state"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do: (row, version) of what was added and changed; `refused` by number of its row."""

    added: tuple[tuple[int, int], ...]
    changed: tuple[tuple[int, int], ...]
    unchanged: int
    refused: Mapping[int, Refusal]


@dataclass(frozen=True, slots=True)
class Known:
    """What a row may name. enterprises: the id of every one, by key. assets: the keys of those that its author sees."""

    enterprises: Mapping[str, int]
    assets: frozenset[str]


def enterprise_ids(connection: Connection) -> dict[str, int]:
    """The id of every enterprise, by key."""
    return dict(connection.execute("SELECT key, id FROM enterprise").fetchall())


def known_names(connection: Connection, scope: Scope) -> Known:
    """What somebody's rows may name. Runs inside `scoped`."""
    assets = connection.execute(
        "SELECT key FROM asset WHERE %(park)s OR enterprise_id = ANY(%(tenants)s)", scope.parameters()
    ).fetchall()
    return Known(enterprise_ids(connection), frozenset(key for (key,) in assets))


def add_row(connection: Connection, place: Place, content: RowContent, act: Act) -> int | None:
    """Add a row; returns its id, or None when the key is taken, perhaps by a row that its author can't see."""
    row = connection.execute(
        """
        INSERT INTO register_row (system, register, key, enterprise_id, version) VALUES (%s, %s, %s, %s, 1)
        ON CONFLICT (system, register, key) DO NOTHING RETURNING id
        """,
        (place.system, place.register, content.key, content.owner),
    ).fetchone()
    if row is not None:
        _append(connection, [(row[0], 1, content)], act, ADDED)
        return row[0]
    row = connection.execute(
        """
        SELECT r.id, r.version FROM register_row r JOIN register_version v ON v.row_id = r.id AND v.version = r.version
        WHERE r.system = %s AND r.register = %s AND r.key = %s AND v.deleted
        """,
        (place.system, place.register, content.key),
    ).fetchone()
    if row is None or not change_row(connection, row[0], row[1], content, act, ADDED):
        return None
    return row[0]


def change_row(connection: Connection, number: int, version: int, content: RowContent, act: Act, action: str) -> bool:
    """Append a version to a row whose newest is `version`. False: somebody was faster.

    The key of a row never changes. `action` DELETED: the row is in force no more.
    """
    done = connection.execute(
        "UPDATE register_row SET version = version + 1, enterprise_id = %s WHERE id = %s AND version = %s",
        (content.owner, number, version),
    )
    if not done.rowcount:
        return False
    _append(connection, [(number, version + 1, content)], act, action)
    return True


def import_rows(
    connection: Connection,
    place: Place,
    contents: Sequence[RowContent],
    act: Act,
    *,
    is_editable: Callable[[str | None], bool],
    dry_run: bool,
) -> Imported:
    """Add and change rows, all or none; their keys differ. A row that exists keeps its state.

    With `dry_run`, and when a row is refused, nothing is changed.
    """
    with database_errors(), connection.transaction() as transaction:
        found = _lock(connection, place, [content.key for content in contents])
        fresh: list[RowContent] = []
        later: list[tuple[int, int, RowContent]] = []
        added: list[tuple[int, int]] = []
        changed: list[tuple[int, int]] = []
        refused: dict[int, Refusal] = {}
        unchanged = 0
        for number, content in enumerate(contents):
            there = found.get(content.key)
            if there is None:
                fresh.append(content)
            elif there.is_deleted:
                added.append((there.id, there.version + 1))
                later.append((*added[-1], content))
            elif there.record == content.record and there.owner == content.owner:
                unchanged += 1
            elif not is_editable(there.state):
                refused[number] = "state"
            else:
                changed.append((there.id, there.version + 1))
                later.append((*changed[-1], RowContent(content.key, content.record, content.owner, there.state)))
        begun = _begin(connection, place, fresh)
        numbers = {content.key: number for number, content in enumerate(contents)}
        refused |= {numbers[content.key]: "taken" for content in fresh if content.key not in begun}
        added += [(row, 1) for row in begun.values()]
        _advance(connection, later)
        first = [(begun[content.key], 1, content) for content in fresh if content.key in begun]
        _append(connection, [*first, *later], act, IMPORTED)
        if dry_run or refused:
            raise Rollback(transaction)
    return Imported(tuple(added), tuple(changed), unchanged, dict(sorted(refused.items())))


@dataclass(frozen=True, slots=True)
class _There:
    id: int
    version: int
    is_deleted: bool
    state: str | None
    record: Any
    owner: int | None


def _lock(connection: Connection, place: Place, keys: list[str]) -> dict[str, _There]:
    rows = connection.execute(
        """
        SELECT r.key, r.id, r.version, v.deleted, v.state, v.record, v.enterprise_id
        FROM register_row r JOIN register_version v ON v.row_id = r.id AND v.version = r.version
        WHERE r.system = %s AND r.register = %s AND r.key = ANY(%s::text[]) ORDER BY r.id FOR UPDATE OF r
        """,
        (place.system, place.register, keys),
    ).fetchall()
    return {row[0]: _There(*row[1:]) for row in rows}


def _begin(connection: Connection, place: Place, contents: Sequence[RowContent]) -> dict[str, int]:
    """The ids of new rows, by key; a key that is taken is not among them."""
    rows = connection.execute(
        """
        INSERT INTO register_row (system, register, key, enterprise_id, version)
        SELECT %s, %s, fresh.key, fresh.owner, 1 FROM unnest(%s::text[], %s::int[]) AS fresh (key, owner)
        ON CONFLICT (system, register, key) DO NOTHING RETURNING key, id
        """,
        (place.system, place.register, [each.key for each in contents], [each.owner for each in contents]),
    ).fetchall()
    return dict(rows)


def _advance(connection: Connection, rows: Sequence[tuple[int, int, RowContent]]) -> None:
    connection.execute(
        """
        UPDATE register_row r SET version = later.version, enterprise_id = later.owner
        FROM unnest(%s::bigint[], %s::int[], %s::int[]) AS later (id, version, owner) WHERE r.id = later.id
        """,
        ([id_ for id_, _, _ in rows], [version for _, version, _ in rows], [content.owner for _, _, content in rows]),
    )


def _append(connection: Connection, rows: Sequence[tuple[int, int, RowContent]], act: Act, action: str) -> None:
    """One statement for all: each lets the intake load its rules anew."""
    if not rows:
        return
    connection.execute(
        """
        INSERT INTO register_version
          (row_id, version, record, state, enterprise_id, deleted, valid_from, action, actor, note)
        SELECT n.id, n.version, n.record::jsonb, n.state, n.owner, %(action)s = 'deleted', at_us(%(valid_from)s),
               %(action)s, %(actor)s, %(note)s
        FROM unnest(%(ids)s::bigint[], %(versions)s::int[], %(records)s::text[], %(states)s::text[], %(owners)s::int[])
             AS n (id, version, record, state, owner)
        """,
        {
            "ids": [id_ for id_, _, _ in rows],
            "versions": [version for _, version, _ in rows],
            "records": [json.dumps(content.record, ensure_ascii=False) for _, _, content in rows],
            "states": [content.state for _, _, content in rows],
            "owners": [content.owner for _, _, content in rows],
            "action": action,
            "valid_from": act.valid_from,
            "actor": act.actor,
            "note": act.note,
        },
    )
