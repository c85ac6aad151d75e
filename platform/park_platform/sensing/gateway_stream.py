"""One gateway's stream as its owner holds it in memory: order, births, image, rules; and what it wants to commit next.

Messages go in one by one (`take_*`), `work` gives what one transaction should do, and `installed` takes over what that
transaction did. When a commit fails the whole value is thrown away and loaded again: the database is the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog

from park_platform.sensing.decode import decode_batch
from park_platform.sensing.link import Arrived
from park_platform.sensing.order import LaneOrder, Verdict
from park_platform.sensing.tick import mark_late
from park_platform.storage.commit import Committed, Gap, Letter, MarkMove, Notice, Work
from park_platform.storage.streams import GatewayRow, PointMap, StreamRules
from park_platform.storage.workers import Claim
from park_sdk.frame import NEVER, Frame, Image
from park_wire.batch import Batch, Event, Lane, Tombstone
from park_wire.errors import WireError
from park_wire.messages import Ack, Hello

log = structlog.get_logger()

MOST_HELD: Final = 64
HOLD_US: Final = 2_000_000
CREDIT: Final = 16
_PACK_EVERY_US: Final = 1_000_000
_FUTURE_US: Final = 300_000_000


@dataclass(slots=True)
class Answers:
    """What is to be said once the plan is committed."""

    runs: dict[tuple[bytes, bytes], Ack] = field(default_factory=dict[tuple[bytes, bytes], Ack])
    pubacks: list[Arrived] = field(default_factory=list[Arrived])


@dataclass(slots=True)
class _Held:
    since: int
    items: dict[int, tuple[Batch | Tombstone, Arrived]] = field(
        default_factory=dict[int, "tuple[Batch | Tombstone, Arrived]"]
    )


@dataclass(slots=True)
class _Need:
    birth: bytes | None = None
    epoch: bool = False
    hello: bool = False


@dataclass(slots=True)
class _Plan:
    frames: list[Frame] = field(default_factory=list[Frame])
    rows: int = 0
    until: int = NEVER
    events: list[Event] = field(default_factory=list[Event])
    first_mark: dict[tuple[bytes, Lane], int] = field(default_factory=dict[tuple[bytes, Lane], int])
    untils: dict[tuple[bytes, Lane], int] = field(default_factory=dict[tuple[bytes, Lane], int])
    gaps: list[Gap] = field(default_factory=list[Gap])
    filled: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    letters: list[Letter] = field(default_factory=list[Letter])
    notices: list[tuple[Notice, str]] = field(default_factory=list[tuple[Notice, str]])
    hello: Hello | None = None
    tried: list[bytes] = field(default_factory=list[bytes])
    needs: dict[tuple[bytes, bytes], _Need] = field(default_factory=dict[tuple[bytes, bytes], _Need])
    pubacks: list[Arrived] = field(default_factory=list[Arrived])


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the database knows of a gateway's stream."""

    gateway: GatewayRow
    lanes: dict[tuple[bytes, Lane], LaneOrder]
    epochs: set[bytes]
    image: Image
    rules: StreamRules
    config_seq: int
    last_until: int


