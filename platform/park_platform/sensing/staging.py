"""From messages to a plan: what may be committed next, what waits, what is refused (chain 4.2). No database, no clock.

Messages go in one by one; `now` is the centre's clock in µs. What comes of them collects in `plan`, until the owner of
the value takes it away.
"""

import hashlib
from collections.abc import Callable
from typing import Final

import structlog

from park_platform.sensing.decode import decode_batch
from park_platform.sensing.greeting import greet
from park_platform.sensing.holding import Holding
from park_platform.sensing.lanes import Lanes
from park_platform.sensing.link import Arrived
from park_platform.sensing.order import Verdict
from park_platform.sensing.plan import LaneKey, Message, Plan, storable
from park_platform.sensing.runs import Runs
from park_platform.storage.engines.store import AHEAD_US
from park_platform.storage.streams import GatewayRow, PointMap
from park_platform.storage.work import Gap, Letter, Notice
from park_wire.batch import Batch, Lane, Tombstone
from park_wire.errors import WireError
from park_wire.messages import Hello

log = structlog.get_logger()

MOST_ROWS: Final = 50_000
_MOST_REFUSED: Final = 1_000
_MOST_FAULTS: Final = 5


class Staging:
    """The messages of one gateway on their way into a commit.

    map_of: looks up the birth of a config_version, None when it is not known. speak: called before the first live batch
    of another version than the one in force.
    """

    def __init__(
        self,
        gateway: GatewayRow,
        lanes: Lanes,
        map_of: Callable[[bytes], PointMap | None],
        speak: Callable[[bytes], None],
    ) -> None:
        self.plan = Plan()
        self.lanes = lanes
        self._gateway = gateway.key
        self._epoch = gateway.epoch
        self._version = gateway.config_version
        self._map_of = map_of
        self._speak = speak
        self._maps: dict[bytes, PointMap] = {}
        self._runs = Runs()
        self._holding = Holding()
        self._unfinished: set[LaneKey] = set()
        self._refused: set[bytes] = set()

    def take_hello(self, hello: Hello, arrived: Arrived, now: int) -> None:
        """A gateway says who it is and what its outbox holds; answered by an ack in any case."""
        self.plan.pubacks.append(arrived)
        self.plan.need(hello.run, hello.epoch)
        self.plan.greeted = True
        if not self._runs.take(hello):
            return
        greet(self.lanes, hello, self.plan, self._gateway, self._epoch)
        self._epoch = hello.epoch
        self.plan.hellos.append(hello)
        for lane in Lane:
            self._drain((hello.epoch, lane), now)

    def take_data(self, message: Message, arrived: Arrived, now: int) -> None:
        """A batch or tombstone, and what waited for it: planned, held, acknowledged again or refused."""
        self.take_alone(message, arrived, now)
        self._drain((message.envelope.epoch, message.envelope.lane), now)

    def take_alone(self, message: Message, arrived: Arrived, now: int) -> None:
        """The same without what waits for it, so that a failure is this message's own."""
        if self._runs.is_second_gateway(message):
            self.plan.notices.append(("gateway-conflict", self._gateway))
        if self.judge(message) is Verdict.EARLY or not self._settle(message, arrived, now):
            replaced = self._holding.put(message, arrived, now)
            if replaced is not None:
                self.plan.pubacks.append(replaced)

    def take_poison(self, message: Message, arrived: Arrived, reason: str, now: int) -> None:
        """A batch that failed three times alone, not decoded again: its mark passes, its payload is kept."""
        match self.judge(message):
            case Verdict.NEXT:
                self._letter(message, arrived, reason)
                self._pass(message, arrived, now)
            case Verdict.MISSED:
                self._letter(message, arrived, reason)
                self.plan.tried.append(message.sha256)
                self.plan.answer(message, arrived)
            case _:
                self.take_alone(message, arrived, now)

    def take_malformed(self, arrived: Arrived, reason: str) -> None:
        """A payload without a readable identity: kept as a dead letter; the gateway's own seq shows the hole."""
        if self._is_new(arrived.payload):
            self.plan.add_letter(Letter(reason, arrived.payload), self._gateway)
        self.plan.pubacks.append(arrived)

    def take_birth(self, points: PointMap, config_version: bytes, now: int) -> None:
        """The points of a version are known now; batches that waited for them go on."""
        self._maps[config_version] = points
        for key in self._holding.lanes():
            self._drain(key, now)

    def resume(self, now: int) -> None:
        """Go on where a commit was full."""
        unfinished, self._unfinished = self._unfinished, set()
        for key in unfinished:
            self._drain(key, now)

    @property
    def is_unfinished(self) -> bool:
        """Whether `resume` has something to do."""
        return bool(self._unfinished)

    def next_waiting(self) -> tuple[Message, Arrived] | None:
        """A message that no longer has to wait, taken out to be tried alone."""
        for key in self._holding.lanes():
            ready = self._holding.ready(key, self.lanes.of(*key))
            if ready is not None and self._is_born(ready[0]):
                self._holding.drop(ready[0])
                return ready
        return None

    def expire_held(self, now: int) -> None:
        """Discard what has waited too long for its predecessor, and ask the gateway where it stands."""
        for (run, epoch), discarded in self._holding.expire(now):
            self.plan.pubacks += discarded
            self.plan.need(run, epoch).hello = True

    def judge(self, message: Message) -> Verdict:
        """What the order of its lane says of a message."""
        return self.lanes.of(message.envelope.epoch, message.envelope.lane).judge(message)

    def unanswered(self) -> list[Arrived]:
        """Every message that was taken and not yet acknowledged to the broker."""
        return [*self.plan.pubacks, *self._holding.everything()]

    # within -----------------------------------------------------------------------------------------------------

    def _drain(self, key: LaneKey, now: int) -> None:
        """Settle what waits in a lane and no longer has to, of whichever run."""
        while (ready := self._holding.ready(key, self.lanes.of(*key))) is not None:
            if self.plan.rows >= MOST_ROWS:
                self._unfinished.add(key)
                return
            if not self._settle(*ready, now):
                return
            self._holding.drop(ready[0])

    def _settle(self, message: Message, arrived: Arrived, now: int) -> bool:
        """Do with a message what its order says. False when its birth must come first."""
        match self.judge(message):
            case Verdict.NEXT:
                return self._stage(message, arrived, now)
            case Verdict.MISSED if isinstance(message, Batch):
                return self._stage_missed(message, arrived)
            case Verdict.CONFLICT | Verdict.BROKEN as verdict:
                self._refuse(message, arrived, verdict)
            case _:
                self.plan.answer(message, arrived)
        return True

    def _stage(self, message: Message, arrived: Arrived, now: int) -> bool:
        if isinstance(message, Tombstone):
            self._bury(message)
        elif not self.lanes.is_copy(message):
            if not self._stage_readings(message, arrived):
                return False
            self.lanes.note_move(message)
            self._fill_awaited(message)
            version = message.sealed.config_version
            if message.envelope.lane is Lane.LIVE and version != self._version:
                self._speak(version)
                self._version = version
        self._pass(message, arrived, now)
        return True

    def _fill_awaited(self, batch: Batch) -> None:
        """What a restore had lost has come, under its own number or moved to another epoch."""
        of = batch.envelope if batch.envelope.origin is None else batch.envelope.origin
        order = self.lanes.orders().get((of.epoch, of.lane))
        if order is not None and order.awaits(of.seq):
            order.fill(of.seq, batch.sha256)
            self.plan.filled.append((of.epoch, of.lane, of.seq))

    def _bury(self, tombstone: Tombstone) -> None:
        envelope, loss = tombstone.envelope, tombstone.loss
        first, last = self.lanes.of(envelope.epoch, envelope.lane).bury(envelope.seq, tombstone.last_seq)
        # How many readings are in a part of what it stands for, nobody knows.
        n = loss.n if first == envelope.seq else None
        times = (storable(loss.from_ts), storable(loss.to_ts)) if loss.from_ts <= loss.to_ts else (None, None)
        self.plan.add_gap(Gap(envelope.epoch, envelope.lane, first, last, loss.reason, *times, n), self._gateway)

    def _stage_missed(self, batch: Batch, arrived: Arrived) -> bool:
        if not self.lanes.is_copy(batch):
            if not self._stage_readings(batch, arrived):
                return False
            self.lanes.note_move(batch)
        key = batch.envelope.epoch, batch.envelope.lane
        self.lanes.of(*key).fill(batch.last_seq, batch.sha256)
        self.plan.filled.append((*key, batch.last_seq))
        self.plan.tried.append(batch.sha256)
        self.plan.answer(batch, arrived)
        return True

    def _stage_readings(self, batch: Batch, arrived: Arrived) -> bool:
        points = self._points(batch.sealed.config_version)
        if points is None:
            self.plan.need(batch.envelope.run, batch.envelope.epoch).birth = batch.sealed.config_version
            return False
        try:
            decoded = decode_batch(batch, points)
        except WireError as error:
            self._letter(batch, arrived, str(error))
            return True
        if decoded.faults:
            more = f"; and {len(decoded.faults) - _MOST_FAULTS} more" if len(decoded.faults) > _MOST_FAULTS else ""
            self._letter(batch, arrived, "; ".join(decoded.faults[:_MOST_FAULTS]) + more)
        self.plan.frames.append(decoded.frame)
        self.plan.rows += len(decoded.frame)
        self.plan.events += decoded.events
        return True

    def _points(self, config_version: bytes) -> PointMap | None:
        points = self._maps.get(config_version) or self._map_of(config_version)
        if points is not None:
            self._maps[config_version] = points
        return points

    def _is_born(self, message: Message) -> bool:
        return isinstance(message, Tombstone) or self._points(message.sealed.config_version) is not None

    def _pass(self, message: Message, arrived: Arrived, now: int) -> None:
        key = message.envelope.epoch, message.envelope.lane
        order = self.lanes.of(*key)
        self.plan.first_mark.setdefault(key, order.mark)
        order.advance(message.last_seq, message.sha256)
        if isinstance(message, Batch):
            self.plan.tried.append(message.sha256)
            # A gateway whose clock runs far ahead must not end everybody's delays.
            until = storable(message.sealed.until)
            if key[1] is Lane.LIVE and until is not None and until <= now + AHEAD_US:
                self.plan.note_until(key, until)
        self.plan.answer(message, arrived)

    def _refuse(self, message: Message, arrived: Arrived, verdict: Verdict) -> None:
        """Ask for a new epoch, again and again until it comes; keep the payload and say so once."""
        self.plan.answer(message, arrived).epoch = True
        if not self._is_new(arrived.payload):
            return
        if verdict is Verdict.CONFLICT:
            self._letter(message, arrived, "another batch with this number is committed", notice="gateway-conflict")
        identity = {"gateway": self._gateway, "lane": message.envelope.lane, "seq": message.envelope.seq}
        log.warning("batch_refused", why=verdict.name.lower(), **identity)

    def _is_new(self, payload: bytes) -> bool:
        digest = hashlib.sha256(payload).digest()
        if digest in self._refused:
            return False
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused.add(digest)
        return True

    def _letter(self, message: Message, arrived: Arrived, reason: str, *, notice: Notice = "dead-letter") -> None:
        envelope = message.envelope
        letter = Letter(reason, arrived.payload, envelope.epoch, envelope.lane, envelope.seq)
        self.plan.add_letter(letter, self._gateway, notice)
