"""The intake worker against a real broker and a real database: what is committed, acknowledged, refused and kept."""

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from park_platform.embedded.broker import Broker
from park_platform.sensing import intake
from park_platform.storage.alarms import acknowledge, request_reset
from park_platform.storage.journal import verify
from park_platform.storage.scope import WHOLE_PARK, scoped
from park_wire import cbor
from park_wire.batch import Envelope, Event, Lane, Origin, encode_batch
from park_wire.messages import Birth
from support.database import ParkDatabase
from support.edge import SECOND, Edge, now_us, points
from support.intake import Rule, RunningIntake, make_park, running_intake
from support.processes import wait_until
from support.wire_samples import column_map, columns_of, sealed_from

RULES: tuple[Rule, ...] = (
    {"id": "hh", "kind": "HH", "on": {"quantity": "pressure"}, "design_limit": {"quantity": "pressure", "times": 0.9}},
    {"id": "stale", "kind": "STALE", "on": {"quantity": "pressure"}},
    {"id": "latched", "kind": "H", "on": {"quantity": "pressure"}, "limit": 3.0, "latch": True},
)
# Made at once: each park apply and each reload of the broker costs as much as a test.
GATEWAYS = tuple(f"edge-{n}" for n in range(40))
BIRTH = Birth.of(points(4))


@pytest.fixture(scope="module")
def running(park_database: ParkDatabase, broker: Broker) -> Generator[RunningIntake]:
    make_park(park_database, broker, *GATEWAYS, rules=RULES)
    with running_intake(park_database, broker) as intake:
        yield intake


@pytest.fixture(scope="module")
def unused(running: RunningIntake) -> Iterator[str]:
    """Gateways that have not spoken yet."""
    return iter(GATEWAYS)


@pytest.fixture
def silent(broker: Broker, unused: Iterator[str]) -> Generator[Edge]:
    """A gateway of its own that has said nothing yet."""
    name = next(unused)
    edge = Edge(broker.url(f"gw-{name}"), name, BIRTH)
    edge.wait(lambda ack: ack.need_hello, "need_hello")
    yield edge
    edge.close()


@pytest.fixture
def edge(broker: Broker, unused: Iterator[str]) -> Generator[Edge]:
    """A gateway of its own, greeted and born."""
    name = next(unused)
    edge = Edge(broker.url(f"gw-{name}"), name, BIRTH)
    edge.greet()
    edge.say_birth()
    yield edge
    edge.close()


def rows(park: ParkDatabase, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with park.connection() as connection:
        return connection.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType]


def readings(park: ParkDatabase, edge: Edge) -> list[tuple[Any, ...]]:
    return rows(
        park,
        """
        SELECT p.name, us_of(r.ts), r.value, r.quality FROM reading r JOIN point p ON p.id = r.point_id
        JOIN gateway g ON g.stream_id = p.stream_id WHERE g.key = %s ORDER BY p.name, r.ts
        """,
        edge.gateway,
    )


def test_a_batch_is_stored_then_acknowledged(park_database: ParkDatabase, edge: Edge) -> None:
    at = now_us()
    sent = edge.send([(0, at, 1.5, 0), (1, at, 2.5, 0x44)])
    ack = edge.wait_mark(1)
    assert ack.marks[Lane.LIVE] == (1, sent.sha256)
    assert readings(park_database, edge) == [("p-0", at, 1.5, 0), ("p-1", at, 2.5, 0x44)]


def test_a_repeated_batch_is_stored_once(park_database: ParkDatabase, edge: Edge) -> None:
    edge.send([(0, now_us(), 1.5, 0)])
    edge.wait_mark(1)
    before = len(edge.acks())
    edge.resend(1)
    edge.send([(0, now_us(), 1.6, 0)])
    edge.wait_mark(2)
    assert len(edge.acks()) > before
    assert len(readings(park_database, edge)) == 2


