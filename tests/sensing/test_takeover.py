"""Several workers as real processes on one database: killed, frozen, poisoned; nothing lost, nothing twice."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from park_platform.embedded.broker import Broker
from park_platform.storage.journal import verify
from park_wire.batch import Lane
from park_wire.messages import Birth
from support.database import ParkDatabase
from support.edge import Edge, now_us, points
from support.intake import IntakeProcess, Rule, make_park
from support.processes import wait_until

BIRTH = Birth.of(points(4))
RULES: tuple[Rule, ...] = ({"id": "high", "kind": "H", "on": {"quantity": "pressure"}, "limit": 3.0},)
GATEWAYS = [f"moved-{n}" for n in range(4)]

# The worker stops in the middle of the COPY that holds this value, and only once.
_FREEZE_IN_COPY = """
import os, signal
from park_platform.storage import readings
encode = readings.encode_readings
def encode_then_freeze(frame):
    pieces = encode(frame)
    yield next(pieces)
    if 7.25 in frame.value and not os.path.exists({flag!r}):
        open({flag!r}, "w").close()
        os.kill(os.getpid(), signal.SIGSTOP)
    yield from pieces
readings.encode_readings = encode_then_freeze
"""
# A batch with this value ends the process that decodes it.
_DIE_IN_DECODE = """
import os
from park_platform.sensing import staging
decode = staging.decode_batch
def decode_or_die(batch, points):
    decoded = decode(batch, points)
    if 6.66 in decoded.frame.value:
        os._exit(9)
    return decoded
staging.decode_batch = decode_or_die
"""


@pytest.fixture(scope="module")
def park(park_database: ParkDatabase, broker: Broker) -> ParkDatabase:
    make_park(park_database, broker, *GATEWAYS, rules=RULES)
    return park_database


@pytest.fixture
def start_worker(park: ParkDatabase, broker: Broker) -> Generator[Callable[..., IntakeProcess]]:
    """Starts workers that end with the test."""
    with ExitStack() as stack:

        def start(fault: str = "") -> IntakeProcess:
            worker = IntakeProcess(park, broker, fault=fault)
            stack.callback(worker.close)
            return worker

        yield start


@pytest.fixture
def edges(park: ParkDatabase, broker: Broker) -> Generator[list[Edge]]:
    edges = [Edge(broker.url(f"gw-{name}"), name, BIRTH) for name in GATEWAYS]
    for edge in edges:
        edge.hello()
        edge.say_birth()
    yield edges
    for edge in edges:
        edge.close()


def rows(park: ParkDatabase, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with park.connection() as connection:
        return connection.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType]


def owners(park: ParkDatabase) -> dict[str, Any]:
    """The owner of each gateway's stream."""
    return dict(rows(park, "SELECT name, owner FROM stream WHERE kind = 'gateway' ORDER BY name"))


def wait_spread(park: ParkDatabase, workers: int) -> dict[str, Any]:
    """Wait until every stream has an owner, and so many workers live."""

    def spread() -> bool:
        living = rows(park, "SELECT id FROM worker WHERE beat_at > clock_timestamp() - interval '2 s'")
        return len(living) == workers and None not in owners(park).values()

    wait_until(spread, f"{workers} workers with all streams")
    return owners(park)


def seal_some(edge: Edge, n: int, values: Sequence[float] = ()) -> None:
    """Batches of one reading each, every fifth above the limit; or of these values."""
    start = now_us()
    for number in range(n):
        value = values[number] if values else (3.5 if number % 5 == 4 else 1.0)
        edge.seal([(number % 4, start + number, value, 0)])


def counts(park: ParkDatabase) -> dict[str, int]:
    """How many readings each stream has."""
    return dict(
        rows(
            park,
            """
            SELECT s.name, (SELECT count(*) FROM reading r JOIN point p ON p.id = r.point_id WHERE p.stream_id = s.id)
            FROM stream s WHERE s.kind = 'gateway'
            """,
        )
    )


def gaps(park: ParkDatabase, edges: Sequence[Edge]) -> list[tuple[Any, ...]]:
    """The declared gaps of these edges' outboxes; a former test's outbox is rightly one that was lost."""
    return rows(park, "SELECT * FROM gap WHERE epoch = ANY(%s)", [edge.epoch for edge in edges])


