"""Reliability case 21: the database is restored to an older state. What it lost of the gateways' batches is a gap.

The older state is a copy that was made before the gateways went on; they delete what was committed after it.
"""

import itertools
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from park_platform.embedded.broker import Broker
from park_platform.embedded.postgres import Postgres
from park_platform.storage.restore import Restored, declare_restored
from park_wire.batch import Lane, Origin
from park_wire.errors import OwnershipLost
from park_wire.messages import Birth
from support.database import ParkDatabase, copy_park
from support.edge import SECOND, Edge, now_us, points
from support.intake import make_park, running_intake
from support.processes import wait_until
from support.services import Databases

BIRTH = Birth.of(points(1))
GATEWAYS = tuple(f"old-{n}" for n in range(6))
_numbers = itertools.count()


@pytest.fixture(scope="module")
def park(park_database: ParkDatabase, broker: Broker) -> ParkDatabase:
    make_park(park_database, broker, *GATEWAYS)
    return park_database


@pytest.fixture(scope="module")
def unused(park: ParkDatabase) -> Iterator[str]:
    return iter(GATEWAYS)


@pytest.fixture
def edge(broker: Broker, unused: Iterator[str]) -> Generator[Edge]:
    name = next(unused)
    edge = Edge(broker.url(f"gw-{name}"), name, BIRTH)
    yield edge
    edge.close()


@pytest.fixture
def copy(postgres: Postgres, databases: Databases) -> Generator[Callable[[ParkDatabase], ParkDatabase]]:
    """Makes a copy of a database that nobody is connected to."""
    made: list[ParkDatabase] = []

    def make(park: ParkDatabase) -> ParkDatabase:
        name = str(conninfo_to_dict(park.url())["dbname"])
        made.append(copy_park(postgres, databases, name))
        return made[-1]

    yield make
    for each in made:
        databases.drop(each.admin_url)


def send(edge: Edge, n: int) -> None:
    """Seal and deliver so many batches of one reading, whose value is their number."""
    for _ in range(n):
        number = next(_numbers)
        edge.send([(0, now_us() + number, float(number), 0)])
    edge.deliver()


def declare(park: ParkDatabase) -> Restored:
    with park.connection() as connection:
        return declare_restored(connection, now_us())


def look(park: ParkDatabase, edge: Edge, query: str) -> list[tuple[Any, ...]]:
    with park.connection() as connection:
        return connection.execute(query, (edge.gateway,)).fetchall()  # pyright: ignore[reportArgumentType]


def gaps(park: ParkDatabase, edge: Edge) -> list[tuple[bool, str, int, int | None]]:
    """Of the present epoch or not, lane, first and last seq."""
    rows = look(
        park,
        edge,
        """
        SELECT p.epoch, p.lane, p.from_seq, p.to_seq FROM gap p JOIN gateway g ON g.id = p.gateway_id
        WHERE g.key = %s ORDER BY p.from_seq, p.lane
        """,
    )
    return [(epoch == edge.epoch, lane, first, last) for epoch, lane, first, last in rows]


def n_readings(park: ParkDatabase, edge: Edge) -> int:
    [(n,)] = look(
        park,
        edge,
        """
        SELECT count(*) FROM reading r JOIN point p ON p.id = r.point_id JOIN gateway g ON g.stream_id = p.stream_id
        WHERE g.key = %s
        """,
    )
    return n


def begin(edge: Edge) -> None:
    edge.greet()
    edge.say_birth()


def report(edge: Edge, oldest: int) -> None:
    """A new run says that it holds the live batches from `oldest` on, until somebody answers it."""
    edge.begin_run()

    def answered() -> bool:
        edge.hello(oldest={Lane.LIVE: oldest})
        return any(ack.run == edge.run for ack in edge.acks())

    wait_until(answered, "an answer to hello", within_s=20)


def test_what_the_gateway_has_deleted_since_is_a_gap(
    park: ParkDatabase, broker: Broker, edge: Edge, copy: Callable[[ParkDatabase], ParkDatabase]
) -> None:
    with running_intake(park, broker):
        begin(edge)
        send(edge, 3)
    older = copy(park)
    with running_intake(park, broker):
        begin(edge)
        send(edge, 4)
    restored = declare(older)
    assert (edge.gateway in restored.gateways, restored.gaps) == (True, 2)
    assert gaps(older, edge) == [(True, "backfill", 1, None), (True, "live", 4, None)]
    [(alarms,)] = look(
        older,
        edge,
        "SELECT count(*) FROM alarm a WHERE a.subject = %s AND a.closed_at IS NULL AND a.state = 'returned'",
    )
    assert alarms == 1
    with running_intake(older, broker):
        report(edge, 8)
        send(edge, 1)
    assert gaps(older, edge) == [(True, "live", 4, 7)]
    assert n_readings(older, edge) == 4


