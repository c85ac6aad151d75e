"""What a commit does to the database, in dictionaries: the exact counterpart of storage/commit.py for one gateway.

It refuses what the real one refuses (owner, term, incarnation, marks), keeps each (point, time) once, and can fail in
every way in which a database does. A copy of its tables is a backup.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import numpy as np

from park_platform.gap_reasons import RESTORED
from park_platform.sensing.gateway_stream import GatewayStream
from park_platform.sensing.lanes import Lanes
from park_platform.sensing.load import order_of
from park_platform.sensing.plan import LaneKey
from park_platform.storage.readings import Copied, Fate
from park_platform.storage.streams import GatewayRow, LaneRow, PointMap, StreamConfig, StreamRules
from park_platform.storage.work import Committed, Done, Gap, Letter, Tick, Work
from park_platform.storage.workers import Claim
from park_sdk.frame import NEVER, Frame, Image
from park_sdk.rules import RuleState, RuleTable
from park_wire.batch import GENESIS, Lane
from park_wire.errors import OwnershipLost, StoreUnavailable
from park_wire.messages import Birth

GATEWAY: Final = "edge"
STREAM: Final = 1
CHECKS: Final = {"owner", "incarnation", "mark"}
"""What a commit checks; a test takes one away to see what it is good for."""
Fault = Literal["away", "unknown", "refused"]
"""away: nothing is done. unknown: it is done, and nobody hears of it. refused: an error that nobody foresaw."""


class Refused(Exception):
    """An error that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class LaneBook:
    """A row of `lane`."""

    mark: int = 0
    head: bytes = GENESIS
    until: int = NEVER


@dataclass(slots=True)
class Tables:
    """Everything that is committed."""

    owner: UUID | None = None
    term: int = 0
    epoch: bytes | None = None
    config_version: bytes | None = None
    event_until: int = NEVER
    lanes: dict[LaneKey, LaneBook] = field(default_factory=dict[LaneKey, LaneBook])
    gaps: list[Gap] = field(default_factory=list[Gap])
    epochs: set[bytes] = field(default_factory=set[bytes])
    births: dict[bytes, PointMap] = field(default_factory=dict[bytes, PointMap])
    points: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    readings: dict[tuple[int, int], float] = field(default_factory=dict[tuple[int, int], float])
    letters: list[Letter] = field(default_factory=list[Letter])
    attempts: dict[bytes, int] = field(default_factory=dict[bytes, int])
    recorded_at: int = 0

    def closed_gaps(self, key: LaneKey, *, restored: bool) -> tuple[tuple[int, int], ...]:
        """First and last seq of a lane's gaps that have an end."""
        return tuple(
            (gap.from_seq, gap.to_seq)
            for gap in self.gaps
            if (gap.epoch, gap.lane) == key and gap.to_seq is not None and (gap.reason == RESTORED) is restored
        )

    def backed_up(self, *, readings: bool = True) -> "Tables":
        """A copy that no commit changes; without readings, one that a transaction may write to."""
        kept = copy(self)
        for name in ("lanes", "epochs", "births", "points", "attempts", "gaps", "letters"):
            setattr(kept, name, copy(getattr(self, name)))
        if readings:
            kept.readings = dict(self.readings)
        return kept


