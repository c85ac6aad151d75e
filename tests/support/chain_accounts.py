"""Where each row is that an outbox of the chain's model ever took in: stored, declared missing, or lost."""

from collections.abc import Iterable, Sequence
from typing import Final

from park_platform.sensing.plan import LaneKey
from park_platform.storage.work import Gap
from park_wire.batch import Lane, read_message
from park_wire.errors import WireError
from support.chain_box import Box, Identity, Kept, Ledger
from support.chain_database import ModelDatabase, Tables

CONFLICT: Final = "another batch with this number is committed"


class Accounts:
    """What the database of today says of the rows in the ledger.

    shared: epochs for which two gateways speak. masked: rows that nobody can miss, because of such a second gateway or
    because the centre had never heard of their outbox. settled: rows that were in order before a restore.
    """

    def __init__(self, database: ModelDatabase, ledger: Ledger, boxes: Sequence[Box]) -> None:
        self.shared: set[bytes] = set()
        self.masked: set[bytes] = set()
        self.settled: set[bytes] = set()
        self._database = database
        self._ledger = ledger
        self._boxes = boxes

    def judge_deletion(self, sha256: bytes) -> None:
        """A gateway has deleted a row: it must be in the database, or was there before a restore."""
        assert sha256 in self.settled or self.is_stored(sha256) or self.is_missing(sha256), (
            "a row was deleted that is neither committed nor declared missing"
        )

    def note_loss(self, box: Box) -> None:
        """The outbox of a gateway is about to be lost."""
        held = box.held()
        self._mask(held)
        if not self._ledger.line(box.outbox.epoch) & self.known():
            self.masked |= held

    def note_restore(self, backup: Tables) -> None:
        """The database is about to be replaced by an older one."""
        backup_known = backup.epochs | {epoch for epoch, _ in backup.lanes}
        alive = {epoch for box in self._boxes for epoch in box.epochs}
        self.masked |= {
            sha256
            for sha256, row in self._ledger.rows.items()
            # The backup has never heard of their outbox, and nobody will speak for it again.
            if not any(epoch in alive or self._ledger.line(epoch) & backup_known for epoch, _, _ in row.identities)
        }
        settled = {sha256 for sha256 in self._ledger.rows if self.is_stored(sha256) or self.is_missing(sha256)}
        self.settled |= settled
        self._mask(settled)

    def _mask(self, rows: Iterable[bytes]) -> None:
        # Where two gateways speak for one epoch, what one has lost is not missed: the other's hello is all right.
        self.masked |= {
            sha256
            for sha256 in rows
            if any(self._ledger.line(epoch) & self.shared for epoch, _, _ in self._ledger.rows[sha256].identities)
        }

    def overstated(self) -> list[Kept]:
        """Rows of which a gap says that they are missing, and that are stored under the very number."""
        tables = self._database.tables
        return [
            row
            for sha256, row in self._ledger.rows.items()
            # One that was moved may have been stored under another number, and a second gateway may have used this one.
            if len(row.identities) == 1
            and row.readings
            and not self.shared
            and self.is_stored(sha256)
            and any(in_gap(gap, identity) for gap in tables.gaps for identity in row.identities)
        ]

    def never_ended(self) -> list[Gap]:
        """Open-ended gaps of outboxes that are there and have said so."""
        if self.shared:
            # One of two gateways may not have said hello since the other has lost its outbox.
            return []
        spoken = {box.outbox.epoch for box in self._boxes}
        return [gap for gap in self._database.tables.gaps if gap.to_seq is None and gap.epoch in spoken]

    def lost(self, held: set[bytes]) -> list[bytes]:
        """Rows that are nowhere: neither stored nor declared missing nor among those that an outbox holds."""
        return [
            sha256
            for sha256, row in self._ledger.rows.items()
            if row.readings and sha256 not in held and not self.is_stored(sha256) and not self.is_missing(sha256)
        ]

    def is_stored(self, sha256: bytes) -> bool:
        """Whether every reading of a row is in the database."""
        row = self._ledger.rows[sha256]
        return not row.given_up and all(self._has(time) for _, time in row.readings)

    def _has(self, time: int) -> bool:
        tables = self._database.tables
        return any((point, time) in tables.readings for point in tables.points.values())

    def is_missing(self, sha256: bytes) -> bool:
        """Whether a gap or a dead letter tells of a row."""
        tables = self._database.tables
        row = self._ledger.rows[sha256]
        if sha256 in self.masked or any(in_gap(gap, identity) for gap in tables.gaps for identity in row.identities):
            return True
        # A batch that another one had overtaken is kept too, but it has still to come under a number of its own.
        if any(letter.reason != CONFLICT and _holds(letter.payload, sha256) for letter in tables.letters):
            return True
        known = self.known()
        if any(epoch in known for epoch, _, _ in row.identities):
            return self._is_filled(row)
        # It was only known under epochs of which the centre has not heard, or has forgotten: what they follow is given
        # up as a whole then.
        lost = {(gap.epoch, gap.lane) for gap in tables.gaps if gap.to_seq is None}
        return all(self._is_given_up(epoch, lane, known, lost) for epoch, lane, _ in row.identities)

    def known(self) -> set[bytes]:
        """The epochs of which the centre has heard."""
        return self._database.tables.epochs | {epoch for epoch, _ in self._database.tables.lanes}

    def _is_given_up(self, epoch: bytes, lane: Lane, known: set[bytes], lost: set[LaneKey]) -> bool:
        while epoch not in known:
            if epoch not in self._ledger.former:
                # Of an outbox of which the centre knows nothing nobody can say that it is missing, once it is gone.
                return not any(epoch in box.epochs for box in self._boxes)
            epoch = self._ledger.former[epoch]
        return (epoch, lane) in lost

    def _is_filled(self, row: Kept) -> bool:
        # With two gateways on one outbox the other's batch may fill the gap in which this one's lies.
        return bool(self.shared) and bool(row.identities & self._database.filled)


def in_gap(gap: Gap, identity: Identity) -> bool:
    """Whether a gap stands for this number."""
    epoch, lane, seq = identity
    return (gap.epoch, gap.lane) == (epoch, lane) and gap.from_seq <= seq and (gap.to_seq is None or seq <= gap.to_seq)


def _holds(payload: bytes, sha256: bytes) -> bool:
    try:
        return read_message(payload).sha256 == sha256
    except WireError:
        return False
