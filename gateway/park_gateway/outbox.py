"""Store and forward: what the gateway has read stays here until the centre says that it is committed (chain.md 3).

Each lane is a hash chain of batches that are sealed once and never changed. Only an ack of this run and epoch whose
head is our own sha256 deletes anything; whatever contradicts the chain begins a new epoch, in which all that is left
is sent again under new numbers.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from sqlite3 import Connection
from typing import Final

import structlog

from park_gateway import outbox_rows as rows
from park_gateway.clock import wall_us
from park_gateway.outbox_file import MOST_TRANSACTION_BYTES, Damaged, OutboxFile
from park_gateway.outbox_rows import LIVE_AGE_US, EpochRow, LaneState, NewRow, StoredRow
from park_gateway.pack import Draft, Pack, add_loss, divide, pack, promises, travelling
from park_gateway.reading import Readings
from park_gateway.trace import Accepted, Trace
from park_wire.batch import (
    EPOCH_BYTES,
    GENESIS,
    HASH_BYTES,
    RUN_BYTES,
    Batch,
    Envelope,
    Lane,
    Loss,
    Origin,
    Sealed,
    Tombstone,
    seal,
)
from park_wire.errors import StoreFull, WireError
from park_wire.messages import Ack, Birth, FormerEpoch, Hello, LanePosition

BEAT_US: Final = 900_000
"""After this time without a live batch an empty one is due, so that there is one at least every second."""
MOST_WAITING: Final = 50_000
"""Readings and events that wait in memory for room; of more, the oldest are given up and become a tombstone."""
GIVEN_UP: Final = "outbox full"
"""The reason that such a tombstone gives."""

_DELETE_STEP: Final = 64
_MOST_FORMER: Final = 1_000
_HELD: Final = "held"

_log = structlog.get_logger()


class Verdict(Enum):
    """What became of an ack."""

    FOREIGN = "foreign"
    """It answers another run or epoch; nothing was done."""
    NOTHING = "nothing"
    """It moves no mark."""
    MOVED = "moved"
    """What it covers was deleted."""
    DIVERGED = "diverged"
    """The centre has another chain than this outbox: nothing was deleted, a new epoch was begun."""


class Outbox:
    """The outbox of one gateway process. `put` may be called at any time, the rest from one thread at a time."""

    def __init__(self, file: OutboxFile, now: Callable[[], int], trace: Trace | None) -> None:
        self.run: Final = secrets.token_bytes(RUN_BYTES)
        self._file = file
        self.now: Final = now
        self._trace = trace
        self._inbox: deque[Readings] = deque()
        self._waiting: list[Readings] = []
        self._given_up: Loss | None = None
        self._full = False
        self._config_version: bytes | None = None
        self._last_live_at: int | None = None
        self._epochs = rows.load_epochs(file) or self._first_epoch()
        self.lanes: dict[Lane, LaneState] = {lane: rows.load_lane(file, lane) for lane in Lane}
        """Replaced as a whole by each change, so another thread may read it."""

    @classmethod
    def open(
        cls, folder: Path, *, quota_bytes: int, now: Callable[[], int] = wall_us, trace: Trace | None = None
    ) -> "Outbox":
        """Open or make the outbox in `folder`; `now` gives the anchored time in µs UTC.

        A damaged file is moved aside; the new one has an epoch that follows none, which the centre reads as a loss.
        Raises StoreFull, and StoreError when another process has it open or the folder can't be used.
        """
        file = OutboxFile.open(folder, rows.SCHEMA, quota_bytes)
        try:
            return cls(file, now, trace)
        except Damaged:
            file.close()
            return cls(OutboxFile.open(folder, rows.SCHEMA, quota_bytes), now, trace)

    def _first_epoch(self) -> list[EpochRow]:
        self._file.write(lambda connection: rows.insert_epoch(connection, secrets.token_bytes(EPOCH_BYTES), self.now()))
        return rows.load_epochs(self._file)

    @property
    def epoch(self) -> bytes:
        """The current epoch."""
        return self._epochs[-1].epoch

    @property
    def config_version(self) -> bytes | None:
        """The version that is sealed into batches now; None before the first `add_birth`."""
        return self._config_version

    # In: put, seal

    def put(self, readings: Readings) -> None:
        """Take readings over; the next `seal` commits them."""
        self._inbox.append(readings)

    def seal(self, until: int) -> int:
        """Commit what was put, as few batches in few commits, and return how many; needs a birth.

        `until` (µs UTC): nothing older will be put. Readings older than an earlier promise go to the backfill lane,
        so that what a live batch promised stays true. A live batch that is due is sealed even when it is empty.
        Raises StoreFull: what was put waits in memory, the oldest of more than MOST_WAITING is given up and told by a
        tombstone once there is room. Raises StoreError when the disk failed: the process must stop.
        """
        if self._config_version is None:
            raise ValueError("the outbox has no birth: add_birth comes before seal")
        now = self.now()
        drafts = self._drafts(until, now)
        sealed = 0
        most_bytes = MOST_TRANSACTION_BYTES
        while sealed < len(drafts):
            try:
                sealed += self._commit_some(drafts[sealed:], now, most_bytes)
            except StoreFull as error:
                if not most_bytes:
                    self._wait((draft.pack.readings for draft in drafts[sealed:] if draft.pack), error)
                    raise
                # There may still be room for one by one.
                most_bytes = 0
        if self._full:
            self._full = False
            _log.info("outbox_has_room", path=str(self._file.path))
        return sealed

    def _drafts(self, until: int, now: int) -> list[Draft]:
        live = self.lanes[Lane.LIVE]
        fresh, late = divide(self._collected(), live.until)
        lane = self._lane(now)
        drafts: list[Draft] = []
        if self._given_up:
            drafts.append(Draft(lane, live.until, loss=self._given_up))
        if lane is Lane.BACKFILL:
            late, fresh = late + fresh, []
        drafts += [Draft(Lane.BACKFILL, live.until, item) for item in pack(late)]
        packs = pack(fresh)
        promised = promises(packs, max(until, live.until))
        drafts += [Draft(Lane.LIVE, promise, item) for item, promise in zip(packs, promised, strict=True)]
        if lane is Lane.LIVE and not packs and self._beat_is_due(now):
            drafts.append(Draft(Lane.LIVE, max(until, live.until)))
        return drafts

    def _lane(self, now: int) -> Lane:
        """Where what is sealed now goes."""
        return Lane.LIVE if self.lanes[Lane.LIVE].age_us(now) < LIVE_AGE_US else Lane.BACKFILL

    def _collected(self) -> list[Readings]:
        chunks, self._waiting = self._waiting, []
        for _ in range(len(self._inbox)):
            chunks.append(self._inbox.popleft())
        return chunks

    def _beat_is_due(self, now: int) -> bool:
        return self._last_live_at is None or not 0 <= now - self._last_live_at < BEAT_US

    def _commit_some(self, drafts: list[Draft], now: int, most_bytes: int, *, must_fit: bool = False) -> int:
        """Seal and commit the first drafts in one transaction of about `most_bytes`; how many they were."""
        new: list[NewRow] = []
        size = 0
        for draft in drafts:
            row = self._new_row(draft, now)
            new.append(row)
            size += row.size
            # A tombstone alone always fits: it would come again and again while nothing else finds room.
            if size >= most_bytes and not draft.loss:
                break
        states = dict(self.lanes)
        accepted: list[Accepted] = []

        def insert(connection: Connection) -> None:
            for draft, row in zip(drafts, new, strict=False):
                state = states[row.lane]
                if draft.pack:
                    accepted.append(Accepted(self.epoch, row.lane, state.next_seq, draft.pack.readings.samples))
                rows.insert_row(connection, row, self._epochs[-1].id, state)
                states[row.lane] = state.after(row)
            for lane in {row.lane for row in new}:
                rows.store_lane(connection, lane, states[lane])

        self._file.write(insert, must_fit=must_fit)
        self.lanes = states
        if any(row.lane is Lane.LIVE for row in new):
            self._last_live_at = now
        if drafts[0].loss:
            self._given_up = None
        if self._trace is not None:
            self._trace.write(accepted)
        return len(new)

    def _new_row(self, draft: Draft, now: int) -> NewRow:
        if draft.loss:
            # These readings were never sealed, so their place in the chain gets a hash that nothing else has.
            return NewRow(draft.lane, secrets.token_bytes(HASH_BYTES), now, draft.loss)
        held = draft.pack or Pack(Readings(), draft.until, draft.until)
        sealed = self._sealed(held.readings, draft.until, now)
        return NewRow(draft.lane, sealed.sha256, now, Loss(held.n, held.earliest, held.latest, _HELD), sealed)

    def _sealed(self, readings: Readings, until: int, now: int) -> Sealed:
        version = self._config_version or GENESIS
        try:
            return seal(readings.columns(), readings.events, config_version=version, until=until, sealed_at=now)
        except WireError:
            # One event that does not travel must not hold up everything that was read with it.
            readings.events = [travelling(event) for event in readings.events]
            return seal(readings.columns(), readings.events, config_version=version, until=until, sealed_at=now)

    def _wait(self, chunks: Iterable[Readings], error: StoreFull) -> None:
        if not self._full:
            self._full = True
            _log.error("outbox_full", error=str(error))
        self._waiting = list(chunks)
        waiting = sum(len(chunk) + len(chunk.events) for chunk in self._waiting)
        while waiting > MOST_WAITING:
            oldest = self._waiting.pop(0)
            waiting -= len(oldest) + len(oldest.events)
            self._given_up = add_loss(self._given_up, oldest, GIVEN_UP)

    def give_up_waiting(self) -> None:
        """Commit a tombstone for what found no room, for a process that ends: else nobody would hear of it.

        Raises StoreFull when there is no room even for that.
        """
        for chunk in self._collected():
            self._given_up = add_loss(self._given_up, chunk, GIVEN_UP)
        if self._given_up is not None:
            lost, now = self._given_up, self.now()
            _log.error("outbox_gave_up", readings=lost.n, from_us=lost.from_ts, to_us=lost.to_ts)
            draft = Draft(self._lane(now), self.lanes[Lane.LIVE].until, loss=lost)
            self._commit_some([draft], now, 0, must_fit=True)

    # Out: unacknowledged, acknowledge, new_epoch

    def unacknowledged(self, lane: Lane, limit: int, from_seq: int = 1) -> list[Batch | Tombstone]:
        """Up to `limit` batches and tombstones of a lane in order, from `from_seq` or the oldest on."""
        state = self.lanes[lane]
        position = max(state.oldest, state.first + from_seq - 1)
        if position >= state.next:
            return []
        prev = self._sha256_before(lane, state, position)
        messages: list[Batch | Tombstone] = []
        for row in rows.read_rows(self._file, lane, position, limit):
            messages.append(self._message(lane, state, row, prev))
            prev = row.sha256
        return messages

    def _sha256_before(self, lane: Lane, state: LaneState, position: int) -> bytes:
        return state.before if position == state.oldest else rows.sha256_at(self._file, lane, position - 1)

    def _message(self, lane: Lane, state: LaneState, row: StoredRow, prev: bytes) -> Batch | Tombstone:
        seq = row.position - state.first + 1
        origin = None
        if row.epoch != self._epochs[-1].id:
            origin = Origin(next(was.epoch for was in self._epochs if was.id == row.epoch), lane, row.seq)
        envelope = Envelope(self.run, self.epoch, lane, seq, prev, origin)
        if row.sealed is None:
            return Tombstone(envelope, seq, row.sha256, row.loss)
        return Batch(envelope, row.sealed)

    def acknowledge(self, ack: Ack) -> Verdict:
        """Delete what an ack of this run and epoch covers, if its heads are our own sha256 at those marks.

        A lower mark than the last is ignored. When a head differs or a mark was never given out, nothing is deleted
        and a new epoch is begun. Works on a full disk. Raises StoreError.
        """
        if ack.run != self.run or ack.epoch != self.epoch:
            return Verdict.FOREIGN
        ends: dict[Lane, int] = {}
        for lane, (mark, head) in ack.marks.items():
            state = self.lanes[lane]
            end = state.first + mark
            if end < state.oldest:
                continue
            if end > state.next or self._sha256_before(lane, state, end) != head:
                _log.error("outbox_diverged", lane=lane.value, mark=mark, next_seq=state.next_seq)
                self.new_epoch()
                return Verdict.DIVERGED
            if end > state.oldest:
                ends[lane] = end
        while any(self.lanes[lane].oldest < end for lane, end in ends.items()):
            self._delete_some(ends)
        return Verdict.MOVED if ends else Verdict.NOTHING

    def _delete_some(self, ends: dict[Lane, int]) -> None:
        """One small step: on a full disk a large deletion would find no room for its own log."""
        states = dict(self.lanes)
        spans: list[tuple[Lane, int, int]] = []
        for lane, end in ends.items():
            state = states[lane]
            step = min(end, state.oldest + _DELETE_STEP)
            if step == state.oldest:
                continue
            spans.append((lane, state.oldest, step - 1))
            n = rows.count_readings(self._file, lane, state.oldest, step - 1)
            states[lane] = replace(
                state,
                oldest=step,
                before=rows.sha256_at(self._file, lane, step - 1),
                oldest_at=rows.sealed_at(self._file, lane, step),
                readings=state.readings - n,
                delivered=state.delivered + n,
            )

        def delete(connection: Connection) -> None:
            for lane, first, last in spans:
                rows.delete_rows(connection, lane, first, last)
                rows.store_lane(connection, lane, states[lane])

        self._file.write(delete, must_fit=True)
        self.lanes = states

    def new_epoch(self) -> None:
        """Begin an epoch: all that is unacknowledged counts from 1 again, in order, and keeps its first identity."""
        live, backfill = self.lanes[Lane.LIVE], self.lanes[Lane.BACKFILL]
        states = {lane: state.restarted() for lane, state in self.lanes.items()}

        def restart(connection: Connection) -> None:
            rows.end_epoch(connection, self._epochs[-1].id, live.next_seq, backfill.next_seq)
            rows.insert_epoch(connection, secrets.token_bytes(EPOCH_BYTES), self.now())
            for lane, state in states.items():
                rows.store_lane(connection, lane, state)

        self._file.write(restart, must_fit=True)
        self._epochs = rows.load_epochs(self._file)
        self.lanes = states
        _log.warning("outbox_new_epoch", epoch=self.epoch.hex(), live=live.batches, backfill=backfill.batches)

    # About: hello, births, room

    def hello(self) -> Hello:
        """Who this run is and what the outbox holds."""
        current = self._epochs[-1]
        return Hello(
            run=self.run,
            epoch=current.epoch,
            made_at=current.made_at,
            sent_at=self.now(),
            lanes={
                lane: LanePosition(state.next_seq, state.oldest_seq, state.before) for lane, state in self.lanes.items()
            },
            former=tuple(
                FormerEpoch(was.epoch, was.live_next or 1, was.backfill_next or 1)
                for was in self._epochs[-_MOST_FORMER - 1 : -1]
            ),
        )

    def add_birth(self, birth: Birth) -> None:
        """Seal with this configuration from now on; births that no batch names any more are forgotten."""
        self._file.write(
            lambda connection: rows.replace_births(connection, birth.config_version, birth.encode()), must_fit=True
        )
        self._config_version = birth.config_version

    def births(self) -> tuple[bytes, ...]:
        """The config_version of every birth that is kept."""
        return rows.birth_versions(self._file)

    def birth(self, config_version: bytes) -> bytes | None:
        """The payload of a birth; None when it is not kept."""
        return rows.load_birth(self._file, config_version)

    def free_bytes(self) -> int:
        """How much more fits."""
        return self._file.free_bytes()

    def tidy(self) -> None:
        """Give room back in a small step; to be called every few seconds."""
        self._file.tidy()

    def close(self) -> None:
        """Close the file; what was put and not sealed is lost."""
        self._file.close()
        if self._trace is not None:
            self._trace.close()