def check(park: ParkDatabase, edges: Sequence[Edge], sealed: int, raised: int) -> None:
    """Each reading is stored once, each crossing of the limit is in the journal once, and the chain is whole."""
    for edge in edges:
        journal = Counter(
            kind
            for (kind,) in rows(
                park,
                """
                SELECT j.kind FROM journal j JOIN rule r ON r.id = j.rule_id JOIN stream s ON s.id = j.stream_id
                WHERE r.key = 'high' AND s.name = %s
                """,
                f"gw-{edge.gateway}",
            )
        )
        assert counts(park)[f"gw-{edge.gateway}"] == sealed
        assert journal["raised"] == raised
        with park.connection() as connection:
            [(stream,)] = rows(park, "SELECT id FROM stream WHERE name = %s", f"gw-{edge.gateway}")
            assert verify(connection, stream) is None
    assert not gaps(park, edges)
    assert rows(park, "SELECT count(*) FROM reading_conflict") == [(0,)]


def test_two_workers_share_and_one_that_is_killed_is_replaced(
    park: ParkDatabase, edges: list[Edge], start_worker: Callable[..., IntakeProcess]
) -> None:
    first, _second = start_worker(), start_worker()
    wait_spread(park, 2)
    for edge in edges:
        seal_some(edge, 10)
        edge.deliver()
    for edge in edges:
        seal_some(edge, 10)
        edge.resend_from(11)
    first.kill()
    killed_at = time.monotonic()
    wait_until(lambda: len(set(owners(park).values())) == 1, "one owner of all", 5.0)
    assert time.monotonic() - killed_at < 5
    for edge in edges:
        seal_some(edge, 10)
        edge.deliver()
    check(park, edges, 30, raised=_raised(30))


def test_a_worker_that_is_frozen_inside_copy_is_replaced_and_can_do_no_more(
    park: ParkDatabase, edges: list[Edge], start_worker: Callable[..., IntakeProcess], tmp_path: Path
) -> None:
    before = counts(park)
    flag = tmp_path / "frozen"
    frozen = start_worker(_FREEZE_IN_COPY.format(flag=str(flag)))
    wait_spread(park, 1)
    for edge in edges:
        seal_some(edge, 2)
        edge.deliver()
    seal_some(edges[0], 3, [1.0, 7.25, 1.0])
    edges[0].resend_from(3)
    wait_until(flag.exists, "the freeze")
    # Its transaction is open: it holds the stream's row, and half of the rows are in the table.
    start_worker()
    for edge in edges:
        seal_some(edge, 4)
        edge.deliver()
    frozen.thaw()
    assert frozen.exit_code() != 0
    assert "owner" in frozen.log()
    for edge in edges:
        seal_some(edge, 1)
        edge.deliver()
    after = counts(park)
    assert {key: after[key] - before[key] for key in after} == {
        f"gw-{edge.gateway}": 2 + (3 if edge is edges[0] else 0) + 5 for edge in edges
    }
    assert not gaps(park, edges)
    assert rows(park, "SELECT count(*) FROM reading_conflict") == [(0,)]


def test_a_batch_that_kills_every_worker_becomes_a_dead_letter(
    park: ParkDatabase, edges: list[Edge], start_worker: Callable[..., IntakeProcess]
) -> None:
    before = counts(park)
    seal_some(edges[0], 5, [1.0, 1.0, 6.66, 1.0, 1.0])
    deaths, worker = 0, start_worker(_DIE_IN_DECODE)
    deadline = time.monotonic() + 40
    while edges[0].mark() < 5:
        assert time.monotonic() < deadline, f"{deaths} deaths, mark {edges[0].mark()}"
        edges[0].answer()
        edges[0].resend_from(edges[0].mark() + 1)
        if worker.ended_within(0.5):
            deaths, worker = deaths + 1, start_worker(_DIE_IN_DECODE)
    # The first death says only that a batch in its hands was bad; the next three say which.
    assert deaths == 4
    for edge in edges[1:]:
        seal_some(edge, 2)
        edge.deliver()
    after = counts(park)
    assert {key: after[key] - before[key] for key in after} == {
        f"gw-{edge.gateway}": 4 if edge is edges[0] else 2 for edge in edges
    }
    [(payload, reason)] = rows(park, "SELECT payload, reason FROM dead_letter")
    assert bytes(payload) == edges[0].lanes[Lane.LIVE].sent[3]
    assert "3 times" in reason


def _raised(n: int) -> int:
    """How often the limit is crossed upwards in n readings over four points, in the order of each point."""
    high = [number % 10 % 5 == 4 for number in range(n)]
    raised = 0
    for point in range(4):
        active = False
        for number in range(n):
            if number % 10 % 4 != point:
                continue
            raised += high[number] and not active
            active = high[number]
    return raised