def test_a_later_batch_waits_for_the_missing_one(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us()
    first, second, third = (edge.seal([(0, start + n, float(n), 0)]) for n in range(3))
    edge.publish(second)
    edge.publish(third)
    time.sleep(0.3)
    assert readings(park_database, edge) == []
    edge.publish(first)
    edge.wait_mark(3)
    assert [value for _, _, value, _ in readings(park_database, edge)] == [0.0, 1.0, 2.0]


def test_what_waits_too_long_is_discarded_and_the_gateway_asked(park_database: ParkDatabase, edge: Edge) -> None:
    edge.seal([(0, now_us(), 1.0, 0)])
    late = edge.seal([(0, now_us(), 2.0, 0)])
    edge.publish(late)
    edge.wait(lambda ack: ack.need_hello and ack.run == edge.run, "need_hello for this run")
    assert readings(park_database, edge) == []
    edge.resend(1)
    edge.resend(2)
    edge.wait_mark(2)


def test_a_batch_whose_predecessor_is_another_one_asks_for_a_new_epoch(edge: Edge) -> None:
    edge.send([(0, now_us(), 1.0, 0)])
    edge.wait_mark(1)
    batch = edge.seal([(0, now_us(), 2.0, 0)])
    edge.publish(replace(batch, envelope=replace(batch.envelope, prev=bytes(31) + b"\1")))
    ack = edge.wait(lambda ack: ack.new_epoch, "new_epoch")
    assert (ack.run, ack.epoch) == (edge.run, edge.epoch)


def test_another_content_under_a_committed_number_is_kept_apart(park_database: ParkDatabase, edge: Edge) -> None:
    edge.send([(0, now_us(), 1.0, 0)])
    edge.wait_mark(1)
    other = edge.seal([(0, now_us(), 9.0, 0)])
    payload = encode_batch(Envelope(edge.run, edge.epoch, Lane.LIVE, 1, bytes(32)), other.sealed)
    edge.say("data", payload)
    edge.wait(lambda ack: ack.new_epoch, "new_epoch")
    assert [value for _, _, value, _ in readings(park_database, edge)] == [1.0]
    letters = rows(
        park_database,
        "SELECT payload FROM dead_letter d JOIN gateway g USING (stream_id) WHERE g.key = %s",
        edge.gateway,
    )
    assert [bytes(letter) for (letter,) in letters] == [payload]
    alarms = rows(
        park_database,
        "SELECT state FROM alarm a JOIN rule r ON r.id = a.rule_id WHERE r.key = 'gateway-conflict' AND a.subject = %s",
        edge.gateway,
    )
    assert alarms == [("returned",)]


def test_a_batch_that_was_moved_to_a_new_epoch_is_not_stored_twice(park_database: ParkDatabase, edge: Edge) -> None:
    sent = edge.send([(0, now_us(), 1.0, 0)])
    edge.wait_mark(1)
    origin = Origin(edge.epoch, Lane.LIVE, 1)
    edge.epoch = bytes(15) + b"\7"
    edge.say("data", encode_batch(Envelope(edge.run, edge.epoch, Lane.LIVE, 1, bytes(32), origin), sent.sealed))
    edge.wait_mark(1)
    assert len(readings(park_database, edge)) == 1
    assert rows(park_database, "SELECT count(*) FROM reading_conflict") == [(0,)]


def test_an_unknown_birth_is_asked_for_and_the_batch_is_not_lost(park_database: ParkDatabase, silent: Edge) -> None:
    silent.send([(0, now_us(), 1.0, 0)])
    silent.wait(lambda ack: ack.need_birth == silent.birth.config_version, "need_birth")
    silent.say_birth()
    silent.wait_mark(1)
    assert len(readings(park_database, silent)) == 1


def test_a_wrong_event_costs_no_reading_and_no_other_event(park_database: ParkDatabase, edge: Edge) -> None:
    at = now_us()
    columns = cbor.encode(column_map(columns_of([(0, at, 1.0, 0)])))
    events = cbor.encode([["gate-1", at, "pass", {"n": 1}], ["gate 1", at, "pass", {"n": 2}]])
    edge.publish(edge.append(sealed_from(columns, events, version=edge.birth.config_version)))
    edge.wait_mark(1)
    assert len(readings(park_database, edge)) == 1
    of_gateway = "JOIN gateway g USING (stream_id) WHERE g.key = %s"
    assert rows(park_database, f"SELECT body FROM event {of_gateway}", edge.gateway) == [({"n": 1},)]
    kept = rows(park_database, f"SELECT reason FROM dead_letter {of_gateway}", edge.gateway)
    assert kept == [("event 1: device 'gate 1' or kind 'pass' is not a name",)]


def test_good_readings_of_a_half_bad_batch_stay(park_database: ParkDatabase, edge: Edge) -> None:
    at = now_us()
    edge.send([(0, at, 1.0, 0), (77, at, 2.0, 0), (1, at + 3_600 * SECOND, 3.0, 0), (2, at, 4.0, 0)])
    edge.wait_mark(1)
    assert [(name, value) for name, _, value, _ in readings(park_database, edge)] == [("p-0", 1.0), ("p-2", 4.0)]
    kept = rows(
        park_database,
        "SELECT reason FROM dead_letter d JOIN gateway g USING (stream_id) WHERE g.key = %s",
        edge.gateway,
    )
    assert [reason for (reason,) in kept] == ["1 readings have an index that no birth names"]
    quarantined = rows(
        park_database,
        """
        SELECT q.value FROM quarantine q JOIN point p ON p.id = q.point_id JOIN gateway g USING (stream_id)
        WHERE g.key = %s
        """,
        edge.gateway,
    )
    assert quarantined == [(3.0,)]


def test_poison_becomes_a_dead_letter_and_the_lane_goes_on(park_database: ParkDatabase, edge: Edge) -> None:
    batch = edge.seal([(0, now_us(), 1.0, 0)])
    broken = bytearray(encode_batch(batch.envelope, batch.sealed))
    broken[broken.find(batch.sealed.columns) + 5] ^= 1
    edge.say("data", bytes(broken))
    edge.send([(0, now_us(), 2.0, 0)])
    edge.wait_mark(2)
    assert [value for _, _, value, _ in readings(park_database, edge)] == [2.0]
    assert rows(
        park_database,
        "SELECT lane, seq, payload FROM dead_letter d JOIN gateway g USING (stream_id) WHERE g.key = %s",
        edge.gateway,
    ) == [("live", 1, bytes(broken))]


def test_noise_on_the_data_topic_stops_nobody(park_database: ParkDatabase, edge: Edge) -> None:
    for payload in (b"", b"\xff", b"hello", bytes(70_000)):
        edge.say("data", payload)
    edge.send([(0, now_us(), 2.0, 0)])
    edge.wait_mark(1)
    kept = rows(
        park_database,
        "SELECT count(*) FROM dead_letter d JOIN gateway g USING (stream_id) WHERE g.key = %s",
        edge.gateway,
    )
    assert kept == [(4,)]


def test_a_tombstone_passes_the_mark_and_leaves_a_gap(park_database: ParkDatabase, edge: Edge) -> None:
    for n in range(3):
        edge.seal([(0, now_us(), float(n), 0)])
    edge.publish(edge.bury(1, 3))
    edge.send([(0, now_us(), 5.0, 0)])
    edge.wait_mark(4)
    gaps = rows(
        park_database,
        """
        SELECT from_seq, to_seq, us_of(from_ts), us_of(to_ts), n, reason FROM gap JOIN gateway g ON g.id = gateway_id
        WHERE g.key = %s
        """,
        edge.gateway,
    )
    assert gaps == [(1, 3, 10, 20, 3, "disk full")]


def test_an_outbox_that_forgot_batches_leaves_a_gap_that_a_late_batch_shrinks(
    park_database: ParkDatabase, edge: Edge
) -> None:
    forgotten = [edge.seal([(0, now_us(), float(n), 0)]) for n in range(3)]
    edge.hello(oldest={Lane.LIVE: 4})
    edge.wait_mark(3)
    edge.publish(forgotten[1])
    edge.send([(0, now_us(), 9.0, 0)])
    edge.wait_mark(4)
    gaps = rows(
        park_database,
        "SELECT from_seq, to_seq FROM gap JOIN gateway g ON g.id = gateway_id WHERE g.key = %s ORDER BY from_seq",
        edge.gateway,
    )
    assert gaps == [(1, 1), (3, 3)]
    assert [value for _, _, value, _ in readings(park_database, edge)] == [1.0, 9.0]


def test_a_limit_raises_once_at_the_reading_that_crossed_it(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us() - 5 * SECOND
    edge.send([(0, start + n * SECOND, value, 0) for n, value in enumerate((1.0, 1.9, 1.95, 1.0))])
    edge.wait_mark(1)
    journal = rows(
        park_database,
        """
        SELECT j.kind, us_of(j.at), j.value, j.limit_value, a.state FROM journal j JOIN rule r ON r.id = j.rule_id
        JOIN alarm a ON a.id = j.alarm_id JOIN stream s ON s.id = j.stream_id
        WHERE r.key = 'hh' AND s.name = %s ORDER BY j.seq
        """,
        f"gw-{edge.gateway}",
    )
    assert journal == [
        ("raised", start + SECOND, 1.9, 1.8, "returned"),
        ("cleared", start + 3 * SECOND, 1.0, 1.8, "returned"),
    ]


def test_silence_of_a_point_is_stale_at_the_instant_that_follows(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us() - 20 * SECOND
    edge.send([(0, start, 1.0, 0)])
    edge.send([], until=start + 10 * SECOND)
    edge.wait_mark(2)
    journal = rows(
        park_database,
        """
        SELECT j.kind, us_of(j.at) FROM journal j JOIN rule r ON r.id = j.rule_id JOIN stream s ON s.id = j.stream_id
        WHERE r.key = 'stale' AND s.name = %s
        """,
        f"gw-{edge.gateway}",
    )
    assert journal == [("raised", start + 3 * SECOND)]


def test_late_readings_are_stored_and_move_no_alarm(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us() - 20 * SECOND
    edge.send([(0, start + 2 * SECOND, 1.0, 0)])
    edge.send([(0, start + SECOND, 1.9, 0)], lane=Lane.BACKFILL)
    edge.wait_mark(1, Lane.BACKFILL)
    edge.wait_mark(1)
    assert [quality for _, _, _, quality in readings(park_database, edge)] == [1 << 12, 0]
    assert (
        rows(
            park_database,
            "SELECT 1 FROM journal j JOIN stream s ON s.id = j.stream_id WHERE s.name = %s",
            f"gw-{edge.gateway}",
        )
        == []
    )


def test_a_latched_alarm_waits_for_a_person(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us() - 5 * SECOND
    edge.send([(0, start, 3.5, 0), (0, start + SECOND, 1.0, 0)])
    edge.wait_mark(1)
    query = """
        SELECT a.id, a.state FROM alarm a JOIN rule r ON r.id = a.rule_id JOIN stream s ON s.id = a.stream_id
        WHERE r.key = 'latched' AND s.name = %s
        """
    [(alarm, state)] = rows(park_database, query, f"gw-{edge.gateway}")
    assert state == "latched_unacknowledged"
    with park_database.connection("api") as connection, scoped(connection, WHOLE_PARK, read_only=False):
        answer = acknowledge(connection, alarm, "wang", "seen", now_us())
        assert answer is not None
        assert answer.state == "latched_acknowledged"
        request_reset(connection, alarm, "wang", None)
    deadline = time.monotonic() + 5
    while rows(park_database, query, f"gw-{edge.gateway}")[0][1] != "normal" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rows(park_database, query, f"gw-{edge.gateway}") == [(alarm, "normal")]
    with park_database.connection() as connection:
        stream = rows(park_database, "SELECT id FROM stream WHERE name = %s", f"gw-{edge.gateway}")[0][0]
        assert verify(connection, stream) is None


def test_events_are_stored_once(park_database: ParkDatabase, edge: Edge) -> None:
    at = now_us()
    ticket = Event("weighbridge-1", at, "weigh-ticket", {"plate": "蒙B12345", "gross": 48.2})
    edge.send([], events=[ticket])
    edge.send([], events=[ticket])
    edge.wait_mark(2)
    stored = rows(
        park_database,
        "SELECT e.device, e.kind, us_of(e.ts), e.body FROM event e JOIN gateway g USING (stream_id) WHERE g.key = %s",
        edge.gateway,
    )
    assert stored == [("weighbridge-1", "weigh-ticket", at, {"plate": "蒙B12345", "gross": 48.2})]


def test_the_counts_are_in_the_log(running: RunningIntake, edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_SAY_COUNTS_S", 0.0)
    before = running.intake.counts.readings
    with capture_logs() as lines:
        edge.send([(0, now_us(), 1.5, 0)])
        wait_until(
            lambda: any(line["event"] == "intake_counts" and line["readings"] > before for line in lines), "its counts"
        )
