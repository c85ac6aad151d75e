"""A plain MQTT 3.1.1 client for tests, which waits for every answer of the broker."""

import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

WAIT_S = 5.0
REFUSED = 0x80


def _send_at_once(_client: object, _data: object, link: Any) -> None:
    # Or a small message waits up to 40 ms for the broker's delayed ACK of the one before it.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class MqttClient:
    """Connects in the constructor; use it as a context manager. `reason` is what CONNACK said ("Success")."""

    def __init__(
        self,
        url: str,
        *,
        client_id: str | None = None,
        clean: bool = True,
        manual_ack: bool = False,
        on_message: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """`on_message` gets topic and payload of each message, which are then not kept in `received`."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.received: list[paho.MQTTMessage] = []
        self._take = on_message
        self.reason = "no answer"
        self.connected = False
        self.session_present = False
        self._changed = threading.Condition()
        self._granted: dict[int, list[int]] = {}
        self._confirmed: set[int] = set()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or f"test-{secrets.token_hex(16)}",
            clean_session=clean,
            protocol=paho.MQTTv311,
            manual_ack=manual_ack,
            reconnect_on_failure=False,
        )
        if parts.username is not None:
            self._client.username_pw_set(parts.username, parts.password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = _send_at_once
        self._client.max_inflight_messages_set(64)
        self._client.connect(parts.hostname, parts.port, keepalive=30)
        self._client.loop_start()
        self._wait(lambda: self.reason != "no answer", "an answer to CONNECT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect and end the network thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic_filter: str, qos: int = 0) -> int:
        """The granted QoS, or REFUSED."""
        _, mid = self._client.subscribe(topic_filter, qos)
        assert mid is not None
        self._wait(lambda: mid in self._granted, f"an answer to SUBSCRIBE {topic_filter}")
        return self._granted[mid][0]

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, *, retain: bool = False) -> None:
        """Publish and wait for the broker's PUBACK."""
        self._client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def publish_soon(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publish without waiting for anything."""
        self._client.publish(topic, payload, qos)

    def is_confirmed(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 1; False when the broker ends the connection instead of confirming."""
        if not self.connected:
            return False
        message = self._client.publish(topic, payload, 1)
        self._wait(lambda: message.mid in self._confirmed or not self.connected, "an answer to PUBLISH")
        return message.mid in self._confirmed

    def topics(self, count: int = 0) -> list[str]:
        """The topics of everything received, after waiting for at least `count` messages."""
        self._wait(lambda: len(self.received) >= count, f"{count} messages")
        return [message.topic for message in self.received]

    def wait_lost(self) -> None:
        """Wait until the broker has ended the connection."""
        self._wait(lambda: not self.connected, "the end of the connection")

    def _wait(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"no {what} within {WAIT_S} s; {len(self.received)} messages received"
                self._changed.wait(left)

    def _on_connect(self, _client: Any, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, _p: Any) -> None:
        with self._changed:
            self.reason = str(reason)
            self.connected = not reason.is_failure
            self.session_present = flags.session_present
            self._changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self._changed:
            self.connected = False
            if self.reason == "no answer":
                self.reason = "closed"
            self._changed.notify_all()

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        with self._changed:
            self._granted[mid] = [reason.value for reason in reasons]
            self._changed.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if self._take is not None:
            self._take(message.topic, bytes(message.payload))
            return
        with self._changed:
            self.received.append(message)
            self._changed.notify_all()

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: Any, _p: Any) -> None:
        with self._changed:
            self._confirmed.add(mid)
            self._changed.notify_all()


def is_confirmed_soon(url: str, topic: str, payload: bytes) -> bool:
    """Whether a publish is confirmed within WAIT_S; a refusal ends the connection, so each try is new."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with MqttClient(url) as client:
            if client.is_confirmed(topic, payload):
                return True
        time.sleep(0.1)
    return False