class GatewayStream:
    """The stream of one gateway. `point_map` looks up a config_version's birth in the database."""

    def __init__(self, claim: Claim, loaded: "Loaded", point_map: Callable[[bytes], PointMap | None]) -> None:
        self.claim = claim
        self.gateway = loaded.gateway
        self.greeted = False
        self.image = loaded.image
        self.rules = loaded.rules
        self.config_seq = loaded.config_seq
        self._lanes = loaded.lanes
        self._epochs = loaded.epochs
        self._last_until = loaded.last_until
        self._point_map = point_map
        self._maps: dict[bytes, PointMap] = {}
        self._owners: dict[bytes, Hello] = {}
        self._displaced: set[bytes] = set()
        self._held: dict[tuple[bytes, bytes, Lane], _Held] = {}
        self._packed_at = 0
        self._plan = _Plan()

    # what comes in ----------------------------------------------------------------------------------------------

    def take_hello(self, hello: Hello, arrived: Arrived) -> None:
        """A gateway says who it is and what its outbox holds; answered by an ack in any case."""
        self._plan.pubacks.append(arrived)
        self._need(hello.run, hello.epoch)
        if hello.run in self._displaced:
            return
        owner = self._owners.get(hello.epoch)
        if owner is not None and owner.run != hello.run:
            self._displaced.add(owner.run)
        if hello.epoch not in self._epochs:
            self._greet_new_epoch(hello)
        self._owners[hello.epoch] = hello
        self._epochs.add(hello.epoch)
        self._plan.hello = hello
        self.greeted = True
        for lane, position in hello.lanes.items():
            order = self._lane(hello.epoch, lane)
            if position.oldest_seq > order.mark + 1:
                self._first_mark(hello.epoch, lane, order)
                first, last = order.declare_gap(position.oldest_seq - 1, position.before)
                self._gap(Gap(hello.epoch, lane, first, last, "the gateway no longer holds these batches"))
            elif order.hash_at(position.oldest_seq - 1) not in {None, position.before}:
                self._gap(Gap(hello.epoch, lane, order.mark + 1, None, "the gateway's outbox is another one"))
                self._need(hello.run, hello.epoch).epoch = True

    def _greet_new_epoch(self, hello: Hello) -> None:
        followed = {former.epoch for former in hello.former}
        lost = self._epochs - followed
        if not lost or followed & self._epochs:
            return
        # It follows none of the epochs that we know: the outbox is gone, and with it whatever was not committed.
        for epoch in sorted(lost):
            for lane in Lane:
                mark = self._lane(epoch, lane).mark
                self._gap(
                    Gap(
                        epoch,
                        lane,
                        mark + 1,
                        None,
                        "the gateway lost its outbox",
                        from_ts=None if self._last_until == NEVER else self._last_until,
                        to_ts=hello.made_at,
                    )
                )

    def take_data(self, message: Batch | Tombstone, arrived: Arrived, now: int) -> None:
        """A batch or tombstone: committed now, held, acknowledged again or refused (chain 4.2)."""
        envelope = message.envelope
        key = (envelope.epoch, envelope.lane)
        order = self._lane(*key)
        self._check_displaced(message)
        match order.judge(message):
            case Verdict.NEXT:
                if self._stage(message, arrived):
                    self._drain(envelope.run, *key)
                else:
                    self._hold(message, arrived, now)
            case Verdict.EARLY:
                self._hold(message, arrived, now)
            case Verdict.MISSED if isinstance(message, Batch):
                self._stage_missed(message, arrived, order)
            case Verdict.CONFLICT | Verdict.BROKEN as verdict:
                self._refuse(message, arrived, verdict)
            case _:
                self._answer(message, arrived)

    def take_malformed(self, arrived: Arrived, error: WireError) -> None:
        """A payload without a readable identity: kept as a dead letter; the gateway's own seq shows the hole."""
        self._plan.letters.append(Letter(str(error), arrived.payload))
        self._plan.notices.append(("dead-letter", self.gateway.key))
        self._plan.pubacks.append(arrived)

    def take_poison(self, message: Batch | Tombstone, arrived: Arrived, reason: str) -> None:
        """A batch that failed three times alone: its mark passes, its payload is kept undecoded."""
        envelope = message.envelope
        order = self._lane(envelope.epoch, envelope.lane)
        if order.judge(message) is not Verdict.NEXT:
            return
        self._letter(message, arrived.payload, reason)
        self._pass(message, arrived)

    def take_birth(self, points: PointMap, config_version: bytes) -> None:
        """The points of a config_version are known now; batches that waited for them go on."""
        self._maps[config_version] = points
        for run, epoch, lane in list(self._held):
            self._drain(run, epoch, lane)

    def expire_held(self, now: int) -> None:
        """Discard what has waited too long for its predecessor, and ask the gateway where it stands."""
        for (run, epoch, lane), held in list(self._held.items()):
            if now - held.since > HOLD_US or len(held.items) > MOST_HELD:
                self._plan.pubacks += [arrived for _, arrived in held.items.values()]
                self._need(run, epoch).hello = True
                del self._held[run, epoch, lane]

    # what goes out ----------------------------------------------------------------------------------------------

    @property
    def planned_rows(self) -> int:
        """How many readings the next commit would take."""
        return self._plan.rows

    @property
    def idle(self) -> bool:
        """Whether there is nothing to commit and nothing to answer."""
        return not self._plan.pubacks and not self._plan.needs

    def work(self, now: int) -> Work:
        """What the next transaction should do for this stream."""
        plan = self._plan
        frame = mark_late(Frame.joined(plan.frames), self.image) if plan.frames else Frame.empty()
        return Work(
            claim=self.claim,
            gateway=self.gateway.id,
            config_seq=self.config_seq,
            image=self.image,
            rules=self.rules,
            frame=frame,
            # A gateway whose clock runs far ahead must not end everybody's delays.
            until=plan.until if plan.until <= now + _FUTURE_US else NEVER,
            events=plan.events,
            moves=[
                MarkMove(epoch, lane, before, order.mark, order.head, plan.untils.get((epoch, lane)))
                for (epoch, lane), before in plan.first_mark.items()
                if (order := self._lane(epoch, lane)).mark != before
            ],
            gaps=plan.gaps,
            filled=plan.filled,
            letters=plan.letters,
            notices=plan.notices,
            hello=plan.hello,
            tried=plan.tried,
            pack=now - self._packed_at >= _PACK_EVERY_US,
        )

    def installed(self, committed: Committed, now: int) -> Answers:
        """Take over what the transaction did; returns what is to be said now."""
        self.image.show(committed.ticked.shown)
        self.rules.state.apply(committed.ticked.changes)
        if now - self._packed_at >= _PACK_EVERY_US:
            self._packed_at = now
        plan, self._plan = self._plan, _Plan()
        self._last_until = max(self._last_until, plan.until)
        answers = Answers(pubacks=plan.pubacks)
        for (run, epoch), need in plan.needs.items():
            answers.runs[run, epoch] = self._ack(run, epoch, need, now)
        return answers

    def call(self, now: int) -> Ack:
        """Ask whoever runs this gateway to say hello."""
        return Ack(bytes(8), bytes(16), {}, CREDIT, now, need_hello=True)

    def reload(self, image: Image, rules: StreamRules, config_seq: int) -> None:
        """Take over changed points and rules; nothing may be planned that refers to the former ones."""
        self.image, self.rules, self.config_seq = image, rules, config_seq

    # within -----------------------------------------------------------------------------------------------------

    def _lane(self, epoch: bytes, lane: Lane) -> LaneOrder:
        return self._lanes.setdefault((epoch, lane), LaneOrder())

    def _need(self, run: bytes, epoch: bytes) -> _Need:
        return self._plan.needs.setdefault((run, epoch), _Need())

    def _first_mark(self, epoch: bytes, lane: Lane, order: LaneOrder) -> None:
        self._plan.first_mark.setdefault((epoch, lane), order.mark)

    def _answer(self, message: Batch | Tombstone, arrived: Arrived) -> _Need:
        self._plan.pubacks.append(arrived)
        return self._need(message.envelope.run, message.envelope.epoch)

    def _stage(self, message: Batch | Tombstone, arrived: Arrived) -> bool:
        """Plan the commit of a message that follows its head. False when its birth must come first."""
        if isinstance(message, Tombstone):
            loss = message.loss
            self._gap(
                Gap(
                    message.envelope.epoch,
                    message.envelope.lane,
                    message.envelope.seq,
                    message.last_seq,
                    loss.reason,
                    loss.from_ts,
                    loss.to_ts,
                    loss.n,
                )
            )
        elif not self._moved_copy(message) and not self._stage_readings(message, arrived):
            return False
        self._pass(message, arrived)
        return True

    def _moved_copy(self, batch: Batch) -> bool:
        """Whether a batch that was moved to a new epoch is already committed under its first identity."""
        origin = batch.envelope.origin
        if origin is None or (origin.epoch, origin.lane) not in self._lanes:
            return False
        return self._lanes[origin.epoch, origin.lane].hash_at(origin.seq) == batch.sha256

    def _stage_readings(self, batch: Batch, arrived: Arrived) -> bool:
        points = self._points(batch.sealed.config_version)
        if points is None:
            self._need(batch.envelope.run, batch.envelope.epoch).birth = batch.sealed.config_version
            return False
        try:
            decoded = decode_batch(batch, points)
        except WireError as error:
            self._letter(batch, arrived.payload, str(error))
            return True
        if decoded.unknown:
            self._letter(batch, arrived.payload, f"{decoded.unknown} readings have an index that no birth names")
        self._plan.frames.append(decoded.frame)
        self._plan.rows += len(decoded.frame)
        self._plan.events += decoded.events
        return True

    def _points(self, config_version: bytes) -> PointMap | None:
        points = self._maps.get(config_version)
        if points is None:
            points = self._point_map(config_version)
            if points is not None:
                self._maps[config_version] = points
        return points

    def _pass(self, message: Batch | Tombstone, arrived: Arrived) -> None:
        epoch, lane = message.envelope.epoch, message.envelope.lane
        order = self._lane(epoch, lane)
        self._first_mark(epoch, lane, order)
        order.advance(message.last_seq, message.sha256)
        if isinstance(message, Batch):
            self._plan.tried.append(message.sha256)
            if lane is Lane.LIVE:
                self._plan.until = max(self._plan.until, message.sealed.until)
                self._plan.untils[epoch, lane] = message.sealed.until
        self._answer(message, arrived)

    def _stage_missed(self, batch: Batch, arrived: Arrived, order: LaneOrder) -> None:
        if not self._stage_readings(batch, arrived):
            self._plan.pubacks.append(arrived)
            return
        order.fill(batch.last_seq)
        self._plan.filled.append((batch.envelope.epoch, batch.envelope.lane, batch.last_seq))
        self._answer(batch, arrived)

    def _drain(self, run: bytes, epoch: bytes, lane: Lane) -> None:
        held = self._held.get((run, epoch, lane))
        while held is not None:
            item = held.items.pop(self._lane(epoch, lane).mark + 1, None)
            if not held.items:
                self._held.pop((run, epoch, lane), None)
            if item is None:
                return
            message, arrived = item
            if self._lane(epoch, lane).judge(message) is not Verdict.NEXT:
                self._refuse(message, arrived, Verdict.BROKEN)
                return
            if not self._stage(message, arrived):
                self._hold(message, arrived, held.since)
                return

    def _hold(self, message: Batch | Tombstone, arrived: Arrived, now: int) -> None:
        envelope = message.envelope
        held = self._held.setdefault((envelope.run, envelope.epoch, envelope.lane), _Held(now))
        former = held.items.get(envelope.seq)
        if former is not None:
            self._plan.pubacks.append(former[1])
        held.items[envelope.seq] = (message, arrived)

    def _refuse(self, message: Batch | Tombstone, arrived: Arrived, verdict: Verdict) -> None:
        self._answer(message, arrived).epoch = True
        if verdict is Verdict.CONFLICT:
            reason = "another batch with this number is committed"
            self._letter(message, arrived.payload, reason, notice="gateway-conflict")
        identity = {"gateway": self.gateway.key, "lane": message.envelope.lane, "seq": message.envelope.seq}
        log.warning("batch_refused", why=verdict.name.lower(), **identity)

    def _check_displaced(self, message: Batch | Tombstone) -> None:
        owner = self._owners.get(message.envelope.epoch)
        if owner is None or owner.run == message.envelope.run or not isinstance(message, Batch):
            return
        if message.sealed.sealed_at > owner.sent_at:
            self._plan.notices.append(("gateway-conflict", self.gateway.key))

    def _letter(
        self, message: Batch | Tombstone, payload: bytes, reason: str, *, notice: Notice = "dead-letter"
    ) -> None:
        envelope = message.envelope
        self._plan.letters.append(Letter(reason, payload, envelope.epoch, envelope.lane, envelope.seq))
        self._plan.notices.append((notice, self.gateway.key))

    def _gap(self, gap: Gap) -> None:
        self._plan.gaps.append(gap)
        self._plan.notices.append(("gateway-gap", self.gateway.key))

    def _ack(self, run: bytes, epoch: bytes, need: _Need, now: int) -> Ack:
        return Ack(
            run=run,
            epoch=epoch,
            marks={lane: (self._lane(epoch, lane).mark, self._lane(epoch, lane).head) for lane in Lane},
            credit=CREDIT,
            server_time=now,
            need_birth=need.birth,
            new_epoch=need.epoch,
            need_hello=need.hello,
        )


def widened(image: Image, points: np.ndarray) -> Image:
    """An image of `points` that keeps what `image` knows."""
    wider = Image.blank(points)
    if len(image):
        slots = wider.slots(image.point)
        wider.time[slots], wider.value[slots], wider.quality[slots] = image.time, image.value, image.quality
    return wider
