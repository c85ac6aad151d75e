"""The alarm journal: nobody changes it unnoticed, and no two lines share an instant."""

from collections.abc import Callable, Generator

import psycopg
import pytest

from park_platform.storage.alarms import Happening, record, store_chain
from park_platform.storage.connect import Connection
from park_platform.storage.journal import Chain, free_instants, verify
from support.database import ParkDatabase
from support.intake import Rule
from support.planted import Owner, own, plant

RULES: tuple[Rule, ...] = ({"id": "high", "kind": "H", "on": {"quantity": "pressure"}, "limit": 1.0},)


@pytest.fixture(scope="module")
def owner(park_database: ParkDatabase) -> Generator[Owner]:
    plant(park_database, "edge", rules=RULES)
    with park_database.connection("ingest") as connection:
        yield own(connection, "edge")


@pytest.fixture
def tampered(park_database: ParkDatabase) -> Generator[Connection]:
    """A connection whose changes the triggers do not see; all is undone after the test."""
    with park_database.connection() as connection, connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL session_replication_role = replica")
        yield connection


def write(owner: Owner, n: int) -> None:
    """N lines, raised and cleared in turn."""
    [rule] = owner.config.rules.table.rule[:1].tolist()
    for number in range(n):
        kind = "raised" if number % 2 == 0 else "cleared"
        seq, head = owner.connection.execute(
            "SELECT journal_seq, journal_head FROM stream WHERE id = %s", (owner.claim.stream,)
        ).fetchone() or (0, b"")
        at = 1_000_000 * (seq + 1)
        line = Happening(at, kind, rule, "high", owner.points[0], value=1.5, limit=1)
        end = record(owner.connection, owner.claim.stream, Chain(seq, head), [line], at)
        store_chain(owner.connection, owner.claim.stream, end)


def test_a_whole_chain_is_whole(owner: Owner) -> None:
    write(owner, 6)
    assert verify(owner.connection, owner.claim.stream) is None


def test_nobody_may_change_it(owner: Owner, park_database: ParkDatabase) -> None:
    for role in ("ingest", "operate", "api", "owner"):
        with park_database.connection(role) as connection:
            for statement in ("UPDATE journal SET value = 0", "DELETE FROM journal", "TRUNCATE journal CASCADE"):
                with pytest.raises((psycopg.errors.RaiseException, psycopg.errors.InsufficientPrivilege)):
                    connection.execute(statement)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("value", "value + 0.001"),
        ("limit_value", "NULL"),
        ("at", "at + interval '1 microsecond'"),
        ("kind", "'reset'"),
        ("late", "NOT late"),
        ("actor", "'somebody'"),
        ("note", "'nothing'"),
        ("recorded_at", "recorded_at + interval '1 second'"),
        ("subject", "'else'"),
        ("hash", "sha256(hash)"),
        ("prev", "sha256(prev)"),
    ],
)
def test_a_changed_line_is_named(owner: Owner, tampered: Connection, column: str, value: str) -> None:
    write(owner, 4)
    stream = owner.claim.stream
    tampered.execute(f"UPDATE journal SET {column} = {value} WHERE stream_id = %s AND seq = 3", (stream,))  # pyright: ignore[reportArgumentType]
    assert verify(tampered, stream) == "journal of gw-edge: line 3 was changed or does not follow line 2"


def _delete_third(connection: Connection, stream: int) -> None:
    connection.execute("DELETE FROM journal WHERE stream_id = %s AND seq = 3", (stream,))


def _swap(connection: Connection, stream: int) -> None:
    connection.execute(
        "UPDATE journal SET seq = CASE seq WHEN 2 THEN 1000 WHEN 3 THEN 2 END WHERE stream_id = %s AND seq IN (2, 3)",
        (stream,),
    )
    connection.execute("UPDATE journal SET seq = 3 WHERE stream_id = %s AND seq = 1000", (stream,))


def _cut_off(connection: Connection, stream: int) -> None:
    connection.execute(
        "DELETE FROM journal WHERE stream_id = %s AND seq = (SELECT journal_seq FROM stream WHERE id = %s)",
        (stream, stream),
    )


def _shorten(connection: Connection, stream: int) -> None:
    connection.execute("UPDATE stream SET journal_seq = journal_seq - 1 WHERE id = %s", (stream,))


def _hide_the_end(connection: Connection, stream: int) -> None:
    connection.execute(
        """
        UPDATE stream SET journal_seq = journal_seq - 1, journal_head = (
          SELECT hash FROM journal WHERE stream_id = %(s)s AND seq = stream.journal_seq - 1) WHERE id = %(s)s
        """,
        {"s": stream},
    )


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (_delete_third, "line 3 is missing"),
        (_swap, "line 2 was changed or does not follow line 1"),
        (_cut_off, "it ends at line"),
        (_shorten, "is not the one that its stream names as the last"),
        (_hide_the_end, "was added past the end"),
    ],
)
def test_lines_that_are_gone_or_moved_are_named(
    owner: Owner, tampered: Connection, act: Callable[[Connection, int], None], said: str
) -> None:
    write(owner, 4)
    act(tampered, owner.claim.stream)
    found = verify(tampered, owner.claim.stream)
    assert found is not None
    assert said in found


def test_a_number_from_python_is_the_same_from_the_database(owner: Owner) -> None:
    # 1 as a limit comes back as 1.0.
    write(owner, 2)
    assert verify(owner.connection, owner.claim.stream) is None


def test_an_instant_that_is_taken_moves_on(owner: Owner) -> None:
    write(owner, 2)
    [rule] = owner.config.rules.table.rule[:1].tolist()
    point = owner.points[0]
    [(taken,)] = owner.connection.execute("SELECT us_of(max(at)) FROM journal WHERE kind = 'raised'").fetchall()

    def line(at: int, kind: str = "raised", of: int | None = point) -> tuple[int, int | None, str, str, int]:
        return rule, of, "", kind, at

    lines = [line(taken), line(taken), line(taken + 1), line(taken, "reset"), line(taken, of=None), line(taken - 1)]
    assert free_instants(owner.connection, lines) == [taken + 1, taken + 2, taken + 3, taken, taken, taken - 1]
