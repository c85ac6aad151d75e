"""The centre as a gateway sees it: commits each lane in seq order in memory and acks over a real broker.

A test switches its virtues off: messages that get lost on the way, acks that do not come, heads that are wrong.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from park_gateway import site
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import gateway_account
from park_wire.batch import GENESIS, Batch, Lane, Tombstone, read_message
from park_wire.messages import Ack, Birth, Hello, Status
from park_wire.topics import UPWARD, gateway_topic, parse_gateway_topic
from support.mqtt import MqttClient

LaneKey = tuple[bytes, Lane]


def gateway_broker(broker: Broker, gateway: str) -> site.Mqtt:
    """The address of a broker for a gateway, which gets its account."""
    account = gateway_account(gateway)
    broker.accounts.add(account)
    broker.reload()
    url = urlsplit(broker.url(account.user))
    assert url.hostname is not None
    assert url.port is not None
    credential = site.Credential(account.user, unquote(url.password or ""))
    return site.Mqtt(url.hostname, url.port, False, credential)


@dataclass
class Books:
    """What the centre keeps over its own restarts, and how it behaves."""

    credit: int = 8
    lose_data: int = 0
    """So many data messages from now on never arrive."""
    lose_acks: int = 0
    """So many acks from now on never leave."""
    silent: bool = False
    """Nothing is committed and nothing answered."""
    unknown_births: bool = False
    """A config_version is unknown until its birth has come."""
    marks: dict[LaneKey, int] = field(default_factory=dict[LaneKey, int])
    heads: dict[LaneKey, bytes] = field(default_factory=dict[LaneKey, bytes])
    committed: list[Batch | Tombstone] = field(default_factory=list[Batch | Tombstone])
    arrived: list[Batch | Tombstone] = field(default_factory=list[Batch | Tombstone])
    order: list[str] = field(default_factory=list[str])
    """The leaf of each message, in order of arrival."""
    hellos: list[Hello] = field(default_factory=list[Hello])
    births: list[Birth] = field(default_factory=list[Birth])
    statuses: list[Status] = field(default_factory=list[Status])

    def values(self, lane: Lane | None = None) -> list[float]:
        """What was committed, once for each time that it was."""
        return [
            value
            for message in self.committed
            if isinstance(message, Batch) and lane in {None, message.envelope.lane}
            for value in message.content().columns.value
        ]

    def tombstones(self) -> list[Tombstone]:
        """The tombstones among what was committed."""
        return [message for message in self.committed if isinstance(message, Tombstone)]

    def unacknowledged(self, lane: Lane) -> list[int]:
        """The seqs that have arrived of a lane beyond its mark, once each."""
        mark = max((mark for (_, of), mark in self.marks.items() if of is lane), default=0)
        return sorted(
            {message.last_seq for message in self.arrived if message.envelope.lane is lane} - {*range(mark + 1)}
        )


class Centre(MqttClient):
    """A connection of the centre; `ack` sends what no honest centre would."""

    def __init__(self, broker: Broker, gateway: str, books: Books) -> None:
        self._gateway = gateway
        self._books = books
        self._guard = threading.Lock()
        super().__init__(broker.url("ingest"), on_message=self._hear)
        for leaf in UPWARD:
            self.subscribe(gateway_topic(gateway, leaf), 0)

    def ack(self, ack: Ack) -> None:
        """Send an ack as it is."""
        self.publish_soon(gateway_topic(self._gateway, "ack"), ack.encode(), 0)

    def ack_lane(self, run: bytes, epoch: bytes, lane: Lane, **wishes: Any) -> None:
        """Send the ack that an honest centre would, with requests added."""
        key = (epoch, lane)
        marks = {lane: (self._books.marks.get(key, 0), self._books.heads.get(key, GENESIS))}
        self.ack(Ack(run, epoch, marks, self._books.credit, time.time_ns() // 1_000, **wishes))

    def _hear(self, topic: str, payload: bytes) -> None:
        _, leaf = parse_gateway_topic(topic)
        books = self._books
        with self._guard:
            books.order.append(leaf)
            match leaf:
                case "hello":
                    hello = Hello.decode(payload)
                    books.hellos.append(hello)
                    if not books.silent:
                        for lane in Lane:
                            self.ack_lane(hello.run, hello.epoch, lane)
                case "birth":
                    books.births.append(Birth.decode(payload))
                case "status":
                    books.statuses.append(Status.decode(payload))
                case "data":
                    self._answer(read_message(payload))

    def _answer(self, message: Batch | Tombstone) -> None:
        books, envelope = self._books, message.envelope
        books.arrived.append(message)
        if books.silent:
            return
        if books.lose_data:
            books.lose_data -= 1
            return
        wishes: dict[str, Any] = {}
        key = (envelope.epoch, envelope.lane)
        mark, head = books.marks.get(key, 0), books.heads.get(key, GENESIS)
        if isinstance(message, Batch) and books.unknown_births:
            version = message.sealed.config_version
            if version not in {birth.config_version for birth in books.births}:
                wishes["need_birth"] = version
        if not wishes and envelope.seq == mark + 1:
            if envelope.prev != head:
                wishes["new_epoch"] = True
            else:
                books.committed.append(message)
                books.marks[key], books.heads[key] = message.last_seq, message.sha256
        if books.lose_acks:
            books.lose_acks -= 1
            return
        self.ack_lane(envelope.run, envelope.epoch, envelope.lane, **wishes)
