"""A hole that is filled: derived readings and alarms that are found late, in a real intake and a real database."""

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from park_platform.embedded.broker import Broker
from park_platform.operations.late_pass import LatePass
from park_platform.storage.late_hours import HOUR_US, PATIENCE_US, QUIET_US
from park_platform.storage.silence import database_clock
from park_wire.batch import Lane
from park_wire.messages import Birth
from park_wire.quality import LATE
from support.database import ParkDatabase
from support.derived_systems import SYSTEMS
from support.edge import SECOND, Edge, now_us, points
from support.intake import make_park, running_intake

BIRTH = Birth.of(points(2))
GATEWAYS = tuple(f"late-{n}" for n in range(8))


@pytest.fixture(scope="module")
def park(park_database: ParkDatabase, broker: Broker) -> Generator[ParkDatabase]:
    make_park(park_database, broker, *GATEWAYS, systems=SYSTEMS)
    with running_intake(park_database, broker, SYSTEMS):
        yield park_database


@pytest.fixture(scope="module")
def unused(park: ParkDatabase) -> Iterator[str]:
    return iter(GATEWAYS)


@dataclass
class Hole:
    """A gateway that was away for a minute, half an hour ago. Seconds count from the last reading before it."""

    park: ParkDatabase
    edge: Edge
    start: int

    def live(self, *readings: tuple[float, float]) -> None:
        """Readings in time (second, value), after which nothing older follows live."""
        self._send(Lane.LIVE, readings)

    def backfill(self, *readings: tuple[float, float]) -> None:
        """Readings that come after newer ones."""
        self._send(Lane.BACKFILL, readings)

    def _send(self, lane: Lane, readings: tuple[tuple[float, float], ...]) -> None:
        rows = [(0, self.start + round(at * SECOND), value, 0) for at, value in readings]
        self.edge.send(rows, lane=lane, until=rows[-1][1] + 1)
        self.edge.wait_mark(self.edge.lanes[lane].next_seq - 1, lane)

    def judge(self, later_us: int = QUIET_US + SECOND) -> int:
        """Let the late pass do all that is due so much later; returns how often it had something to do."""
        with self.park.connection("operate") as connection:
            late = LatePass(connection, SYSTEMS, lambda connection: database_clock(connection) + later_us)
            for n in range(1_000):
                if not late.advance():
                    return n
        raise AssertionError("there is always more to do")

    def look(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.park.connection() as connection:
            return connection.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType]

    def second(self, time: int) -> float:
        return (time - self.start) / SECOND

    def ratios(self) -> list[tuple[float, float, bool]]:
        """The derived readings: second, value, whether late."""
        rows = self.look(
            """
            SELECT us_of(r.ts), r.value, r.quality FROM reading r JOIN point p ON p.id = r.point_id
            JOIN stream s ON s.id = p.stream_id WHERE s.name = %s AND p.name = 'gauge.pressure-ratio' ORDER BY r.ts
            """,
            f"gw-{self.edge.gateway}",
        )
        return [(self.second(at), value, bool(quality & LATE)) for at, value, quality in rows]

    def journal(self) -> list[tuple[float, str, bool]]:
        """The journal's lines in the order in which they were written: second, kind, whether late."""
        rows = self.look(
            """
            SELECT us_of(j.at), j.kind, j.late FROM journal j JOIN stream s ON s.id = j.stream_id
            WHERE s.name = %s ORDER BY j.seq
            """,
            f"gw-{self.edge.gateway}",
        )
        return [(self.second(at), kind, late) for at, kind, late in rows]

    def alarms(self) -> list[tuple[str, bool, float, float | None]]:
        """State, whether late, second of raising and of clearing."""
        rows = self.look(
            """
            SELECT a.state, a.late, us_of(a.raised_at), us_of(a.cleared_at) FROM alarm a
            JOIN stream s ON s.id = a.stream_id WHERE s.name = %s ORDER BY a.raised_at, a.id
            """,
            f"gw-{self.edge.gateway}",
        )
        return [
            (state, late, self.second(up), None if down is None else self.second(down))
            for state, late, up, down in rows
        ]


