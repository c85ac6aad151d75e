"""The embedded broker: who gets in, what each may do, and what survives."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from park_platform.embedded.broker import Broker, subjects
from park_platform.embedded.broker_accounts import (
    INGEST,
    PROCESSES,
    SERVE,
    Account,
    Accounts,
    gateway_account,
)
from park_platform.embedded.handshake import Answer, knock
from park_platform.embedded.ports import LOOPBACK, choose_port, is_free
from park_platform.embedded.store_limits import limit_store
from park_wire.errors import ServiceError, WireError
from park_wire.topics import UPWARD
from support.mqtt import REFUSED, MqttClient, is_confirmed_soon

# Every topic of chain.md section 2, for two gateways and two enterprises.
TOPICS = (
    *(f"park/1/gw/{gateway}/{leaf}" for gateway in ("a", "b") for leaf in (*UPWARD, "ack")),
    *(f"park/1/{door}/{enterprise}/meter-1" for door in ("push", "try") for enterprise in ("acme", "bolt")),
    "park/1/receipt/acme",
    "park/1/receipt/bolt",
    "park/1/live/values/a",
    "park/1/live/alarms",
)
MAY_PUBLISH = {
    "gw-a": {"park/1/gw/a/hello", "park/1/gw/a/birth", "park/1/gw/a/data", "park/1/gw/a/status"},
    "ingest": {"park/1/gw/a/ack", "park/1/gw/b/ack", "park/1/live/values/a"},
    "serve": set[str](),
}
MAY_READ = {
    "gw-a": {"park/1/gw/a/ack"},
    "ingest": {topic for topic in TOPICS if topic.split("/")[2] == "gw" and not topic.endswith("/ack")},
    "serve": {"park/1/live/values/a"},
}
CROSS_TENANT = (
    *("#", "+/#", "park/#", "park/1/#", "park/1/gw/#", "park/1/gw/+/ack", "park/1/gw/+/data", "park/1/receipt/+"),
    *("park/1/receipt/#", "park/1/push/#", "park/1/push/+/+", "park/1/live/#", "park/1/live/values/+"),
    *("$MQTT/#", "$MQTT/sub/#", "$MQTT/+/#", "$JS/#", "$SYS/#", "$share/g/park/1/gw/a/data", "_INBOX/#"),
)
OBSERVER = Account("observer", publish=(), subscribe=("park/#",))


@pytest.fixture(scope="module")
def served(broker: Broker) -> Broker:
    """The session's broker with a gateway and one who sees everything."""
    broker.accounts.add(gateway_account("a"), OBSERVER)
    broker.reload()
    return broker


def test_only_users_with_their_password_get_in(served: Broker) -> None:
    password = served.accounts.password("ingest")
    assert knock(served.port, "ingest", password, "c") is Answer.WELCOME
    assert knock(served.port, None, None, "c") is Answer.NOT_AUTHORISED
    assert knock(served.port, "ingest", None, "c") is Answer.NOT_AUTHORISED
    assert knock(served.port, "ingest", "", "c") is Answer.NOT_AUTHORISED
    assert knock(served.port, "ingest", password[:-1], "c") is Answer.NOT_AUTHORISED
    assert knock(served.port, "serve", password, "c") is Answer.NOT_AUTHORISED
    assert knock(served.port, "nobody", password, "c") is Answer.NOT_AUTHORISED


def test_an_anonymous_client_library_is_refused(served: Broker) -> None:
    with MqttClient(f"mqtt://{LOOPBACK}:{served.port}") as client:
        assert client.reason == "Not authorized"
        assert not client.connected


def test_the_programs_own_protocol_is_closed_to_users(served: Broker) -> None:
    port = int((served.folder / "own-port").read_text())
    password = served.accounts.password("ingest")
    answer = _speak(port, f'CONNECT {{"user":"ingest","pass":"{password}","verbose":false}}\r\nPING\r\n')
    assert b"-ERR 'Authorization Violation'" in answer
    assert b"PONG" not in answer


def test_the_keeper_may_only_limit_the_store(served: Broker) -> None:
    port = int((served.folder / "own-port").read_text())
    password = (served.folder / "keeper").read_text()
    connect = f'CONNECT {{"user":"keeper","pass":"{password}","verbose":false}}\r\n'
    for command in (
        "PUB park.1.gw.a.data 1\r\nx",
        "SUB > 1",
        "SUB park.> 1",
        "PUB $JS.API.STREAM.DELETE.$MQTT_msgs 0\r\n",
    ):
        assert b"Permissions Violation" in _speak(port, f"{connect}{command}\r\nPING\r\n", until=b"PONG")
    with pytest.raises(ServiceError, match="Authorization Violation"):
        limit_store(port, "keeper", "wrong", 1 << 20)


