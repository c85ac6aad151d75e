"""The live stream over real sockets: uvicorn, PostgreSQL and the broker."""

import socket
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from park_platform.api import live
from park_platform.embedded.broker import Broker
from park_platform.storage.alarms import acknowledge
from park_platform.storage.latest import pack_image
from park_platform.storage.people import Role, add_person, disable_person
from park_sdk.frame import Image, Int32s
from park_wire import cbor
from park_wire.messages import LiveValues
from park_wire.topics import live_values_topic
from support.mqtt import MqttClient
from support.serving import NOW_US, Planted, Served, lower_alarm, raise_alarm, serving, wait_until


def receive(live_stream: ClientConnection, within_s: float = 10.0) -> dict[str, Any]:
    message = live_stream.recv(timeout=within_s)
    assert isinstance(message, bytes)
    return cbor.decode(message)


def receive_until(
    live_stream: ClientConnection, wanted: Callable[[dict[str, Any]], bool], within_s: float = 12.0
) -> list[dict[str, Any]]:
    """Every message up to the wanted one."""
    deadline = time.monotonic() + within_s
    messages: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        messages.append(receive(live_stream))
        if wanted(messages[-1]):
            return messages
    raise AssertionError(f"the message did not come: {[message['kind'] for message in messages]}")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits; the tests of the rhythm itself set it back."""
    assert (live.VALUES_EVERY_S, live.HEARTBEAT_EVERY_S) == (0.5, 5.0)
    monkeypatch.setattr(live, "VALUES_EVERY_S", 0.1)
    monkeypatch.setattr(live, "HEARTBEAT_EVERY_S", 0.5)


class Intake:
    """Publishes what a stream committed, as the intake does."""

    def __init__(self, broker: Broker, planted: Planted) -> None:
        self._client = MqttClient(broker.url("ingest"))
        self._planted = planted
        self.seq = 0

    def publish(self, value: float, at: int, *, quality: int = 0) -> None:
        self.seq += 1
        values = LiveValues(
            stream=self._planted.stream,
            seq=self.seq,
            point=memoryview(np.array([self._planted.point], np.int32).tobytes()).cast("i"),
            time=memoryview(np.array([at], np.int64).tobytes()).cast("q"),
            value=memoryview(np.array([value]).tobytes()).cast("d"),
            quality=memoryview(np.array([quality], np.int32).tobytes()).cast("i"),
        )
        self._client.publish(live_values_topic(self._planted.stream), values.encode(), qos=0)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def intake(served: Served, broker: Broker) -> Generator[Intake]:
    """The intake's publisher for alpha's stream; it goes on from a fresh sequence."""
    intake = Intake(broker, served.planted["alpha"])
    yield intake
    intake.close()


def holds(point: int, value: float) -> Callable[[dict[str, Any]], bool]:
    return lambda message: "point" in message and (point, value) in zip(message["point"], message["value"], strict=True)


def test_first_a_snapshot_then_what_changes(served: Served, intake: Intake) -> None:
    point = served.planted["alpha"].point
    with served.live("operator") as live_stream:
        first = receive(live_stream)
        assert (first["v"], first["kind"], first["seq"], first["more"]) == (1, "snapshot", 1, False)
        assert abs(first["server_time_us"] - time.time_ns() // 1000) < 60_000_000
        assert [first[name].format for name in ("point", "time_us", "value", "quality")] == ["i", "q", "d", "i"]
        assert set(first["point"]) == {planted.point for planted in served.planted.values()}
        now = time.time_ns() // 1000
        intake.publish(2.5, now, quality=0x85)
        messages = receive_until(live_stream, holds(point, 2.5))
        assert list(messages[-1]["point"]) == [point], "only what changed"
        assert (list(messages[-1]["time_us"]), list(messages[-1]["quality"])) == ([now], [0x85])
        assert [message["seq"] for message in messages] == list(range(2, 2 + len(messages)))


def test_at_most_one_message_a_second_with_the_newest_value(
    served: Served, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "VALUES_EVERY_S", 1.0)
    point = served.planted["alpha"].point
    now = time.time_ns() // 1000
    with served.live("operator") as live_stream:
        receive(live_stream)
        began = time.monotonic()
        for number in range(120):
            intake.publish(float(number), now + number)
            time.sleep(0.02)
        messages = receive_until(live_stream, holds(point, 119.0))
        took = time.monotonic() - began
    values = [message for message in messages if message["kind"] == "values"]
    assert 2 <= len(values) <= took + 1.5
    shown = [value for message in values for value in message["value"]]
    assert shown == sorted(shown)


def test_an_older_value_is_not_shown(served: Served, intake: Intake) -> None:
    point = served.planted["alpha"].point
    now = time.time_ns() // 1000
    with served.live("operator") as live_stream:
        intake.publish(50.0, now)
        intake.publish(40.0, now - 1_000_000)
        intake.publish(51.0, now + 1)
        shown = [
            value for message in receive_until(live_stream, holds(point, 51.0)) for value in message.get("value", ())
        ]
    assert 40.0 not in shown


def test_a_hole_makes_it_read_latest(served: Served, intake: Intake) -> None:
    """Two points of one stream: the message with the other's value is lost, `latest` has it."""
    planted = served.planted["alpha"]
    now = time.time_ns() // 1000
    with served.park.connection() as connection:
        row = connection.execute(
            "INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, asset_id) "
            "SELECT stream_id, device, 'second', quantity, unit, low, high, period_ms, max_age_ms, asset_id "
            "FROM point WHERE id = %s RETURNING id",
            (planted.point,),
        ).fetchone()
        assert row is not None
        with served.live("operator") as live_stream:
            receive(live_stream)
            intake.publish(60.0, now)
            receive_until(live_stream, holds(planted.point, 60.0))
            intake.seq += 1  # the lost message
            lost = intake.seq
            image = Image(
                np.array([planted.point, row[0]], np.int32),
                np.array([now, now + 5]),
                np.array([60.0, 77.0]),
                np.zeros(2, np.int16),
            )
            connection.execute(
                "UPDATE latest_pack SET packed = %s, live_seq = %s WHERE stream_id = %s",
                (pack_image(image), lost, planted.stream_id),
            )
            connection.execute("UPDATE installation SET config_seq = config_seq + 1")
            intake.publish(61.0, now + 10)
            messages = receive_until(live_stream, holds(row[0], 77.0))
        assert any(holds(planted.point, 61.0)(message) for message in messages)
        assert not served.app.state.serving.hub.wanted().streams
        connection.execute("DELETE FROM point WHERE id = %s", row)


