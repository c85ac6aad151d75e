"""Row security: what the role `api` sees without any filter of its own is what the transaction's scope names."""

import pytest

from park_platform.storage.scope import NOTHING, WHOLE_PARK, Scope, scoped
from park_wire.errors import StoreError
from support.serving import Served

TABLES = ("asset", "point", "device", "alarm", "journal", "event", "gap", "quarantine", "reading_conflict")


def count(served: Served, scope: Scope | None) -> dict[str, int]:
    """Rows of each table that a query without a filter returns."""
    counts: dict[str, int] = {}
    with served.park.connection("api") as connection:
        for table in (*TABLES, "dead_letter"):
            statement = f"SELECT count(*) FROM {table}".encode()
            if scope is None:
                row = connection.execute(statement).fetchone()
            else:
                with scoped(connection, scope):
                    row = connection.execute(statement).fetchone()
            assert row is not None
            counts[table] = row[0]
    return counts


def test_a_forgotten_filter_shows_only_the_scope(served: Served) -> None:
    with served.park.connection() as connection:
        rows = connection.execute("SELECT id FROM enterprise WHERE key = 'alpha'").fetchone()
        assert rows is not None
    assert count(served, WHOLE_PARK) == dict.fromkeys((*TABLES, "dead_letter"), 3)
    assert count(served, Scope.of([rows[0]])) == {**dict.fromkeys(TABLES, 1), "dead_letter": 0}
    assert set(count(served, NOTHING).values()) == {0}
    assert set(count(served, None).values()) == {0}, "a transaction that names no scope sees nothing"


def test_the_scope_ends_with_its_transaction(served: Served) -> None:
    with served.park.connection("api") as connection:
        with scoped(connection, WHOLE_PARK):
            assert connection.execute("SELECT count(*) FROM point").fetchone() == (3,)
        assert connection.execute("SELECT count(*) FROM point").fetchone() == (0,)


def test_reading_is_read_only(served: Served) -> None:
    with served.park.connection("api") as connection:
        with scoped(connection, WHOLE_PARK):
            assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
        with pytest.raises(StoreError, match="read-only"), scoped(connection, WHOLE_PARK):
            connection.execute("UPDATE alarm SET acked_by = 'x'")
        with scoped(connection, WHOLE_PARK, read_only=False):
            assert connection.execute("UPDATE alarm SET acked_by = NULL").rowcount == 3


def test_a_scope_is_a_value() -> None:
    assert WHOLE_PARK.sees(None)
    assert WHOLE_PARK.sees(1)
    assert not NOTHING.sees(None)
    assert not NOTHING.sees(1)
    assert Scope.of([1]).sees(1)
    assert not Scope.of([1]).sees(2)
    assert not Scope.of([1]).sees(None), "what belongs to no enterprise is the park's"