@pytest.fixture
def hole(park: ParkDatabase, broker: Broker, unused: Iterator[str]) -> Generator[Hole]:
    name = next(unused)
    edge = Edge(broker.url(f"gw-{name}"), name, BIRTH)
    edge.greet()
    edge.say_birth()
    # Well within an hour, so that the hole is in one.
    yield Hole(park, edge, (now_us() - HOUR_US) // HOUR_US * HOUR_US + 600 * SECOND)
    edge.close()


def test_what_came_late_is_derived_and_judged(hole: Hole) -> None:
    hole.live((0, 1.0))
    hole.live((60, 1.0))
    hole.backfill((10, 1.0), (20, 1.9), (30, 1.95), (40, 1.0))
    assert (hole.ratios(), hole.journal()) == ([(0, 0.5, False), (60, 0.5, False)], [])
    assert hole.judge() > 0
    assert hole.ratios() == [
        *((0, 0.5, False), (10, 0.5, True), (20, 0.95, True), (30, 0.975, True), (40, 0.5, True), (60, 0.5, False)),
    ]
    assert hole.journal() == [(20, "raised", True), (40, "cleared", True)]
    assert hole.alarms() == [("normal", True, 20, 40)], "history, and nobody has to act on it"
    assert (
        hole.look(
            "SELECT FROM rule_state s JOIN point p ON p.id = s.point_id WHERE p.device = %s",
            f"vessel-{hole.edge.gateway}",
        )
        == []
    )
    assert hole.judge() == 0


def test_an_open_alarm_stays_open(hole: Hole) -> None:
    hole.live((0, 1.9))
    hole.live((60, 1.9), (61, 1.9))
    hole.backfill((20, 1.0), (30, 1.9), (40, 1.0), (50, 1.9))
    hole.judge()
    assert hole.journal() == [
        *((0, "raised", False), (20, "cleared", True), (30, "raised", True), (40, "cleared", True)),
        (50, "raised", True),
    ]
    assert hole.alarms() == [
        *(("unacknowledged", False, 0, None), ("normal", True, 30, 40), ("normal", True, 50, None)),
    ]
    hole.live((70, 1.0))
    assert hole.journal()[-1] == (70, "cleared", False)
    assert hole.alarms()[0] == ("returned", False, 0, 70)


def test_more_of_the_same_hour_adds_what_is_new(hole: Hole) -> None:
    hole.live((0, 1.0))
    hole.live((60, 1.0))
    hole.backfill((10, 1.9), (20, 1.0))
    hole.judge()
    hole.backfill((30, 1.9), (40, 1.0))
    hole.judge()
    assert hole.journal() == [
        *((10, "raised", True), (20, "cleared", True), (30, "raised", True), (40, "cleared", True)),
    ]
    assert [late for _, late, _, _ in hole.alarms()] == [True, True]


def test_an_open_hole_is_waited_for(hole: Hole) -> None:
    hole.live((0, 1.0))
    hole.live((60, 1.0))
    hole.backfill((10, 1.9))
    assert hole.judge(QUIET_US // 2) == 0
    assert hole.judge(PATIENCE_US + SECOND) > 0


def test_what_follows_a_late_reading_is_derived_anew(hole: Hole) -> None:
    """The mean of the last five seconds: a late reading changes those that came in time after it."""
    hole.live((0, 1.0), (1, 1.0), (3, 1.0))
    hole.live((60, 1.0))
    hole.backfill((2, 1.8))
    hole.judge()
    rows = hole.look(
        """
        SELECT us_of(r.ts), r.value FROM reading r JOIN point p ON p.id = r.point_id JOIN stream s ON s.id = p.stream_id
        WHERE s.name = %s AND p.name = 'gauge.pressure-rate' ORDER BY r.ts
        """,
        f"gw-{hole.edge.gateway}",
    )
    assert [(hole.second(at), value) for at, value in rows] == [
        *((0, 1.0), (1, 1.0), (2, pytest.approx(3.8 / 3)), (3, pytest.approx(1.2)), (60, 1.0)),
    ]


def test_the_chain_of_the_journal_holds(hole: Hole) -> None:
    hole.live((0, 1.9))
    hole.live((60, 1.0))
    hole.backfill((10, 1.0), (20, 1.9), (30, 1.0))
    hole.judge()
    hole.live((70, 1.9), (80, 1.0))
    rows = hole.look(
        """
        SELECT j.seq, j.prev, j.hash FROM journal j JOIN stream s ON s.id = j.stream_id
        WHERE s.name = %s ORDER BY j.seq
        """,
        f"gw-{hole.edge.gateway}",
    )
    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    assert all(one[2] == following[1] for one, following in itertools.pairwise(rows))
