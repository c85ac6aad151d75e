"""Row 7 of the path from register to pixel: one transaction takes readings, alarms and marks, or nothing (chain 4.3).

What a worker holds in memory is never changed here: the caller installs what `commit` returns after it has returned.
"""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

import numpy as np

from park_platform.storage.alarms import Happening, end_forgotten, record, system_rules
from park_platform.storage.attempts import forget_attempts
from park_platform.storage.buckets import MINUTE_US
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.derived import save_fenced
from park_platform.storage.events import save_events
from park_platform.storage.journal import Chain
from park_platform.storage.lanes import move_marks, save_gaps
from park_platform.storage.late_hours import note_late
from park_platform.storage.latest import save_packs
from park_platform.storage.letters import save_letters
from park_platform.storage.readings import copy_readings
from park_platform.storage.resets import Reset, take_resets
from park_platform.storage.rollups import derive_again, mark_dirty
from park_platform.storage.streams import save_hello, save_rule_states
from park_platform.storage.work import Committed, Done, Notice, Tick, Ticked, Work
from park_platform.storage.workers import LockedStream, lock_streams
from park_sdk.frame import NEVER, Frame
from park_sdk.rules import Change
from park_wire.errors import ParkError

_RENEWED_US: Final = 31 * 86_400_000_000
# What is younger than this is in no derivation yet, unless its gateway said that nothing older follows.
_DERIVED_AFTER_US: Final = 60_000_000
_KIND_OF_CHANGE: Final[dict[int, Literal["raised", "cleared", "reset"]]] = {
    Change.RAISED: "raised",
    Change.CLEARED: "cleared",
    Change.RESET: "reset",
}


class RulesChanged(ParkError):
    """Assets or rules changed since the worker loaded them: load them again and commit again."""

    retryable = True


def commit(connection: Connection, works: Sequence[Work], *, incarnation: UUID, tick: Tick, now: int) -> Done:
    """Commit the works of one cycle, in one transaction. `now` is the centre's clock in µs UTC.

    Raises OwnershipLost when a stream, the database or a mark is not what the worker thinks; RulesChanged when they
    must be loaded first; StoreUnavailable, StoreFull or StoreError when the database can't or won't.
    """
    with database_errors(), connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        locked = lock_streams(connection, [work.claim for work in works], incarnation)
        if any(locked[work.claim.stream].rules_seq != work.rules_seq for work in works):
            raise RulesChanged("assets or rules changed")
        copied = copy_readings(connection, Frame.joined([work.frame for work in works]), now=now)
        known_events = save_events(connection, works, now)
        resets = take_resets(connection, [work.claim.stream for work in works])
        streams: list[Committed] = []
        ends: list[tuple[int, int | None, int, int, bytes]] = []
        start = 0
        for work in works:
            stored = work.frame.take(copied.stored[start : start + len(work.frame)])
            start += len(work.frame)
            row = locked[work.claim.stream]
            until = max(work.until, NEVER if row.event_until is None else row.event_until)
            mine = [reset for reset in resets if reset.stream == row.id]
            forgotten = end_forgotten(connection, row.id, now) if work.check_alarms else []
            ticked = tick(stored, work.image, work.rules, until, mine, work.derivations)
            notices = [*work.notices, *save_fenced(connection, row.id, [*work.fenced, *ticked.progress.fenced])]
            happenings = [*forgotten, *_happenings(work, ticked, mine), *_notices(connection, notices, now)]
            chain = record(connection, row.id, Chain(row.journal_seq, row.journal_head), happenings, now)
            live_seq = row.live_seq + (1 if len(ticked.shown) else 0)
            ends.append((row.id, None if until == NEVER else until, live_seq, chain.seq, chain.head))
            streams.append(Committed(ticked, live_seq))
            _save_rest(connection, work, row, stored, now)
        copy_readings(connection, Frame.joined([done.ticked.derived for done in streams]), now=now)
        save_rule_states(
            connection, [(work.rules.table, done.ticked.changes) for work, done in zip(works, streams, strict=True)]
        )
        save_gaps(connection, works)
        move_marks(connection, works)
        forget_attempts(connection, [(work.claim.stream, sha256) for work in works for sha256 in work.tried])
        save_packs(connection, works, streams)
        _save_ends(connection, ends)
    return Done(streams, copied, known_events)


def _save_rest(connection: Connection, work: Work, row: LockedStream, stored: Frame, now: int) -> None:
    if row.event_until is not None:
        mark_dirty(connection, row.id, stored.time, row.event_until)
    note_late(connection, row.id, stored)
    _mark_late_events(connection, work, row, now)
    if work.letters:
        save_letters(connection, row.id, work.letters)
    for hello in work.hellos:
        save_hello(connection, work.gateway, hello, now)


def _mark_late_events(connection: Connection, work: Work, row: LockedStream, now: int) -> None:
    """An event that comes late changes what was made of its time, or is being made of it while this is written."""
    time = np.array([event.time for event in work.events], np.int64)
    begun = max(NEVER if row.event_until is None else row.event_until, now - _DERIVED_AFTER_US)
    late = time[(time <= begun) & (time > now - _RENEWED_US)]
    if len(late):
        # An event at the end of a minute belongs to it, as one at the end of a step does.
        start = (late - 1) // MINUTE_US * MINUTE_US
        derive_again(connection, start, start + MINUTE_US)


def _happenings(work: Work, ticked: Ticked, resets: Sequence[Reset]) -> list[Happening]:
    table, found, priorities = work.rules.table, ticked.transitions, work.rules.priority
    moved: list[int] = found.row.tolist()
    people = {(reset.rule, reset.point): reset for reset in resets}
    happenings: list[Happening] = []
    for row, change, at, value in zip(
        moved, found.change.tolist(), found.at.tolist(), found.value.tolist(), strict=True
    ):
        rule, point = int(table.rule[row]), int(table.point[row])
        person = people.get((rule, point)) if change == Change.RESET else None
        happenings.append(
            Happening(
                at=at,
                kind=_KIND_OF_CHANGE[change],
                rule=rule,
                point=point,
                priority=priorities[row],
                value=None if value != value else value,  # noqa: PLR0124  # NaN: no reading decided
                limit=work.rules.limit_of(row),
                latch=bool(table.latch[row]),
                actor=person and person.actor,
                note=person and person.note,
            )
        )
    return happenings


def _notices(connection: Connection, notices: Sequence[tuple[Notice, str]], now: int) -> list[Happening]:
    # They say that something has happened, not that it lasts: raised and cleared at once, open until acknowledged.
    if not notices:
        return []
    rules = system_rules(connection)
    happenings: list[Happening] = []
    for key, subject in dict.fromkeys(notices):
        rule, priority = rules[key]
        happenings += [
            Happening(at=now, kind=kind, rule=rule, priority=priority, subject=subject)
            for kind in ("raised", "cleared")
        ]
    return happenings


def _save_ends(connection: Connection, ends: Sequence[tuple[int, int | None, int, int, bytes]]) -> None:
    connection.execute(
        """
        UPDATE stream s SET event_until = COALESCE(at_us(e.until), s.event_until), live_seq = e.live_seq,
          journal_seq = e.journal_seq, journal_head = e.journal_head
        FROM unnest(%s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[])
          AS e(id, until, live_seq, journal_seq, journal_head)
        WHERE s.id = e.id
        """,
        tuple(list(column) for column in zip(*ends, strict=True)),
    )
