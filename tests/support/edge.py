"""A gateway that a test drives by hand: it seals batches, publishes what it is told and remembers every ack."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from park_wire.batch import (
    GENESIS,
    Batch,
    Columns,
    Envelope,
    Event,
    Lane,
    Origin,
    Sealed,
    Tombstone,
    encode_batch,
    encode_tombstone,
    seal,
)
from park_wire.messages import Ack, Birth, BirthPoint, Hello, LanePosition
from park_wire.topics import gateway_topic
from support.mqtt import MqttClient
from support.wire_samples import columns_of

SECOND = 1_000_000

Row = tuple[int, int, float, int]
"""index, time in µs, value, quality"""


def now_us() -> int:
    """The wall clock in µs UTC."""
    return time.time_ns() // 1_000


def points(n: int, *, quantity: str = "pressure", unit: str = "MPa", period_ms: int = 1_000) -> tuple[BirthPoint, ...]:
    """N points of one device."""
    return tuple(BirthPoint(index, "plc-1", f"p-{index}", quantity, unit, 0.0, 4.0, period_ms) for index in range(n))


@dataclass(slots=True)
class _LaneState:
    next_seq: int = 1
    head: bytes = GENESIS
    sent: dict[int, bytes] = field(default_factory=dict[int, bytes])


class Edge:
    """Speaks for one gateway on a real broker."""

    def __init__(self, url: str, gateway: str, birth: Birth) -> None:
        self.gateway = gateway
        self.birth = birth
        self.run = secrets.token_bytes(8)
        self.epoch = secrets.token_bytes(16)
        self.made_at = now_us()
        self.lanes = {lane: _LaneState() for lane in Lane}
        self.client = MqttClient(url)
        self.client.subscribe(gateway_topic(gateway, "ack"))

    def close(self) -> None:
        """Leave the broker."""
        self.client.close()

    def hello(self, *, sent_at: int | None = None) -> Hello:
        """Say hello with an outbox that still holds everything that was ever sealed."""
        hello = Hello(
            self.run,
            self.epoch,
            self.made_at,
            sent_at or now_us(),
            {lane: LanePosition(state.next_seq, 1, GENESIS) for lane, state in self.lanes.items()},
        )
        self.say("hello", hello.encode())
        return hello

    def say_birth(self) -> None:
        """Publish the birth."""
        self.say("birth", self.birth.encode())

    def say(self, leaf: str, payload: bytes) -> None:
        """Publish on one of the gateway's topics."""
        self.client.publish(gateway_topic(self.gateway, leaf), payload)  # pyright: ignore[reportArgumentType]

    def seal(
        self,
        rows: Sequence[Row],
        *,
        lane: Lane = Lane.LIVE,
        until: int | None = None,
        events: Sequence[Event] = (),
        columns: Columns | None = None,
        origin: Origin | None = None,
    ) -> tuple[Envelope, Sealed]:
        """Seal the next batch of a lane; it is not published."""
        state = self.lanes[lane]
        sealed = seal(
            columns or columns_of(rows),
            events,
            config_version=self.birth.config_version,
            until=until if until is not None else max([row[1] for row in rows], default=now_us()),
            sealed_at=now_us(),
        )
        envelope = Envelope(self.run, self.epoch, lane, state.next_seq, state.head, origin)
        state.sent[state.next_seq] = encode_batch(envelope, sealed)
        state.next_seq, state.head = state.next_seq + 1, sealed.sha256
        return envelope, sealed

    def send(self, rows: Sequence[Row], **options: object) -> Batch:
        """Seal and publish."""
        envelope, sealed = self.seal(rows, **options)  # pyright: ignore[reportArgumentType]
        self.say("data", encode_batch(envelope, sealed))
        return Batch(envelope, sealed)

    def resend(self, seq: int, lane: Lane = Lane.LIVE) -> None:
        """Publish a batch again."""
        self.say("data", self.lanes[lane].sent[seq])

    def bury(self, tombstone: Tombstone) -> None:
        """Publish a tombstone."""
        self.say("data", encode_tombstone(tombstone))

    def acks(self) -> list[Ack]:
        """Every ack so far."""
        return [Ack.decode(bytes(message.payload)) for message in self.client.received]

    def wait(self, condition: Callable[[Ack], bool], what: str, *, within_s: float = 10.0) -> Ack:
        """The first ack that fulfils a condition."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for ack in self.acks():
                if condition(ack):
                    return ack
            time.sleep(0.02)
        raise AssertionError(f"no ack with {what} within {within_s} s; got {self.acks()[-3:]}")

    def wait_mark(self, seq: int, lane: Lane = Lane.LIVE, *, within_s: float = 10.0) -> Ack:
        """Wait until the centre has committed up to `seq`."""
        return self.wait(
            lambda ack: ack.epoch == self.epoch and ack.marks[lane][0] >= seq, f"mark {seq}", within_s=within_s
        )