def _speak(port: int, text: str, until: bytes = b"never") -> bytes:
    answer = b""
    with socket.create_connection((LOOPBACK, port), timeout=5) as link:
        link.sendall(text.encode())
        while until not in answer and (part := link.recv(4096)):
            answer += part
    return answer


@pytest.mark.parametrize("user", sorted(MAY_PUBLISH))
def test_a_foreign_publish_is_dropped(served: Broker, user: str) -> None:
    with MqttClient(served.url("observer")) as observer, MqttClient(served.url(user)) as client:
        assert observer.subscribe("park/#") == 0
        for topic in TOPICS:
            client.publish(topic, qos=0)
            # The broker confirms also what it drops: a publisher can't tell.
            client.publish(topic, qos=1)
        with MqttClient(served.url("ingest")) as last:
            last.publish("park/1/live/values/last")
        while "park/1/live/values/last" not in observer.topics(1):
            observer.topics(len(observer.received) + 1)
        assert sorted(observer.topics()[:-1]) == sorted([*MAY_PUBLISH[user]] * 2)
        assert client.connected


def test_a_dropped_publish_is_seen_in_the_log(served: Broker) -> None:
    with MqttClient(served.url("gw-a")) as client:
        client.publish("park/1/gw/b/data")
    assert 'Publish Violation - Subject "park.1.gw.b.data"' in served.log_file.read_text()


@pytest.mark.parametrize("user", sorted(MAY_READ))
def test_a_foreign_subscription_is_refused(served: Broker, user: str) -> None:
    with MqttClient(served.url(user)) as client:
        assert {topic for topic in TOPICS if client.subscribe(topic) == 0} == MAY_READ[user]
        granted = {topic for topic in CROSS_TENANT if client.subscribe(topic) != REFUSED}
    rights = {"ingest": {"park/1/gw/+/data"}, "serve": {"park/1/live/values/+"}}
    assert granted == rights.get(user, set())


@pytest.mark.parametrize(
    "topic", ["park/1/gw/a/data/x", "park/1/gw/a", "park/1/gw//data", "other", "$SYS/x", "$MQTT/msgs/x"]
)
def test_a_gateway_publishes_nowhere_else(served: Broker, topic: str) -> None:
    everything = Account("all-seeing", publish=(), subscribe=("#",))
    served.accounts.add(everything)
    served.reload()
    with MqttClient(served.url("all-seeing")) as observer, MqttClient(served.url("gw-a")) as client:
        observer.subscribe("park/#")
        client.publish(topic)
        client.publish("park/1/gw/a/status")
        assert observer.topics(1) == ["park/1/gw/a/status"]


def test_intake_gets_confirmed_messages_and_a_gateway_needs_no_session(served: Broker) -> None:
    with MqttClient(served.url("ingest")) as ingest, MqttClient(served.url("gw-a")) as gateway:
        assert [ingest.subscribe(f"park/1/gw/a/{leaf}", 1) for leaf in UPWARD] == [1] * 4
        assert gateway.subscribe("park/1/gw/a/ack", 0) == 0
        gateway.publish("park/1/gw/a/data", os.urandom(2_000_000))
        ingest.publish("park/1/gw/a/ack", b"ack", 0)
        assert ingest.topics(1) == ["park/1/gw/a/data"]
        assert len(ingest.received[0].payload) == 2_000_000
        assert ingest.received[0].qos == 1
        assert gateway.topics(1) == ["park/1/gw/a/ack"]


def test_the_will_of_a_gateway_arrives(served: Broker) -> None:
    with MqttClient(served.url("ingest")) as ingest:
        assert ingest.subscribe("park/1/gw/a/status", 1) == 1
        link = socket.create_connection((LOOPBACK, served.port))
        password = served.accounts.password("gw-a")
        fields = [b"will-client", b"park/1/gw/a/status", b"offline", b"gw-a", password.encode()]
        body = b"\x00\x04MQTT\x04\xce\x00\x1e" + b"".join(len(field).to_bytes(2, "big") + field for field in fields)
        link.sendall(b"\x10" + bytes([len(body)]) + body)
        assert link.recv(4) == b"\x20\x02\x00\x00"
        link.close()
        ingest.topics(1)
        assert ingest.received[0].payload == b"offline"


