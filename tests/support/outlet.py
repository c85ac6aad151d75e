"""A gateway's outbox for tests, in memory: it seals batches in order and remembers every payload."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from park_wire.batch import (
    GENESIS,
    Batch,
    Columns,
    Envelope,
    Event,
    Lane,
    Loss,
    Origin,
    Sealed,
    Tombstone,
    encode_batch,
    encode_tombstone,
    seal,
)
from park_wire.messages import Birth, BirthPoint, FormerEpoch, Hello, LanePosition
from support.wire_samples import columns_of

SECOND = 1_000_000

Row = tuple[int, int, float, int]
"""index, time in µs, value, quality"""


def now_us() -> int:
    """The wall clock in µs UTC."""
    return time.time_ns() // 1_000


def points(
    n: int, *, quantity: str = "pressure", unit: str = "MPa", period_ms: int = 1_000, start: int = 0
) -> tuple[BirthPoint, ...]:
    """N points of one device, named from `start`, with indices from 0."""
    return tuple(
        BirthPoint(index, "plc-1", f"p-{start + index}", quantity, unit, 0.0, 4.0, period_ms) for index in range(n)
    )


@dataclass(slots=True)
class SealedLane:
    """What one lane has sealed so far: its next seq, its head, the payload and sha256 of each seq."""

    next_seq: int = 1
    head: bytes = GENESIS
    sent: dict[int, bytes] = field(default_factory=dict[int, bytes])
    hashes: dict[int, bytes] = field(default_factory=lambda: {0: GENESIS})


class Outlet:
    """What a gateway would publish."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self.run = secrets.token_bytes(8)
        self.former: tuple[FormerEpoch, ...] = ()
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """A new, empty outbox; `former` stays as it is."""
        self.epoch = secrets.token_bytes(16)
        self.made_at = now_us()
        self.lanes = {lane: SealedLane() for lane in Lane}

    def begin_run(self) -> None:
        """The gateway's process starts again."""
        self.run = secrets.token_bytes(8)

    def as_former(self) -> FormerEpoch:
        """This epoch as a later one names it."""
        return FormerEpoch(self.epoch, self.lanes[Lane.LIVE].next_seq, self.lanes[Lane.BACKFILL].next_seq)

    def make_hello(self, *, oldest: dict[Lane, int] | None = None, sent_at: int | None = None) -> Hello:
        """The hello of an outbox that holds everything from `oldest` on (1 where it is not given)."""
        positions: dict[Lane, LanePosition] = {}
        for lane, state in self.lanes.items():
            first = (oldest or {}).get(lane, 1)
            positions[lane] = LanePosition(state.next_seq, first, state.hashes[first - 1])
        return Hello(self.run, self.epoch, self.made_at, sent_at or now_us(), positions, self.former)

    def seal(
        self,
        rows: Sequence[Row],
        *,
        lane: Lane = Lane.LIVE,
        until: int | None = None,
        events: Sequence[Event] = (),
        columns: Columns | None = None,
        origin: Origin | None = None,
        birth: Birth | None = None,
    ) -> Batch:
        """Seal the next batch of a lane."""
        sealed = seal(
            columns or columns_of(rows),
            events,
            config_version=(birth or self.birth).config_version,
            until=until if until is not None else max([row[1] for row in rows], default=now_us()),
            sealed_at=now_us(),
        )
        return self.append(sealed, lane, origin)

    def append(self, sealed: Sealed, lane: Lane = Lane.LIVE, origin: Origin | None = None) -> Batch:
        """Put a sealed content at the end of a lane."""
        state = self.lanes[lane]
        envelope = Envelope(self.run, self.epoch, lane, state.next_seq, state.head, origin)
        state.sent[state.next_seq] = encode_batch(envelope, sealed)
        state.hashes[state.next_seq] = sealed.sha256
        state.next_seq, state.head = state.next_seq + 1, sealed.sha256
        return Batch(envelope, sealed)

    def bury(self, first: int, last: int, *, lane: Lane = Lane.LIVE, reason: str = "disk full") -> Tombstone:
        """Replace sealed batches by a tombstone."""
        state = self.lanes[lane]
        envelope = Envelope(self.run, self.epoch, lane, first, state.hashes[first - 1])
        tombstone = Tombstone(envelope, last, state.hashes[last], Loss(last - first + 1, 10, 20, reason))
        for seq in range(first, last + 1):
            state.sent[seq] = encode_tombstone(tombstone)
        return tombstone