def test_what_the_gateway_still_holds_is_no_gap(
    park: ParkDatabase, broker: Broker, edge: Edge, copy: Callable[[ParkDatabase], ParkDatabase]
) -> None:
    with running_intake(park, broker):
        begin(edge)
        send(edge, 3)
    older = copy(park)
    declare(older)
    with running_intake(older, broker):
        report(edge, 4)
        send(edge, 2)
    assert gaps(older, edge) == []
    assert n_readings(older, edge) == 5


def test_an_epoch_that_was_left_since_ends_where_it_was_left(
    park: ParkDatabase, broker: Broker, edge: Edge, copy: Callable[[ParkDatabase], ParkDatabase]
) -> None:
    """Seqs 4 and 5 were committed and deleted after the backup; 6 was not, and moved to a new epoch as its seq 1."""
    with running_intake(park, broker):
        begin(edge)
        send(edge, 3)
    older = copy(park)
    with running_intake(park, broker):
        begin(edge)
        send(edge, 2)
    moved, first = edge.seal([(0, now_us() + SECOND, 99.0, 0)]), edge.epoch
    edge.former = (edge.as_former(),)
    edge.begin_epoch()
    edge.begin_run()
    edge.append(moved.sealed, origin=Origin(first, Lane.LIVE, 6))
    declare(older)
    with running_intake(older, broker):
        edge.greet()
        assert gaps(older, edge) == [(False, "live", 4, 6)]
        edge.deliver()
        assert gaps(older, edge) == [(False, "live", 4, 5)]
    # Another worker, and another hello: nothing is said twice.
    with running_intake(older, broker):
        edge.begin_run()
        edge.greet()
        send(edge, 1)
    assert gaps(older, edge) == [(False, "live", 4, 5)]
    assert n_readings(older, edge) == 5


def test_epochs_that_came_and_went_since_are_gaps_as_a_whole(
    park: ParkDatabase, broker: Broker, edge: Edge, copy: Callable[[ParkDatabase], ParkDatabase]
) -> None:
    with running_intake(park, broker):
        begin(edge)
        send(edge, 1)
    older = copy(park)
    with running_intake(park, broker):
        for n in (2, 3):
            edge.former = (*edge.former, edge.as_former())
            edge.begin_epoch()
            edge.begin_run()
            begin(edge)
            send(edge, n)
    declare(older)
    for _ in range(2):
        with running_intake(older, broker):
            report(edge, 4)
    assert gaps(older, edge) == [(False, "live", 1, 2), (True, "live", 1, 3)]


def test_a_worker_of_the_former_state_commits_nothing(park: ParkDatabase, broker: Broker, edge: Edge) -> None:
    with running_intake(park, broker) as intake:
        begin(edge)
        send(edge, 1)
        before = n_readings(park, edge)
        declare(park)
        edge.send([(0, now_us(), 1.0, 0)])
        wait_until(lambda: intake.error is not None, "the worker to end")
        assert isinstance(intake.error, OwnershipLost)
        intake.error = None
    assert n_readings(park, edge) == before


def test_a_lane_that_the_backup_did_not_have_is_a_gap_too(
    park: ParkDatabase, broker: Broker, edge: Edge, copy: Callable[[ParkDatabase], ParkDatabase]
) -> None:
    """Backfill began after the backup, was committed and deleted, and then the epoch was left."""
    with running_intake(park, broker):
        begin(edge)
        send(edge, 1)
    older = copy(park)
    with running_intake(park, broker):
        begin(edge)
        edge.send([(0, now_us() - 90 * SECOND, 7.0, 0)], lane=Lane.BACKFILL)
        edge.deliver(Lane.BACKFILL)
    edge.former = (edge.as_former(),)
    edge.begin_epoch()
    declare(older)
    with running_intake(older, broker):
        edge.begin_run()
        edge.greet()
    assert gaps(older, edge) == [(False, "backfill", 1, 1)]
