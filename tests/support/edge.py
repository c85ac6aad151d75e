"""A gateway that a test drives by hand: it seals batches, publishes what it is told and remembers every ack."""

import time
from collections.abc import Callable, Sequence

from park_wire.batch import Batch, Lane, Tombstone, encode_batch, encode_tombstone
from park_wire.messages import Ack, Birth, Hello
from park_wire.topics import gateway_topic
from support.mqtt import MqttClient
from support.outlet import SECOND, Outlet, Row, now_us, points

__all__ = ["SECOND", "Edge", "now_us", "points"]


class Edge(Outlet):
    """Speaks for one gateway on a real broker."""

    def __init__(self, url: str, gateway: str, birth: Birth) -> None:
        super().__init__(birth)
        self.gateway = gateway
        self._url = url
        self._answered = 0
        self.client = self._connect()

    def close(self) -> None:
        """Leave the broker."""
        self.client.close()

    def reconnect(self) -> None:
        """A new connection, after the broker was away; former acks are forgotten."""
        self.client.close()
        self._answered = 0
        self.client = self._connect()

    def hello(self, *, oldest: dict[Lane, int] | None = None, sent_at: int | None = None) -> Hello:
        """Say hello with an outbox that holds everything from `oldest` on."""
        hello = self.make_hello(oldest=oldest, sent_at=sent_at)
        self.say("hello", hello.encode())
        return hello

    def greet(self, *, within_s: float = 10.0) -> None:
        """Say hello until somebody answers: a worker may only just be about to listen."""
        deadline = time.monotonic() + within_s
        while not any(ack.run == self.run for ack in self.acks()):
            assert time.monotonic() < deadline, f"no answer to hello within {within_s} s"
            self.hello()
            time.sleep(0.1)

    def say_birth(self) -> None:
        """Publish the birth."""
        self.say("birth", self.birth.encode())

    def say(self, leaf: str, payload: bytes) -> None:
        """Publish on one of the gateway's topics."""
        self.client.publish(gateway_topic(self.gateway, leaf), payload)  # pyright: ignore[reportArgumentType]

    def publish(self, message: Batch | Tombstone) -> None:
        """Publish a sealed batch or a tombstone."""
        if isinstance(message, Batch):
            self.say("data", encode_batch(message.envelope, message.sealed))
        else:
            self.say("data", encode_tombstone(message))

    def send(self, rows: Sequence[Row], **options: object) -> Batch:
        """Seal and publish."""
        batch = self.seal(rows, **options)  # pyright: ignore[reportArgumentType]
        self.publish(batch)
        return batch

    def resend(self, seq: int, lane: Lane = Lane.LIVE) -> None:
        """Publish a batch again."""
        self.say("data", self.lanes[lane].sent[seq])

    def resend_from(self, seq: int, lane: Lane = Lane.LIVE) -> None:
        """Publish everything from `seq` on again, as go-back-N does."""
        for number in range(seq, self.lanes[lane].next_seq):
            self.client.publish_soon(gateway_topic(self.gateway, "data"), self.lanes[lane].sent[number])

    def acks(self) -> list[Ack]:
        """Every ack so far."""
        return [Ack.decode(bytes(message.payload)) for message in self.client.received]

    def mark(self, lane: Lane = Lane.LIVE) -> int:
        """The newest mark that the centre has told this epoch."""
        return max((ack.marks[lane][0] for ack in self.acks() if ack.epoch == self.epoch and ack.marks), default=0)

    def wait(self, condition: Callable[[Ack], bool], what: str, *, within_s: float = 10.0) -> Ack:
        """The first ack that fulfils a condition."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for ack in self.acks():
                if condition(ack):
                    return ack
            time.sleep(0.01)
        raise AssertionError(f"no ack with {what} within {within_s} s; got {self.acks()[-3:]}")

    def wait_mark(self, seq: int, lane: Lane = Lane.LIVE, *, within_s: float = 10.0) -> Ack:
        """Wait until the centre has committed up to `seq`."""
        return self.wait(
            lambda ack: ack.epoch == self.epoch and ack.marks[lane][0] >= seq, f"mark {seq}", within_s=within_s
        )

    def deliver(self, lane: Lane = Lane.LIVE, *, within_s: float = 20.0) -> None:
        """Send what is sealed until all of it is committed, as a gateway does: again every second from the mark on."""
        last, deadline = self.lanes[lane].next_seq - 1, time.monotonic() + within_s
        again = 0.0
        while (mark := self.mark(lane)) < last:
            assert time.monotonic() < deadline, f"mark {mark} of {last} after {within_s} s; got {self.acks()[-3:]}"
            self.answer()
            if time.monotonic() >= again:
                self.resend_from(mark + 1, lane)
                again = time.monotonic() + 1.0
            time.sleep(0.02)

    def answer(self) -> None:
        """Send the hello or birth that the centre has asked for since the last call."""
        acks = self.acks()[self._answered :]
        self._answered += len(acks)
        if any(ack.need_hello for ack in acks):
            self.hello()
        if any(ack.need_birth is not None for ack in acks):
            self.say_birth()

    def _connect(self) -> MqttClient:
        client = MqttClient(self._url)
        client.subscribe(gateway_topic(self.gateway, "ack"))
        return client