def is_acknowledged(message: dict[str, Any]) -> bool:
    return message["kind"] == "alarms" and message["lines"][-1]["kind"] == "acknowledged"


def test_alarms_come_as_they_are_committed(served: Served) -> None:
    planted = served.planted["beta"]
    with served.park.connection() as connection:
        rule = connection.execute("SELECT id FROM rule WHERE key = 'too-high'").fetchone()
        assert rule is not None
        with (
            served.live("operator") as park,
            served.live("neighbour") as beta,
            served.live("enterprise") as alpha,
        ):
            receive(park)
            began = time.monotonic()
            lower_alarm(connection, planted.stream_id, rule[0], planted.point)
            raised = raise_alarm(connection, planted.stream_id, rule[0], planted.point)
            acknowledge(connection, raised, "li", "internal", time.time_ns() // 1000)
            lines = [line for message in receive_until(park, is_acknowledged) for line in message.get("lines", ())]
            assert time.monotonic() - began < 3
            assert [line["kind"] for line in lines] == ["cleared", "raised", "acknowledged"]
            assert (lines[1]["alarm"], lines[1]["point"], lines[1]["priority"]) == (raised, planted.point, "critical")
            assert (lines[1]["rule"], lines[1]["name"]["zh"], lines[1]["value"]) == ("too-high", "超压", 1.7)
            assert (lines[2]["actor"], lines[2]["note"], lines[2]["state"]) == ("li", "internal", "acknowledged")
            assert "enterprise" not in lines[0]
            assert {line["stream"] for line in lines} == {planted.stream}
            assert all(datetime.fromisoformat(line[name]).tzinfo for line in lines for name in ("at", "recorded_at"))
            own = [line for message in receive_until(beta, is_acknowledged) for line in message.get("lines", ())]
            assert [line["seq"] for line in own] == [line["seq"] for line in lines]
            assert {(line["actor"], line["note"]) for line in own} == {(None, None)}, "the park's own affair"
            heard = receive_until(alpha, lambda message: message["kind"] == "heartbeat")
            assert [message for message in heard if message["kind"] == "alarms"] == []


def test_without_a_hint_an_alarm_comes_within_seconds(served: Served) -> None:
    planted = served.planted["park"]
    with served.park.connection() as connection, served.live("safety") as live_stream:
        receive(live_stream)
        connection.execute(
            "INSERT INTO journal (stream_id, seq, at, kind, rule_id, point_id, alarm_id, recorded_at, prev, hash) "
            "SELECT stream_id, 2, now(), 'cleared', rule_id, point_id, id, now(), '', '' FROM alarm WHERE id = %s",
            (planted.alarm,),
        )
        connection.execute("UPDATE stream SET journal_seq = 2 WHERE id = %s", (planted.stream_id,))
        messages = receive_until(live_stream, lambda message: message["kind"] == "alarms", within_s=5)
    assert messages[-1]["lines"][0]["alarm"] == planted.alarm


def test_a_heartbeat_tells_whether_news_can_come(served: Served) -> None:
    with served.live("operator") as live_stream:
        beat = receive_until(live_stream, lambda message: message["kind"] == "heartbeat", within_s=7)[-1]
    assert (beat["database"], beat["broker"]) == (True, True)


def test_a_foreign_page_gets_no_stream(served: Served) -> None:
    for origin in ("https://evil.example", "null", None):
        with pytest.raises(InvalidStatus) as refused, served.live("operator", origin=origin):
            pass
        response = refused.value.response
        assert response.status_code == 403
        assert b"origin-foreign" in (response.body or b"")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_nobody_opens_streams_without_end(served: Served) -> None:
    with ExitStack() as streams:
        for _ in range(8):
            streams.enter_context(served.live("administrator"))
        with pytest.raises(InvalidStatus) as refused, served.live("administrator"):
            pass
        assert refused.value.response.status_code == 429
        streams.enter_context(served.live("operator"))
    wait_until(lambda: served.app.state.serving.hub.clients == 0, "end of the streams")


def test_what_a_client_sends_is_ignored_and_too_much_ends_it(served: Served) -> None:
    with served.live("operator") as live_stream:
        receive(live_stream)
        for _ in range(50):
            live_stream.send("x" * 1000)
            live_stream.send(b"\xff" * 1000)
        assert receive(live_stream)["kind"] in ("values", "heartbeat")
        live_stream.send(b"x" * 100_000)
        with pytest.raises(ConnectionClosed):
            receive_until(live_stream, lambda _: False)


def test_a_disabled_person_s_stream_ends(served: Served) -> None:
    with served.park.connection("api") as connection:
        add_person(connection, "leaver", Role.OPERATOR, display_zh="离", display_en="L")
        with served.live("leaver") as live_stream:
            receive(live_stream)
            disable_person(connection, "leaver")
            with pytest.raises(ConnectionClosed) as ended:
                receive_until(live_stream, lambda _: False)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4401


def test_a_new_point_and_a_new_grant_bring_a_new_snapshot(served: Served) -> None:
    beta = served.planted["beta"].point
    with served.park.connection() as connection, served.live("regulator") as live_stream:
        assert beta not in receive(live_stream)["point"]
        connection.execute(
            "INSERT INTO access_grant SELECT p.id, e.id, now() + interval '1 hour' FROM person p, enterprise e "
            "WHERE p.name = 'regulator' AND e.key = 'beta'"
        )
        snapshot = receive_until(live_stream, lambda message: message["kind"] == "snapshot")[-1]
        assert beta in snapshot["point"]
        connection.execute(
            "DELETE FROM access_grant WHERE enterprise_id = (SELECT id FROM enterprise WHERE key = 'beta')"
        )
        snapshot = receive_until(live_stream, lambda message: message["kind"] == "snapshot")[-1]
        assert beta not in snapshot["point"]


def test_a_slow_client_hinders_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One client stops reading for a while. Others get everything; it gets the newest values, and nothing is kept."""
    monkeypatch.setattr(live, "VALUES_EVERY_S", 0.02)
    points, rounds = many_points(served, 20_000), 60
    last = int(points[-1])
    with slow_stream(served) as stuck, served.live("safety") as lively:
        for number in range(1, rounds + 1):
            show(served, points, number)
            time.sleep(0.03)
        receive_until(lively, lambda message: "value" in message and float(rounds) in message["value"])
        shown: dict[int, float] = {}
        messages: list[dict[str, Any]] = []
        while set(shown.values()) != {float(rounds)} or len(shown) < len(points):
            messages.append(receive(stuck))
            if "point" in messages[-1]:
                columns = zip(messages[-1]["point"], messages[-1]["value"], strict=True)
                shown |= {point: value for point, value in columns if point >= points[0]}
        assert last in shown
    assert len(messages) < rounds / 2, "it was blocked, and what was overtaken was left out"
    assert [message["seq"] for message in messages] == list(range(1, 1 + len(messages))), "nothing is lost silently"


def test_a_client_that_never_reads_is_ended(served: Served, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "VALUES_EVERY_S", 0.0)
    points = many_points(served, 50_000)
    with serving(served.park, broker.url("serve"), served.planted, stuck_ms=500) as own:
        hub = own.app.state.serving.hub
        with slow_stream(own):
            wait_until(lambda: hub.clients == 1, "the stream")
            numbers = count(1000)

            def is_ended() -> bool:
                show(own, points, next(numbers))
                return hub.clients == 0

            wait_until(is_ended, "end of the stream", within_s=15)


def many_points(served: Served, n: int) -> Int32s:
    """Points of the park that no enterprise owns."""
    with served.park.connection() as connection:
        rows = connection.execute(
            "INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms) "
            "SELECT %s, 'many', 'p-' || n, 'pressure', 'MPa', 0, 1, 1, 1 FROM generate_series(1, %s) n "
            "ON CONFLICT (stream_id, device, name) DO UPDATE SET low = 0 RETURNING id",
            (served.planted["park"].stream_id, n),
        ).fetchall()
    return np.sort(np.array([row[0] for row in rows], np.int32))


def show(served: Served, points: Int32s, number: int) -> None:
    """Put a value of every point on the board."""
    n = len(points)
    board = served.app.state.serving.hub.board
    board.show(points, np.full(n, NOW_US + number), np.full(n, float(number)), np.zeros(n, np.int16))


@contextmanager
def slow_stream(served: Served) -> Generator[ClientConnection]:
    """A live stream whose client buffers little and reads only when asked."""
    narrow = socket.create_connection(("127.0.0.1", int(served.base_url.rpartition(":")[2])))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)
    with served.live("operator", sock=narrow, max_queue=1, ping_interval=None, close_timeout=1) as stuck:
        yield stuck
