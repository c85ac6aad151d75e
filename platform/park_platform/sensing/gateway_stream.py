"""One gateway's stream as its owner holds it in memory: what is staged, the image, the rules.

`staging` takes the messages, `work` gives what one transaction should do, and `installed` takes over what that
transaction did. When a commit fails the whole value is thrown away and loaded again: the database is the truth.
"""

from typing import Final, Protocol

from park_platform.sensing.lanes import Lanes
from park_platform.sensing.plan import Answers, LaneKey, Plan
from park_platform.sensing.staging import Staging
from park_platform.sensing.tick import arrange
from park_platform.storage.engines.store import AHEAD_US
from park_platform.storage.streams import GatewayRow, PointMap, StreamConfig
from park_platform.storage.work import Committed, MarkMove, Work
from park_platform.storage.workers import Claim
from park_sdk.frame import Frame, Image
from park_wire.messages import Ack, Birth

_PACK_EVERY_US: Final = 1_000_000


class Births(Protocol):
    """The births of one gateway in the database."""

    def map_of(self, config_version: bytes) -> PointMap | None:
        """The points behind the indices of a version; None when its birth has not come yet."""
        ...

    def put_in_force(self, config_version: bytes) -> StreamConfig:
        """Let the points be what this version says; returns points and rules as they are then."""
        ...

    def save(self, birth: Birth, content: bytes) -> StreamConfig:
        """Keep a birth that is not known yet; returns points and rules as they are then."""
        ...


class GatewayStream:
    """The stream of one gateway. `greeted`: a hello has come since it was taken, and of each epoch in use."""

    def __init__(
        self, claim: Claim, gateway: GatewayRow, lanes: Lanes, image: Image, config: StreamConfig, births: Births
    ) -> None:
        self.claim = claim
        self.gateway = gateway
        self.greeted = False
        self.config = config
        self.staging = Staging(gateway, lanes, births.map_of, self._speak)
        self._image = image
        self._derivations = config.derivations
        self.births = births
        self._check_alarms = True
        self._unpacked = False
        self._packing = False
        self._packed_at = 0

    def is_due(self, now: int) -> bool:
        """Whether there is anything to commit or to answer."""
        return not self.staging.plan.is_empty or self._check_alarms or (self._unpacked and self._pack_is_due(now))

    def work(self, now: int) -> Work:
        """What the next transaction should do for this stream."""
        plan = self.staging.plan
        self._packing = self._pack_is_due(now)
        return Work(
            claim=self.claim,
            gateway=self.gateway.id,
            rules_seq=self.config.rules_seq,
            image=self._image,
            rules=self.config.rules,
            frame=arrange(Frame.joined(plan.frames), self._image, now + AHEAD_US) if plan.frames else Frame.empty(),
            until=plan.until,
            events=plan.events,
            moves=[self._move(plan, key, before) for key, before in plan.first_mark.items()],
            gaps=plan.gaps,
            filled=plan.filled,
            closed=plan.closed,
            recovered=plan.recovered,
            renewed=plan.renewed,
            letters=plan.letters,
            notices=plan.notices,
            hellos=plan.hellos,
            tried=plan.tried,
            check_alarms=self._check_alarms,
            derivations=self._derivations,
            pack=self._packing,
        )

    def installed(self, committed: Committed, now: int, credit: int) -> Answers:
        """Take over what the transaction did; returns what is to be said now. credit: of backfill batches."""
        shown = committed.ticked.shown
        self._image.show(shown)
        self._derivations = self._derivations.after(committed.ticked.progress)
        self.config.rules.state.apply(committed.ticked.changes)
        self._check_alarms = False
        self._unpacked = not self._packing and (self._unpacked or len(shown) > 0)
        if self._packing:
            self._packed_at = now
        plan, self.staging.plan = self.staging.plan, Plan()
        lanes = self.staging.lanes
        # An epoch whose hello was lost may stand for an outbox that was; one that was given up may not be lost.
        self.greeted = (self.greeted or plan.greeted) and all(
            epoch in lanes.greeted and not lanes.of(epoch, lane).lost for epoch, lane in plan.first_mark
        )
        lanes.last_until = max(lanes.last_until, plan.until)
        acks = [
            Ack(run, epoch, lanes.marks(epoch), credit, now, need.birth, need.epoch, need.hello)
            for (run, epoch), need in plan.needs.items()
        ]
        return Answers(acks, plan.pubacks)

    def call(self, now: int, credit: int) -> Ack:
        """Ask whoever runs this gateway to say hello."""
        return Ack(bytes(8), bytes(16), {}, credit, now, need_hello=True)

    def reload(self, config: StreamConfig) -> None:
        """Take over changed points and rules; what is planned stays planned."""
        wider = Image.blank(config.points)
        if len(self._image):
            slots = wider.slots(self._image.point)
            wider.time[slots], wider.value[slots] = self._image.time, self._image.value
            wider.quality[slots] = self._image.quality
        self._image, self.config = wider, config
        self._derivations = config.derivations
        self._check_alarms = True

    def _speak(self, config_version: bytes) -> None:
        self.reload(self.births.put_in_force(config_version))

    def _pack_is_due(self, now: int) -> bool:
        # A clock that was set back must not stop it.
        return not 0 <= now - self._packed_at < _PACK_EVERY_US

    def _move(self, plan: Plan, key: LaneKey, before: int) -> MarkMove:
        order = self.staging.lanes.of(*key)
        return MarkMove(*key, before, order.mark, order.head, plan.untils.get(key), order.lost)