class ModelDatabase:
    """One database over its incarnations. `fault` is what the next commit will suffer."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.incarnation = uuid4()
        self.fault: Fault | None = None
        self.duplicates = 0
        self.doubles = 0
        """Duplicates that the worker had to know: both came in one life of its memory."""
        self.conflicts = 0
        self.commits = 0
        self._loaded_at = 0
        self._stored_at: dict[tuple[int, int], int] = {}
        self.gaps_written = 0
        self.filled: set[tuple[bytes, Lane, int]] = set()

    # ownership

    def take(self, worker: UUID) -> Claim:
        """The stream's term is raised; whoever owned it owns it no more."""
        self.tables.owner = worker
        self.tables.term += 1
        return Claim(STREAM, worker, self.tables.term)

    def check(self, claim: Claim, incarnation: UUID) -> None:
        """As `lock_streams`. Raises OwnershipLost."""
        tables = self.tables
        if "owner" in CHECKS and (tables.owner, tables.term) != (claim.worker, claim.term):
            raise OwnershipLost("stream belongs to another worker now")
        if "incarnation" in CHECKS and incarnation != self.incarnation:
            raise OwnershipLost("the database was restored")

    def restore(self, backup: Tables) -> None:
        """An older state is all that there is: a new incarnation, and each of its lanes given up from the mark on."""
        self.incarnation = uuid4()
        self.tables = backup.backed_up()
        known = {(gap.epoch, gap.lane) for gap in backup.gaps if gap.to_seq is None}
        for key in {(epoch, lane) for epoch in (*backup.epochs, *(e for e, _ in backup.lanes)) for lane in Lane}:
            if key not in known:
                mark = backup.lanes.get(key, LaneBook()).mark
                self.tables.gaps.append(Gap(*key, mark + 1, None, RESTORED, from_ts=backup.recorded_at))

    # what a worker loads

    def load(self, source: Any, claim: Claim) -> GatewayStream:
        """As `load_stream`. Raises OwnershipLost."""
        self.check(claim, source.incarnation)
        tables = self.tables
        self._loaded_at = self.commits
        gateway = GatewayRow(1, GATEWAY, STREAM, tables.epoch, tables.config_version)
        lost = {(gap.epoch, gap.lane): gap for gap in tables.gaps if gap.to_seq is None}
        keys = tables.lanes.keys() | {(gap.epoch, gap.lane) for gap in tables.gaps}
        rows = [
            LaneRow(
                *key,
                tables.lanes.get(key, LaneBook()).mark,
                tables.lanes.get(key, LaneBook()).head,
                gaps=tables.closed_gaps(key, restored=False),
                lost=key in lost,
                renewed_at=lost[key].to_ts if key in lost else None,
                restored=key in lost and lost[key].reason == RESTORED,
                awaited=tables.closed_gaps(key, restored=True),
            )
            for key in sorted(keys)
        ]
        lanes = Lanes(
            {(row.epoch, row.lane): order_of(row) for row in rows},
            set(tables.epochs),
            max((book.until for book in tables.lanes.values()), default=NEVER),
        )
        image = Image.blank(self.points())
        for (point, time), value in tables.readings.items():
            slot = int(image.slots(np.array([point], np.int32))[0])
            if time > image.time[slot]:
                image.time[slot], image.value[slot] = time, value
        return GatewayStream(claim, gateway, lanes, image, self.config(), ModelBirths(self, claim, source.incarnation))

    def points(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Every point, ascending."""
        return np.array(sorted(self.tables.points.values()), np.int32)

    def config(self) -> StreamConfig:
        """The points; no rules."""
        return StreamConfig(self.points(), StreamRules(RuleTable.of([]), RuleState.idle(0), ()), 0)

    # the commit

    def commit(self, works: Sequence[Work], *, incarnation: UUID, tick: Tick, now: int) -> Done:
        """As `storage.commit.commit`, for one stream."""
        fault, self.fault = self.fault, None
        if fault == "away":
            raise StoreUnavailable("the model's database is away")
        [work] = works
        self.check(work.claim, incarnation)
        after = self.tables.backed_up(readings=False)
        fresh, fate = self._copy(work.frame)
        until = max(work.until, after.event_until)
        ticked = tick(work.frame.take(fate == Fate.STORED), work.image, work.rules, until, [], work.derivations)
        _save_gaps(after, work)
        self._move_marks(after, work)
        after.event_until, after.recorded_at = until, now
        after.letters += work.letters
        for hello in work.hellos:
            after.epoch = hello.epoch
            after.epochs |= {hello.epoch, *(was.epoch for was in hello.former)}
        for sha256 in work.tried:
            after.attempts.pop(sha256, None)
        if fault == "refused":
            raise Refused("the model's database refused for no reason that anybody foresaw")
        again = np.flatnonzero(fate == Fate.DUPLICATE).tolist()
        self.duplicates += len(again)
        keys = [(int(work.frame.point[row]), int(work.frame.time[row])) for row in again]
        self.doubles += sum(self._stored_at.get(key, 0) > self._loaded_at for key in keys)
        self.conflicts += int((fate == Fate.CONFLICT).sum())
        self.gaps_written += len(work.gaps)
        self.filled |= set(work.filled)
        self.commits += 1
        after.readings.update(fresh)
        self._stored_at.update(dict.fromkeys(fresh, self.commits))
        self.tables = after
        if fault == "unknown":
            raise StoreUnavailable("the model's database went away after the commit")
        return Done([Committed(ticked, self.commits)], Copied(fate), 0)

    def _copy(self, frame: Frame) -> tuple[dict[tuple[int, int], float], Any]:
        fresh: dict[tuple[int, int], float] = {}
        fate = np.zeros(len(frame), np.uint8)
        rows = zip(frame.point.tolist(), frame.time.tolist(), frame.value.tolist(), strict=True)
        for row, (point, time, value) in enumerate(rows):
            kept = self.tables.readings.get((point, time), fresh.get((point, time)))
            if kept is None:
                fresh[point, time] = value
            else:
                fate[row] = Fate.DUPLICATE if kept == value else Fate.CONFLICT
        return fresh, fate

    def _move_marks(self, after: Tables, work: Work) -> None:
        for move in work.moves:
            key = move.epoch, move.lane
            book = after.lanes.get(key, LaneBook() if move.before == 0 else None)
            if book is None or ("mark" in CHECKS and book.mark != move.before):
                raise OwnershipLost("a mark is not where this worker left it")
            until = book.until if move.until is None else max(book.until, move.until)
            after.lanes[key] = LaneBook(move.mark, move.head, until)


def _save_gaps(after: Tables, work: Work) -> None:
    recovered = set(work.recovered)
    gaps = [gap for gap in after.gaps if gap.to_seq is not None or (gap.epoch, gap.lane) not in recovered]
    ended = {(epoch, lane): last for epoch, lane, last in work.closed}
    gaps = [
        replace(gap, to_seq=ended[gap.epoch, gap.lane])
        if gap.to_seq is None and (gap.epoch, gap.lane) in ended
        else gap
        for gap in gaps
    ]
    gaps += work.gaps
    renewed = {(epoch, lane): made_at for epoch, lane, made_at in work.renewed}
    gaps = [
        replace(gap, to_ts=renewed.get((gap.epoch, gap.lane))) if gap.to_seq is None and gap.to_ts is None else gap
        for gap in gaps
    ]
    for epoch, lane, seq in work.filled:
        gaps = [part for gap in gaps for part in _without(gap, epoch, lane, seq)]
    lost = {(move.epoch, move.lane): move.mark for move in work.moves if move.lost}
    after.gaps = [
        replace(gap, from_seq=max(gap.from_seq, lost.get((gap.epoch, gap.lane), 0) + 1)) if gap.to_seq is None else gap
        for gap in gaps
    ]


def _without(gap: Gap, epoch: bytes, lane: Lane, seq: int) -> list[Gap]:
    if (gap.epoch, gap.lane) != (epoch, lane) or gap.to_seq is None or not gap.from_seq <= seq <= gap.to_seq:
        return [gap]
    parts = ((gap.from_seq, seq - 1), (seq + 1, gap.to_seq))
    return [replace(gap, from_seq=first, to_seq=last, n=None) for first, last in parts if first <= last]


@dataclass(frozen=True, slots=True)
class ModelBirths:
    """The births of the gateway, as a worker that owns its stream may use them."""

    database: ModelDatabase
    claim: Claim
    incarnation: UUID

    def map_of(self, config_version: bytes) -> PointMap | None:
        """The points behind the indices of a version."""
        return self.database.tables.births.get(config_version)

    def put_in_force(self, config_version: bytes) -> StreamConfig:
        """Let the points be what this version says."""
        self.database.check(self.claim, self.incarnation)
        self.database.tables.config_version = config_version
        return self.database.config()

    def save(self, birth: Birth, content: bytes) -> StreamConfig:
        """Keep a birth."""
        assert content
        self.database.check(self.claim, self.incarnation)
        tables = self.database.tables
        named = [
            tables.points.setdefault((point.device, point.name), 10 + len(tables.points)) for point in birth.points
        ]
        tables.births[birth.config_version] = PointMap(
            np.array([point.index for point in birth.points], np.int64), np.array(named, np.int32)
        )
        if tables.config_version is None:
            tables.config_version = birth.config_version
        return self.database.config()
