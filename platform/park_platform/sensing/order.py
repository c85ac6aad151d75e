"""The order of one lane of one gateway: which batch may be committed next (chain 4.2). Pure.

The mark decides. The hashes of the last batches are kept in memory only, to tell a repeated batch from another one with
the same number; they start empty after a takeover.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from park_wire.batch import GENESIS, Batch, Tombstone

KEPT_HASHES: Final = 1_000


class Verdict(Enum):
    """What may be done with a message, given its lane's mark and head."""

    NEXT = auto()
    """It follows the head: commit it."""
    DONE = auto()
    """It is committed: acknowledge it again."""
    MISSED = auto()
    """Its seq lies in a declared gap: store it as late and shrink the gap."""
    EARLY = auto()
    """Something before it is missing: hold it."""
    CONFLICT = auto()
    """A batch with this number and another content is committed: dead letter, alarm, new epoch."""
    BROKEN = auto()
    """Its prev is not the head: the gateway's outbox and the centre differ: new epoch."""


@dataclass(slots=True)
class LaneOrder:
    """Mark and head of (gateway, epoch, lane), the hashes that are kept, and the gaps that were declared.

    `lost`: the lane was given up, so an open-ended gap begins behind the mark. `renewed_at`: when the outbox was made
    that took the place of this lane's, µs by the gateway's clock; None where none did. restored: the gap was written
    when the database was restored, and ends where the gateway has left the epoch. awaited: such gaps whose end is
    known; what of them was not committed before the restore comes under another epoch.
    """

    mark: int = 0
    head: bytes = GENESIS
    hashes: OrderedDict[int, bytes] = field(default_factory=OrderedDict[int, bytes])
    gaps: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    lost: bool = False
    renewed_at: int | None = None
    restored: bool = False
    awaited: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def judge(self, message: Batch | Tombstone) -> Verdict:
        """What may be done with this message."""
        seq, last = message.envelope.seq, message.last_seq
        if last <= self.mark:
            return self._judge_old(message)
        if seq > self.mark + 1:
            return Verdict.EARLY
        # A range of tombstones may begin before the mark. Where the hash before it is no longer known, its chain can't
        # be checked, and what can't be checked is not believed: the gateway moves it to a new epoch.
        return Verdict.NEXT if message.envelope.prev == self.hash_at(seq - 1) else Verdict.BROKEN

    def _judge_old(self, message: Batch | Tombstone) -> Verdict:
        kept = self.hash_at(message.last_seq)
        if kept is not None and kept != message.sha256:
            # In a gap too: what another outbox has under this number does not make good what is missing.
            return Verdict.CONFLICT
        return Verdict.MISSED if isinstance(message, Batch) and self.in_gap(message.last_seq) else Verdict.DONE

    def hash_at(self, seq: int) -> bytes | None:
        """The sha256 that the lane has at `seq`, when it is still known."""
        if seq == self.mark:
            return self.head
        return GENESIS if seq == 0 else self.hashes.get(seq)

    def in_gap(self, seq: int) -> bool:
        """Whether `seq` lies in a declared gap."""
        return any(first <= seq <= last for first, last in self.gaps)

    def advance(self, seq: int, sha256: bytes) -> None:
        """The mark and head move to a message that follows them."""
        self.mark, self.head = seq, sha256
        self._keep(seq, sha256)

    def _keep(self, seq: int, sha256: bytes) -> None:
        self.hashes[seq] = sha256
        while len(self.hashes) > KEPT_HASHES:
            self.hashes.popitem(last=False)

    def bury(self, first_seq: int, last_seq: int) -> tuple[int, int]:
        """A range that a tombstone stands for, which begins at the mark or before it; returns what of it is missing."""
        gap = (max(first_seq, self.mark + 1), last_seq)
        self.gaps.append(gap)
        return gap

    def declare_gap(self, last_seq: int, before: bytes) -> tuple[int, int]:
        """Everything after the mark up to `last_seq` is gone; `before` is the gateway's sha256 at it."""
        gap = (self.mark + 1, last_seq)
        self.gaps.append(gap)
        self.mark, self.head = last_seq, before
        return gap

    def fill(self, seq: int, sha256: bytes) -> None:
        """A batch in a declared gap came after all; what is known of it now tells its copies."""
        self._keep(seq, sha256)
        self.gaps, self.awaited = _without(self.gaps, seq), _without(self.awaited, seq)

    def awaits(self, seq: int) -> bool:
        """Whether `seq` was missing after a restore."""
        return any(first <= seq <= last for first, last in self.awaited)


def _without(gaps: list[tuple[int, int]], seq: int) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    for first, last in gaps:
        if not first <= seq <= last:
            left.append((first, last))
            continue
        left += [(a, b) for a, b in ((first, seq - 1), (seq + 1, last)) if a <= b]
    return left
