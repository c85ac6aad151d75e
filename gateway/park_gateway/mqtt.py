"""The connection to the broker: the only file that knows paho. MQTT 3.1.1, clean sessions, no memory of its own.

Each connection is a client of its own: what an earlier one had queued would be sent again by paho, and old hellos and
batches must not come after newer ones. A PUBACK only makes room; it proves nothing about the centre.
"""

import asyncio
import contextlib
import secrets
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from park_gateway import site
from park_wire.errors import ConfigError, Fault, ParkError
from park_wire.topics import Upward, gateway_topic

MOST_UNCONFIRMED: Final = 128
"""Messages of the data topic that may wait for their PUBACK: both windows and a little more."""

_CONNECT_TIMEOUT_S: Final = 3.0
_ANSWER_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 1.0
_KEEP_ALIVE_S: Final = 10


class BrokerLost(ParkError):
    """The broker can't be reached, refused the gateway, or ended the connection."""

    retryable = True


class Mqtt:
    """The way of one gateway to its broker; `connected` gives a connection."""

    def __init__(self, broker: site.Mqtt, gateway: str) -> None:
        self.gateway: Final = gateway
        self._broker = broker
        # Whoever knows a client id can throw its owner out, so nobody can know it.
        self._client_id = f"park-gw-{gateway}-{secrets.token_hex(16)}"
        self._tls: ssl.SSLContext | None = None
        if broker.tls:
            self._tls = _tls_context(broker)

    def __str__(self) -> str:
        scheme = "mqtts" if self._broker.tls else "mqtt"
        return f"{scheme}://{self._broker.credential.user}@{self._broker.host}:{self._broker.port}"

    @contextlib.asynccontextmanager
    async def connected(self, will: bytes) -> AsyncGenerator["Connection"]:
        """A connection that is subscribed to the gateway's acks; `will` is for the status topic. Raises BrokerLost."""
        client = self._client(will)
        connection = Connection(client, self.gateway, str(self))
        try:
            await connection.open(self._broker.host, self._broker.port)
            yield connection
        finally:
            await connection.close()

    def _client(self, will: bytes) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=True,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.username_pw_set(self._broker.credential.user, self._broker.credential.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)  # pyright: ignore[reportUnknownMemberType]
        client.on_socket_open = _send_at_once
        client.max_inflight_messages_set(2 * MOST_UNCONFIRMED)
        client.will_set(gateway_topic(self.gateway, "status"), will, qos=1, retain=False)
        return client


def _send_at_once(_client: object, _data: object, link: Any) -> None:
    # Otherwise a batch waits up to 40 ms for the broker's TCP to confirm the one before.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _tls_context(broker: site.Mqtt) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=broker.ca_file)
    except OSError as error:
        fault = Fault(str(broker.ca_file), "mqtt.ca_file", str(error), "put the authority's certificate there, as PEM")
        raise ConfigError([fault]) from error


class Connection:
    """One connection of one client. All methods belong to the event loop; paho's thread only leaves notes."""

    def __init__(self, client: paho.Client, gateway: str, broker: str) -> None:
        self.on_room: Callable[[], None] | None = None
        """Called when a PUBACK has made room."""
        self._client = client
        self._gateway = gateway
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._notes: list[Callable[[], None]] = []
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._inbox: list[bytes] = []
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._unconfirmed: set[int] = set()
        self._ended: str | None = None
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    async def open(self, host: str, port: int) -> None:
        """Connect and subscribe. Raises BrokerLost."""
        try:
            await asyncio.to_thread(self._client.connect, host, port, _KEEP_ALIVE_S)
            self._client.loop_start()
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await self._ready
        except TimeoutError as error:
            raise BrokerLost(
                f"{self._broker}: no answer to CONNECT; check that an MQTT broker listens there"
            ) from error
        except (OSError, UnicodeError) as error:
            raise BrokerLost(f"{self._broker}: {error}; check address, network and certificate") from error

    async def close(self) -> None:
        """Disconnect politely if that is quick; the will is not published then."""
        if not self._ready.done():
            self._ready.cancel()
        elif self._ended is None and not self._ready.cancelled():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._idle.wait()
        self._client.disconnect()
        peer = self._client.socket()
        if isinstance(peer, socket.socket) and not await self._has_ended():
            # Half open: nobody will answer, and the thread would wait for that.
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        # In a thread that nobody waits for at the end of the process: should it hang, that is all.
        stopped = asyncio.Event()
        threading.Thread(target=self._stop_thread, args=(stopped,), name="mqtt-stop", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await stopped.wait()

    def _stop_thread(self, stopped: asyncio.Event) -> None:
        self._client.loop_stop()
        with contextlib.suppress(RuntimeError):
            # The loop may have been closed before.
            self._loop.call_soon_threadsafe(stopped.set)

    async def _has_ended(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                while self._ended is None:
                    self._news.clear()
                    await self._news.wait()
        return self._ended is not None

    def has_room(self) -> bool:
        """Whether a further message may wait for its PUBACK."""
        return len(self._unconfirmed) < MOST_UNCONFIRMED

    def publish(self, leaf: Upward, payload: bytes) -> None:
        """Hand a message to the broker with QoS 1, never retained. After the end of the connection it is dropped."""
        info = self._client.publish(gateway_topic(self._gateway, leaf), payload, qos=1, retain=False)
        if info.rc == paho.MQTT_ERR_SUCCESS:
            self._unconfirmed.add(info.mid)
            self._idle.clear()

    async def received(self) -> list[bytes]:
        """Wait for acks; all that have come. Raises BrokerLost when the connection has ended."""
        while not self._inbox:
            if self._ended is not None:
                raise BrokerLost(f"{self._broker}: {self._ended}; the gateway connects again by itself")
            self._news.clear()
            await self._news.wait()
        payloads, self._inbox = self._inbox, []
        return payloads

    # In paho's thread: leave a note, and wake the event loop for the first one only.

    def _note(self, note: Callable[[], None]) -> None:
        with self._lock:
            self._notes.append(note)
            if len(self._notes) > 1:
                return
        with contextlib.suppress(RuntimeError):
            # The loop may have been closed under a thread that had no time to end.
            self._loop.call_soon_threadsafe(self._read_notes)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._note(lambda: self._end(f"refused: {reason}; check user and password"))
        else:
            self._client.subscribe(gateway_topic(self._gateway, "ack"), qos=0)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._note(lambda: self._end("may not read its acks; check the rights of this user at the broker"))
        else:
            self._note(self._begin)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if not message.retain:
            self._note(lambda: self._inbox.append(payload))

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._note(lambda: self._confirm(mid))

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._note(lambda: self._end(f"the connection ended ({reason})"))

    # In the event loop.

    def _read_notes(self) -> None:
        with self._lock:
            notes, self._notes = self._notes, []
        room = self.has_room()
        for note in notes:
            note()
        self._news.set()
        if not room and self.has_room() and self.on_room is not None:
            self.on_room()

    def _begin(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _confirm(self, mid: int) -> None:
        self._unconfirmed.discard(mid)
        if not self._unconfirmed:
            self._idle.set()

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        if not self._ready.done():
            self._ready.set_exception(BrokerLost(f"{self._broker}: {reason}"))
