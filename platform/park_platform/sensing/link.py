"""The intake's MQTT connection: subscriptions per gateway, messages handed over in bulk, acknowledged only when told.

A clean session: the broker is treated as volatile. A message id counts only within the connection that delivered it.
"""

import secrets
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from park_platform.settings import read_broker_url
from park_wire.topics import UPWARD, gateway_topic

log = structlog.get_logger()

# Gateways in one SUBSCRIBE: a broker may bound the size of a packet.
_TOGETHER: Final = 50


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message from the broker. `generation` is the connection that brought it, `at` when, by the monotonic clock."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    qos: int
    generation: int
    at: float

    @property
    def key(self) -> tuple[int, int]:
        """Tells the messages apart that the broker waits for an acknowledgement of."""
        return self.generation, self.mid


def _send_at_once(_client: Any, _data: Any, link: Any) -> None:
    # Otherwise an ack waits up to 40 ms for the broker's TCP acknowledgement of the one before it.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Link:
    """A connection that comes back by itself; `take` gives what has arrived since."""

    def __init__(self, url: str, name: str) -> None:
        self._address = read_broker_url(url)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"park-{name}-{secrets.token_hex(16)}",
            clean_session=True,
            protocol=paho.MQTTv311,
            manual_ack=True,
        )
        if self._address.user is not None:
            self._client.username_pw_set(self._address.user, self._address.password)
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.on_socket_open = _send_at_once
        self._arrived: list[Arrived] = []
        self._wakened = threading.Condition()
        self._gateways: set[str] = set()
        self._asked: dict[int, list[str]] = {}
        self._following: set[str] = set()
        self._generation = 0
        self._said_lost = False

    def start(self) -> None:
        """Connect in the background; a broker that is not there is tried again every 1 to 2 s."""
        self._client.connect_async(self._address.host, self._address.port, keepalive=10)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and end the network thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def follow(self, gateway: str) -> None:
        """Receive what this gateway publishes."""
        with self._wakened:
            self._gateways.add(gateway)
        self._subscribe([gateway])

    def unfollow(self, gateway: str) -> None:
        """Receive no more from this gateway."""
        with self._wakened:
            self._gateways.discard(gateway)
            self._following.discard(gateway)
        self._client.unsubscribe([gateway_topic(gateway, leaf) for leaf in UPWARD])

    def is_following(self, gateway: str) -> bool:
        """Whether the broker has confirmed that what this gateway publishes will come."""
        return gateway in self._following

    def take(self, wait_s: float) -> list[Arrived]:
        """Everything that has arrived, after waiting at most `wait_s` for the first message."""
        with self._wakened:
            if not self._arrived:
                self._wakened.wait(wait_s)
            taken, self._arrived = self._arrived, []
        return taken

    def wake(self) -> None:
        """End a wait in `take` at once."""
        with self._wakened:
            self._wakened.notify_all()

    def acknowledge(self, messages: Sequence[Arrived]) -> None:
        """Send the PUBACKs; those of a former connection mean nothing any more."""
        for message in messages:
            if message.qos and message.generation == self._generation:
                self._client.ack(message.mid, message.qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send at QoS 0: nothing that the centre sends is relied upon."""
        self._client.publish(topic, payload, qos=0)

    def _subscribe(self, gateways: Sequence[str]) -> None:
        # Only data needs the broker's flow control: hello, birth and status are asked for again when they are missed.
        topics = [(gateway_topic(gateway, leaf), int(leaf == "data")) for gateway in gateways for leaf in UPWARD]
        with self._wakened:
            _, mid = self._client.subscribe(topics) if topics else (None, None)
            if mid is not None:
                self._asked[mid] = list(gateways)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("broker_refused", reason=str(reason), remedy="check the user and password in PARK_MQTT_URL")
            return
        with self._wakened:
            self._generation += 1
            self._asked.clear()
            self._following.clear()
            gateways = sorted(self._gateways)
        log.info("broker_connected", host=self._address.host, port=self._address.port)
        self._said_lost = False
        for start in range(0, len(gateways), _TOGETHER):
            self._subscribe(gateways[start : start + _TOGETHER])

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _properties: Any) -> None:
        with self._wakened:
            gateways = self._asked.pop(mid, [])
            refused = {
                gateway
                for number, gateway in enumerate(gateways)
                if any(reason.is_failure for reason in reasons[number * len(UPWARD) : (number + 1) * len(UPWARD)])
            }
            self._following |= self._gateways.intersection(gateways) - refused
        if refused:
            remedy = "check the rights of this process at the broker"
            log.error("subscription_refused", gateways=sorted(refused), remedy=remedy)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self._said_lost:
            self._said_lost = True
            log.warning("broker_lost", reason=str(reason), host=self._address.host, port=self._address.port)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        arrived = Arrived(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=message.retain,
            mid=message.mid,
            qos=message.qos,
            generation=self._generation,
            at=time.monotonic(),
        )
        with self._wakened:
            self._arrived.append(arrived)
            self._wakened.notify_all()
