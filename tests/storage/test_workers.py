"""Workers and their streams: taken once, lost when dead, never by someone who is not the owner any more."""

from collections.abc import Generator, Sequence
from uuid import UUID, uuid4

import psycopg
import pytest

from park_platform.storage.connect import Connection
from park_platform.storage.workers import (
    Claim,
    StreamRow,
    beat,
    check_durability,
    db_incarnation,
    end_former_life,
    leave,
    living_workers,
    lock_streams,
    register_worker,
    release_streams,
    stream_rows,
    take_stream,
)
from park_wire.errors import OwnershipLost, StoreError, StoreUnavailable
from support.database import ParkDatabase
from support.planted import plant


@pytest.fixture(scope="module")
def streams(park_database: ParkDatabase) -> ParkDatabase:
    plant(park_database, "a", "b", "c")
    return park_database


@pytest.fixture
def park(streams: ParkDatabase) -> Generator[ParkDatabase]:
    yield streams
    with streams.connection() as connection:
        connection.execute("UPDATE stream SET owner = NULL")
        connection.execute("DELETE FROM worker")


def row_of(connection: Connection, name: str) -> StreamRow:
    [row] = [row for row in stream_rows(connection) if row.name == name]
    return row


def enter(connection: Connection, names: Sequence[str] = ()) -> tuple[UUID, list[Claim]]:
    """A living worker on this connection that owns some streams."""
    worker = uuid4()
    register_worker(connection, worker)
    claims = [take_stream(connection, row_of(connection, name), worker) for name in names]
    return worker, [claim for claim in claims if claim is not None]


def die(park: ParkDatabase, worker: UUID) -> None:
    """As if it had not beaten for some seconds."""
    with park.connection() as connection:
        connection.execute("UPDATE worker SET beat_at = clock_timestamp() - interval '3 s' WHERE id = %s", (worker,))


def test_a_free_stream_is_taken_by_the_faster_one(park: ParkDatabase) -> None:
    with park.connection("ingest") as one, park.connection("ingest") as other:
        first, second = uuid4(), uuid4()
        register_worker(one, first)
        register_worker(other, second)
        row = row_of(one, "gw-a")
        claim = take_stream(one, row, first)
        assert claim is not None
        assert claim.term == row.term + 1
        assert take_stream(other, row, second) is None
        assert row_of(other, "gw-a").owner == first
        assert not row_of(other, "gw-a").abandoned


def test_who_does_not_beat_for_two_seconds_is_dead(park: ParkDatabase) -> None:
    with park.connection("ingest") as connection:
        worker, _ = enter(connection, ["gw-a"])
        assert living_workers(connection) == [worker]
        die(park, worker)
        assert living_workers(connection) == []
        assert row_of(connection, "gw-a").abandoned
        # It still owns its stream: nobody missed it.
        assert beat(connection, worker)
        assert living_workers(connection) == [worker]


def test_a_dead_worker_whose_streams_are_taken_does_not_rise_again(park: ParkDatabase) -> None:
    with park.connection("ingest") as connection, park.connection("ingest") as other:
        dead, _ = enter(other, ["gw-a"])
        die(park, dead)
        alive, _ = enter(connection, ["gw-a"])
        assert row_of(connection, "gw-a").owner == alive
        assert not beat(connection, dead)
        assert living_workers(connection) == [alive]


def test_a_takeover_ends_the_transaction_of_the_dead_owner(park: ParkDatabase) -> None:
    """Frozen inside its transaction it would hold the stream's lock for ever."""
    with park.connection("ingest") as connection, park.connection("ingest") as frozen:
        dead, claims = enter(frozen, ["gw-a"])
        incarnation = db_incarnation(connection)
        frozen.execute("BEGIN")
        lock_streams(frozen, claims, incarnation)
        die(park, dead)
        alive, taken = enter(connection, ["gw-a"])
        assert [claim.worker for claim in taken] == [alive]
        with pytest.raises(psycopg.OperationalError):
            frozen.execute("COMMIT")
        with connection.transaction(), pytest.raises(OwnershipLost, match="another worker"):
            lock_streams(connection, claims, incarnation)


def test_a_stream_that_somebody_holds_is_left_for_the_next_time(park: ParkDatabase) -> None:
    with park.connection("ingest") as connection, park.connection("api") as person, person.transaction():
        person.execute("SELECT FROM stream WHERE name = 'gw-a' FOR UPDATE")
        _, claims = enter(connection, ["gw-a"])
        assert claims == []
    with park.connection("ingest") as connection:
        assert len(enter(connection, ["gw-a"])[1]) == 1


def test_leaving_gives_back_everything_at_once(park: ParkDatabase) -> None:
    with park.connection("ingest") as connection:
        worker, claims = enter(connection, ["gw-a", "gw-b"])
        release_streams(connection, claims[:1])
        assert row_of(connection, "gw-a").owner is None
        leave(connection, worker)
        assert row_of(connection, "gw-b").owner is None
        assert living_workers(connection) == []
        assert not beat(connection, worker)


def test_a_worker_that_comes_back_finds_its_streams_free(park: ParkDatabase) -> None:
    with park.connection("ingest") as lost, park.connection("ingest") as connection:
        worker, claims = enter(lost, ["gw-a", "gw-b"])
        # The server has not noticed yet that nobody is there, and the old transaction holds its locks.
        lost.execute("BEGIN")
        lock_streams(lost, claims, db_incarnation(connection))
        end_former_life(connection, worker, claims)
        with pytest.raises(psycopg.OperationalError):
            lost.execute("COMMIT")
        assert {row_of(connection, name).owner for name in ("gw-a", "gw-b")} == {None}
        assert living_workers(connection) == []


def test_a_worker_that_comes_back_too_late_is_told(park: ParkDatabase) -> None:
    with park.connection("ingest") as lost, park.connection("ingest") as connection:
        worker, claims = enter(lost, ["gw-a", "gw-b"])
        die(park, worker)
        other, _ = enter(connection, ["gw-a"])
        with pytest.raises(OwnershipLost, match="gw-a while"):
            end_former_life(connection, worker, claims)
        assert row_of(connection, "gw-a").owner == other
        assert row_of(connection, "gw-b").owner is None


def test_every_lock_checks_term_owner_and_incarnation(park: ParkDatabase) -> None:
    with park.connection("ingest") as connection:
        worker, [claim] = enter(connection, ["gw-c"])
        incarnation = db_incarnation(connection)
        with connection.transaction():
            assert lock_streams(connection, [claim], incarnation)[claim.stream].journal_seq == 0
        for wrong, term in ((claim, incarnation), (Claim(claim.stream, worker, claim.term - 1), incarnation)):
            other = uuid4() if wrong is claim else term
            with connection.transaction(), pytest.raises(OwnershipLost):
                lock_streams(connection, [wrong], other)
        with connection.transaction(), pytest.raises(OwnershipLost):
            lock_streams(connection, [Claim(claim.stream, uuid4(), claim.term)], incarnation)


def test_a_database_that_may_forget_is_refused(park: ParkDatabase) -> None:
    with park.connection() as connection:
        check_durability(connection)
        connection.execute("CREATE TEMP VIEW pg_settings AS SELECT 'fsync' AS name, 'off' AS setting")
        connection.execute("SET search_path = pg_temp, pg_catalog, public")
        with pytest.raises(StoreError, match="fsync off"):
            check_durability(connection)


def test_a_closed_connection_is_a_database_that_is_away(park: ParkDatabase) -> None:
    with park.connection("ingest") as connection:
        worker, _ = enter(connection)
    with pytest.raises(StoreUnavailable):
        beat(connection, worker)
