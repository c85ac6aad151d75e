"""A gateway's staging without a database: what would be committed is kept in lists."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from park_platform.sensing.lanes import Lanes
from park_platform.sensing.link import Arrived
from park_platform.sensing.order import LaneOrder
from park_platform.sensing.plan import LaneKey, Need, Plan, RunKey
from park_platform.sensing.staging import Staging
from park_platform.storage.streams import GatewayRow, PointMap
from park_platform.storage.work import Gap, Letter
from park_sdk.frame import NEVER
from park_wire.batch import Batch, Tombstone
from park_wire.messages import Hello
from support.arrivals import arrived, arrived_message

GATEWAY = GatewayRow(id=1, key="edge", stream=1, epoch=None, config_version=None)
NOW = 1_795_665_600_000_000


@dataclass
class Stage:
    """Staging and the books of what its plans did; `commit` is what a transaction and `installed` would do."""

    births: dict[bytes, PointMap] = field(default_factory=dict[bytes, PointMap])
    now: int = NOW
    lanes: Lanes = field(default_factory=lambda: Lanes({}, set(), NEVER))
    values: list[float] = field(default_factory=list[float])
    gaps: list[Gap] = field(default_factory=list[Gap])
    letters: list[Letter] = field(default_factory=list[Letter])
    notices: list[str] = field(default_factory=list[str])
    spoken: list[bytes] = field(default_factory=list[bytes])
    taken: list[Arrived] = field(default_factory=list[Arrived])
    pubacks: list[Arrived] = field(default_factory=list[Arrived])

    def __post_init__(self) -> None:
        self.staging = self._new()

    def _new(self) -> Staging:
        return Staging(GATEWAY, self.lanes, self.births.get, self.spoken.append)

    def take(self, message: Batch | Tombstone) -> Arrived:
        """A message on the data topic."""
        brought = arrived_message(message)
        self.taken.append(brought)
        self.staging.take_data(message, brought, self.now)
        return brought

    def hello(self, hello: Hello) -> Arrived:
        """A message on the hello topic."""
        brought = arrived(hello.encode(), "hello")
        self.taken.append(brought)
        self.staging.take_hello(hello, brought, self.now)
        return brought

    def birth(self, config_version: bytes, points: PointMap) -> None:
        """The birth has come."""
        self.births[config_version] = points
        self.staging.take_birth(points, config_version, self.now)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += round(seconds * 1_000_000)
        self.staging.expire_held(self.now)

    def commit(self) -> dict[RunKey, Need]:
        """Carry out the plan; returns what each run is told besides the marks."""
        plan, self.staging.plan = self.staging.plan, Plan()
        for frame in plan.frames:
            self.values += frame.value.tolist()
        recovered = set(plan.recovered)
        self.gaps = [gap for gap in self.gaps if (gap.epoch, gap.lane) not in recovered or gap.to_seq is not None]
        self.gaps += plan.gaps
        renewed = {(epoch, lane): made_at for epoch, lane, made_at in plan.renewed}
        self.gaps = [
            replace(gap, to_ts=renewed.get((gap.epoch, gap.lane))) if gap.to_seq is None and gap.to_ts is None else gap
            for gap in self.gaps
        ]
        self.letters += plan.letters
        self.notices += [notice for notice, _ in plan.notices]
        self.pubacks += plan.pubacks
        self.lanes.last_until = max(self.lanes.last_until, plan.until)
        return plan.needs

    def fail(self) -> list[Arrived]:
        """Another worker takes over, or a commit failed: only what is committed is known. Call it after `commit`."""
        dropped = self.staging.unanswered()
        self.lanes = Lanes(
            {key: _restored(order) for key, order in self.lanes.orders().items()},
            set(self.lanes.greeted),
            self.lanes.last_until,
        )
        self.staging = self._new()
        return dropped


def _restored(order: LaneOrder) -> LaneOrder:
    kept = OrderedDict({order.mark: order.head}) if order.mark else OrderedDict[int, bytes]()
    return LaneOrder(order.mark, order.head, kept, list(order.gaps), order.lost, order.renewed_at)


def missing(stage: Stage, key: LaneKey) -> set[int]:
    """The seqs of a lane that lie in a declared gap."""
    return {seq for first, last in stage.lanes.of(*key).gaps for seq in range(first, last + 1)}