def test_accounts_change_without_dropping_others(served: Broker) -> None:
    with MqttClient(served.url("ingest")) as other:
        served.accounts.add(gateway_account("fresh"))
        assert knock(served.port, "gw-fresh", served.accounts.password("gw-fresh"), "c") is Answer.NOT_AUTHORISED
        served.reload()
        with MqttClient(served.url("gw-fresh")) as fresh:
            fresh.publish("park/1/gw/fresh/data")
            password = served.accounts.password("gw-fresh")
            served.accounts.remove("gw-fresh")
            served.reload()
            fresh.wait_lost()
        assert knock(served.port, "gw-fresh", password, "c") is Answer.NOT_AUTHORISED
        with pytest.raises(ServiceError, match=r"no user 'gw-fresh'; it has .*ingest"):
            served.url("gw-fresh")
        other.publish("park/1/gw/a/ack")
        assert other.connected


def test_another_object_reloads_the_running_broker(served: Broker) -> None:
    elsewhere = Broker(served.folder)
    elsewhere.accounts.add(gateway_account("elsewhere"))
    elsewhere.reload()
    assert elsewhere.pid == served.pid
    with MqttClient(elsewhere.url("gw-elsewhere")) as client:
        assert client.connected


def test_what_is_queued_survives_kill_and_restart(service_folder: Path) -> None:
    broker = Broker(service_folder / "broker")
    broker.accounts.add(*PROCESSES, gateway_account("acme"))
    broker.start()
    address, pid = broker.url("ingest"), broker.pid
    assert pid is not None
    with MqttClient(address, client_id="intake-session", clean=False) as reader:
        assert reader.subscribe("park/1/gw/+/data", 1) == 1
    with MqttClient(broker.url("gw-acme")) as writer:
        for number in range(20):
            writer.publish("park/1/gw/acme/data", str(number).encode())
    os.kill(pid, signal.SIGKILL)
    broker.stop()
    again = Broker(service_folder / "broker")
    again.start()
    assert again.url("ingest") == address
    with MqttClient(address, client_id="intake-session", clean=False) as reader:
        assert reader.session_present
        reader.topics(20)
        assert [message.payload for message in reader.received] == [str(number).encode() for number in range(20)]
    again.stop()
    assert again.pid is None
    assert is_free(again.port)


def test_one_folder_has_one_broker(service_folder: Path) -> None:
    broker = Broker(service_folder / "broker")
    broker.start()
    began = time.monotonic()
    with pytest.raises(ServiceError, match=rf"broker already runs on .* as process {broker.pid}, started by process"):
        Broker(service_folder / "broker", port=choose_port()).start()
    assert time.monotonic() - began < 1
    broker.stop()


def test_ports(service_folder: Path) -> None:
    broker = Broker(service_folder / "broker")
    with pytest.raises(ServiceError, match="never started"):
        _ = broker.port
    broker.start()
    broker.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((LOOPBACK, broker.port))
        stranger.listen()
        with pytest.raises(ServiceError, match=rf"port {broker.port} .* in use .* choose another port"):
            broker.start()
        with pytest.raises(ServiceError, match=rf"port {broker.port} .* in use"):
            Broker(broker.folder, port=broker.port).start()
        moved = Broker(broker.folder)
        moved.start()
        assert moved.port != broker.port
        moved.stop()
    later = Broker(broker.folder)
    later.start()
    assert later.port == moved.port
    later.stop()


def test_a_full_store_confirms_nothing_and_recovers(service_folder: Path) -> None:
    broker = Broker(service_folder / "broker", store_bytes=1_500_000)
    broker.accounts.add(INGEST, gateway_account("acme"))
    broker.start()
    with MqttClient(broker.url("ingest"), client_id="intake-session", clean=False) as reader:
        reader.subscribe("park/1/gw/+/data", 1)
    with MqttClient(broker.url("gw-acme")) as writer:
        confirmed = sum(writer.is_confirmed("park/1/gw/acme/data", os.urandom(100_000)) for _ in range(12))
        assert 5 <= confirmed < 12
        assert not writer.connected
    with MqttClient(broker.url("ingest"), client_id="intake-session", clean=False) as reader:
        assert len(reader.topics(confirmed)) == confirmed
    # The room is free once the broker has taken the reader's confirmations in.
    assert is_confirmed_soon(broker.url("gw-acme"), "park/1/gw/acme/data", os.urandom(100_000))
    broker.stop()


