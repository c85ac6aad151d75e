"""Registers in the database as the role `api` reaches them; the fixture `registers` gives empty ones."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from park_platform.storage.connect import Connection
from park_platform.storage.register_changes import (
    CHANGED,
    Act,
    Imported,
    RowContent,
    add_row,
    change_row,
    import_rows,
)
from park_platform.storage.register_rows import Place, StoredRow, register_row, register_rows, row_versions
from park_platform.storage.scope import WHOLE_PARK, Scope, scoped
from park_sdk.register_form import key_text
from support.database import ParkDatabase
from support.ledger_system import DEVICES, LEDGER

PLACE = Place("ledger", "devices")
SYSTEMS = {"ledger": LEDGER}
HOUR = 3_600_000_000
NOW = 1_795_665_600_000_000
ACT = Act("li", None, NOW)


class Registers:
    """Registers as the role `api` reaches them."""

    def __init__(self, park: ParkDatabase, connection: Connection, owners: dict[str, int]) -> None:
        self.park, self.connection, self.owners = park, connection, owners

    @contextmanager
    def writing(self, owner: str | None = None) -> Generator[Connection]:
        """As somebody of the park, or of an enterprise."""
        with scoped(self.connection, self.scope(owner), read_only=False):
            yield self.connection

    def scope(self, owner: str | None = None) -> Scope:
        return WHOLE_PARK if owner is None else Scope.of([self.owners[owner]])

    def content(self, code: str, owner: str | None = None, **fields: Any) -> RowContent:
        record = {
            "code": code,
            "enterprise": owner,
            "kind": "tank",
            "pressure": 1.6,
            "inspected": "2026-05-01",
        } | fields
        return RowContent(key_text(DEVICES, record), record, self.owners[owner] if owner else None, "draft")

    def add(self, code: str, owner: str | None = None, *, act: Act = ACT, by: str | None = None, **fields: Any) -> int:
        with self.writing(by) as connection:
            number = add_row(connection, PLACE, self.content(code, owner, **fields), act)
        assert number is not None
        return number

    def change(self, number: int, version: int, content: RowContent, act: Act = ACT, action: str = CHANGED) -> bool:
        with self.writing() as connection:
            return change_row(connection, number, version, content, act, action)

    def rows(self, owner: str | None = None, limit: int = 100, **asked: Any) -> list[StoredRow]:
        scope = self.scope(owner)
        with scoped(self.connection, scope):
            return register_rows(self.connection, scope, PLACE, limit=limit, **asked)

    def row(self, number: int, owner: str | None = None) -> StoredRow | None:
        scope = self.scope(owner)
        with scoped(self.connection, scope):
            return register_row(self.connection, scope, PLACE, number)

    def versions(self, number: int, owner: str | None = None) -> list[StoredRow]:
        scope = self.scope(owner)
        with scoped(self.connection, scope):
            return row_versions(self.connection, scope, PLACE, number, before=None, limit=100)

    def import_(
        self, contents: Sequence[RowContent], by: str | None = None, *, dry_run: bool = False, editable: bool = True
    ) -> Imported:
        with self.writing(by) as connection:
            return import_rows(connection, PLACE, contents, ACT, is_editable=lambda _: editable, dry_run=dry_run)

    def count(self) -> tuple[int, int]:
        with self.park.connection() as admin:
            row = admin.execute("SELECT (SELECT count(*) FROM register_row), count(*) FROM register_version").fetchone()
            assert row is not None
            return row[0], row[1]


def codes(rows: Sequence[StoredRow]) -> list[str]:
    return [row.record["code"] for row in rows]
