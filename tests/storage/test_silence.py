"""Gateways that are not heard: raised once, cleared when they speak, and never because the intake was away."""

from collections.abc import Generator
from typing import LiteralString

import pytest

from park_platform.storage.connect import Connection
from park_platform.storage.journal import verify
from park_platform.storage.silence import database_clock, hold_operate_lock, watch_silence
from park_platform.storage.streams import heard
from support.database import ParkDatabase
from support.planted import claim_stream, plant, table

SILENT_US = 30_000_000


@pytest.fixture(scope="module")
def park(park_database: ParkDatabase) -> Generator[ParkDatabase]:
    plant(park_database, "a", "b")
    with park_database.connection("ingest") as worker:
        for gateway in ("a", "b"):
            claim_stream(worker, gateway)
    yield park_database
    with park_database.connection() as connection:
        [(stream,)] = table(connection, "SELECT id FROM stream WHERE kind = 'park'")
        assert verify(connection, stream) is None


@pytest.fixture
def connection(park: ParkDatabase) -> Generator[Connection]:
    """As superuser, to turn clocks back; what is tested runs as `park operate`. Two workers listen for an hour."""
    with park.connection() as connection:
        owners = dict(table(connection, "SELECT 'gw-' || g.key, w.id FROM gateway g, worker w ORDER BY w.started_at"))
        for stream, owner in owners.items():
            connection.execute("UPDATE stream SET owner = %s WHERE name = %s", (owner, stream))
        connection.execute("UPDATE gateway SET made_at = now() - interval '1 h', heard_at = NULL")
        connection.execute("UPDATE worker SET started_at = now() - interval '1 h', beat_at = clock_timestamp()")
        connection.execute("UPDATE alarm SET state = 'normal', closed_at = now() WHERE closed_at IS NULL")
        yield connection


def watch(park: ParkDatabase) -> list[str]:
    with park.connection("operate") as connection:
        return sorted(watch_silence(connection, SILENT_US, database_clock(connection)))


def hear(connection: Connection, gateway: str, seconds_ago: float) -> None:
    [(number,)] = table(connection, "SELECT id FROM gateway WHERE key = %s", gateway)
    heard(connection, [number])
    connection.execute(
        "UPDATE gateway SET heard_at = heard_at - %s * interval '1 second' WHERE id = %s", (seconds_ago, number)
    )


def journal_end(connection: Connection) -> int:
    return table(connection, "SELECT max(journal_seq) FROM stream WHERE kind = 'park'")[0][0]


def lines(connection: Connection, after: int) -> list[tuple[str, str, bool]]:
    """Kind and subject, and whether the time is the one that was due: 30 s after the gateway was last heard."""
    return [
        (kind, subject, abs(delay - 30.0) < 0.001)
        for kind, subject, delay in table(
            connection,
            """
            SELECT j.kind, j.subject, extract(epoch FROM j.at - g.heard_at)::float8 FROM journal j
            JOIN gateway g ON g.key = j.subject WHERE j.seq > %s ORDER BY j.seq
            """,
            after,
        )
    ]


def test_a_silent_gateway_is_raised_once_and_cleared_once(connection: Connection, park: ParkDatabase) -> None:
    before = journal_end(connection)
    hear(connection, "a", 31)
    hear(connection, "b", 5)
    assert watch(park) == ["a"]
    assert watch(park) == []
    assert lines(connection, before) == [("raised", "a", True)]
    hear(connection, "a", 0)
    assert watch(park) == ["a"]
    assert watch(park) == []
    assert [(kind, subject) for kind, subject, _ in lines(connection, before)] == [("raised", "a"), ("cleared", "a")]
    states = table(connection, "SELECT subject, state, times_raised FROM alarm WHERE closed_at IS NULL")
    assert states == [("a", "returned", 1)]


def test_a_gateway_that_was_never_heard_is_silent(connection: Connection, park: ParkDatabase) -> None:
    assert watch(park) == ["a", "b"]


@pytest.mark.parametrize(
    "why",
    [
        "UPDATE worker SET beat_at = now() - interval '3 s'",
        "UPDATE stream SET owner = NULL",
        "UPDATE worker SET started_at = now() - interval '29 s'",
        "UPDATE gateway SET made_at = now(), heard_at = NULL",
    ],
)
def test_nobody_is_blamed_while_nobody_listens(connection: Connection, park: ParkDatabase, why: LiteralString) -> None:
    hear(connection, "a", 100)
    hear(connection, "b", 100)
    connection.execute(why)
    assert watch(park) == []


def test_a_new_worker_does_not_clear_the_alarm(connection: Connection, park: ParkDatabase) -> None:
    hear(connection, "a", 100)
    hear(connection, "b", 0)
    assert watch(park) == ["a"]
    connection.execute("UPDATE worker SET started_at = now()")
    assert watch(park) == []
    connection.execute("UPDATE worker SET started_at = now() - interval '40 s'")
    assert watch(park) == []


def test_one_process_operates_at_a_time(park: ParkDatabase) -> None:
    with park.connection("operate") as first, park.connection("operate") as second:
        assert hold_operate_lock(first)
        assert not hold_operate_lock(second)
        first.close()
        with park.connection("operate") as third:
            assert hold_operate_lock(third)