def test_retained_messages_can_not_lock_others_out(service_folder: Path) -> None:
    broker = Broker(service_folder / "broker", store_bytes=1_500_000)
    broker.accounts.add(INGEST, Account("many", ("park/1/push/acme/+",), ()))
    broker.start()
    for number in range(70):
        with MqttClient(broker.url("many")) as writer:
            writer.publish(f"park/1/push/acme/meter-{number}", os.urandom(30_000), 0, retain=True)
    with MqttClient(broker.url("ingest")) as reader:
        assert reader.connected
        assert reader.subscribe("park/1/gw/+/data", 1) == 1
    broker.stop()


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "broker" / "nats.conf").mkdir(parents=True)
    with pytest.raises(ServiceError, match=r"broker: .*: Is a directory; choose a data folder that can be written"):
        Broker(tmp_path / "broker").start()


def test_secrets_are_private(served: Broker) -> None:
    private = [served.folder / "nats.conf", served.folder / "accounts.json", served.folder / "keeper"]
    for file in (*private, *(served.folder / "passwords").iterdir()):
        assert file.stat().st_mode & 0o077 == 0, file
    assert served.folder.stat().st_mode & 0o077 == 0
    configuration = (served.folder / "nats.conf").read_text()
    for user in ("ingest", "gw-a"):
        assert served.accounts.password(user) not in configuration
    log = served.log_file.read_text()
    assert served.accounts.password("ingest") not in log


def test_accounts_are_kept_by_many_at_once(tmp_path: Path) -> None:
    def add(start: int) -> None:
        for number in range(start, start + 10):
            Accounts(tmp_path / "broker").add(gateway_account(f"g{number}"))

    threads = [threading.Thread(target=add, args=(10 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(Accounts(tmp_path / "broker").credentials()) == {f"gw-g{number}" for number in range(40)}


def test_accounts_come_back_as_they_were(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "broker")
    accounts.add(INGEST, SERVE)
    first = accounts.credentials()
    password = accounts.password("ingest")
    accounts.add(INGEST)
    assert accounts.credentials() == first
    assert accounts.password("ingest") == password
    assert {credential.account for credential in first.values()} == {INGEST, SERVE}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "broker")
    accounts.add(INGEST)
    (tmp_path / "broker" / "passwords" / "ingest").write_text("")
    with pytest.raises(ServiceError, match=r"passwords/ingest: the password in it has 0 characters; restore"):
        accounts.password("ingest")
    for text in ("", "{", "[]", '{"ingest": {}}', '{"ingest": 7}'):
        (tmp_path / "broker" / "accounts.json").write_text(text)
        with pytest.raises(ServiceError, match=r"accounts\.json is damaged .* restore it from a backup"):
            accounts.credentials()


@pytest.mark.parametrize("user", ["", "A", "a b", "../x", "a/b", "x" * 41, "ä"])
def test_users_have_plain_names(tmp_path: Path, user: str) -> None:
    with pytest.raises(ServiceError, match="can't be a user of the broker"):
        Accounts(tmp_path / "broker").add(Account(user, (), ()))


_LEVEL = st.text("abc-1", min_size=1, max_size=3)
_FILTER = st.tuples(st.lists(st.one_of(_LEVEL, st.just("+")), min_size=1, max_size=4), st.booleans()).map(
    lambda parts: "/".join([*parts[0], *(["#"] if parts[1] else [])])
)


@given(_FILTER, st.lists(_LEVEL, min_size=1, max_size=5))
def test_subjects_mean_what_the_filter_means(topic_filter: str, levels: list[str]) -> None:
    matched = any(_matches(subject.split("."), levels) for subject in subjects(topic_filter))
    assert matched == topic_matches_sub(topic_filter, "/".join(levels))


def _matches(pattern: list[str], levels: list[str]) -> bool:
    if not pattern or not levels:
        return pattern == levels
    return pattern[0] == ">" or (pattern[0] in {"*", levels[0]} and _matches(pattern[1:], levels[1:]))


@pytest.mark.parametrize("bad", ["a/#/b", "a b", "a.b", "a*", ">", "a/>", "", "a//b"])
def test_a_filter_can_not_smuggle_a_wildcard(bad: str) -> None:
    with pytest.raises(WireError, match="level of topic filter"):
        subjects(bad)
