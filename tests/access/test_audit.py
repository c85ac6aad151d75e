"""The audit trail: chained by the database itself, and `verify` finds every tampering that leaves a later row."""

import threading

import psycopg
import pytest

from park_platform.storage import audit
from support.database import ParkDatabase


@pytest.fixture(scope="module")
def trail(park_database: ParkDatabase) -> ParkDatabase:
    """A trail that begins with ten rows."""
    with park_database.connection("api") as connection:
        for number in range(1, 11):
            after = {"b": number, "a": ["文", None, 1.5]}
            audit.append(connection, "li", "tried", f"thing/{number}", before={"x": 1}, after=after, source="::1")
        assert audit.verify(connection) is None
    return park_database


def test_rows_come_newest_first_in_pages(trail: ParkDatabase) -> None:
    with trail.connection("api") as connection:
        rows = audit.audit_rows(connection, None, 4)
        assert [row.id for row in rows] == [10, 9, 8, 7]
        assert [row.id for row in audit.audit_rows(connection, rows[-1].id, 100)] == [6, 5, 4, 3, 2, 1]
        assert (rows[0].actor, rows[0].object, rows[0].after) == ("li", "thing/10", {"b": 10, "a": ["文", None, 1.5]})


@pytest.mark.parametrize(
    ("tampering", "finding"),
    [
        ("UPDATE audit SET actor = 'wang' WHERE id = 4", "row 4 was changed"),
        ("UPDATE audit SET after = '{}' WHERE id = 4", "row 4 was changed"),
        ("UPDATE audit SET after = NULL WHERE id = 4", "row 4 was changed"),
        ("UPDATE audit SET at = at - interval '1 hour' WHERE id = 4", "row 4 was changed"),
        ("UPDATE audit SET source = NULL WHERE id = 4", "row 4 was changed"),
        ("DELETE FROM audit WHERE id = 4", "row 4 is missing"),
        ("DELETE FROM audit WHERE id = 1", "row 1 is missing"),
        ("UPDATE audit SET hash = sha256('x') WHERE id = 4", "row 4 was changed"),
        (
            "UPDATE audit SET prev = sha256('x'), "
            "hash = sha256(sha256('x') || convert_to(audit_text(audit), 'UTF8')) WHERE id = 4",
            "row 4 does not follow row 3",
        ),
    ],
)
def test_tampering_is_found(trail: ParkDatabase, tampering: str, finding: str) -> None:
    with trail.connection() as connection, connection.transaction(force_rollback=True):
        connection.execute("ALTER TABLE audit DISABLE TRIGGER USER")
        connection.execute(tampering.encode())
        assert finding in (audit.verify(connection) or "nothing")


def test_nobody_chooses_number_time_or_hash(trail: ParkDatabase) -> None:
    with trail.connection("api") as connection:
        connection.execute(
            "INSERT INTO audit (actor, action, object, at, prev, hash) VALUES ('li', 'x', 'y', '2020-01-01', 'p', 'h')"
        )
        assert audit.verify(connection) is None
        row, before = audit.audit_rows(connection, None, 2)
        assert (row.id, row.at > before.at > 1_700_000_000_000_000) == (before.id + 1, True)
        for refused in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)
    with trail.connection() as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute("DELETE FROM audit")


def test_many_at_once_make_one_chain(trail: ParkDatabase) -> None:
    def write() -> None:
        with trail.connection("api") as connection:
            for number in range(20):
                with connection.transaction():
                    audit.append(connection, "li", "tried", f"thing/{number}")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with trail.connection("api") as connection:
        assert audit.verify(connection) is None
        assert sum(row.object == "thing/19" for row in audit.audit_rows(connection, None, 1000)) == 4


def test_an_act_that_fails_leaves_no_row(trail: ParkDatabase) -> None:
    with trail.connection("api") as connection:
        with connection.transaction(force_rollback=True):
            audit.append(connection, "li", "tried", "thing/11")
        audit.append(connection, "li", "tried", "thing/12")
        row, before = audit.audit_rows(connection, None, 2)
        assert (row.object, before.object != "thing/11") == ("thing/12", True)
        assert audit.verify(connection) is None
