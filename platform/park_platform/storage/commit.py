"""Row 7 of the path from register to pixel: one transaction takes readings, alarms and marks, or nothing (chain 4.3).

What a worker holds in memory is never changed here: the caller installs what `commit` returns after it has returned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from park_platform.storage.alarms import Happening, Reset, record, system_rules, take_resets
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.journal import Chain
from park_platform.storage.latest import pack_image
from park_platform.storage.readings import Copied, copy_readings
from park_platform.storage.streams import StreamRules, save_hello, save_rule_states
from park_platform.storage.workers import Claim, LockedStream, lock_streams
from park_sdk.frame import NEVER, Frame, Image
from park_sdk.rules import Change, StateChanges, Transitions
from park_wire import cbor
from park_wire.batch import Event, Lane
from park_wire.errors import OwnershipLost, ParkError
from park_wire.messages import Hello

Notice: TypeAlias = Literal["gateway-gap", "gateway-conflict", "dead-letter"]
_KIND_OF_CHANGE: Final[dict[int, Literal["raised", "cleared", "reset"]]] = {
    Change.RAISED: "raised",
    Change.CLEARED: "cleared",
    Change.RESET: "reset",
}


class ConfigChanged(ParkError):
    """Points or rules changed since the worker loaded them: load them again and commit again."""

    retryable = True


@dataclass(frozen=True, slots=True)
class MarkMove:
    """A lane's mark goes from `before` to `mark`, whose sha256 is `head`; `until` in µs, None in the backfill lane."""

    epoch: bytes
    lane: Lane
    before: int
    mark: int
    head: bytes
    until: int | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Batches that will not come. `to_seq` None: open-ended. Times in µs, None when unknown."""

    epoch: bytes
    lane: Lane
    from_seq: int
    to_seq: int | None
    reason: str
    from_ts: int | None = None
    to_ts: int | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A payload that can't be processed, with what is known of its identity."""

    reason: str
    payload: bytes
    epoch: bytes | None = None
    lane: Lane | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Ticked:
    """What row 6 made of the readings that were stored."""

    shown: Frame
    changes: StateChanges
    transitions: Transitions


Tick: TypeAlias = Callable[[Frame, Image, StreamRules, int, Sequence[Reset]], Ticked]


@dataclass(slots=True)
class Work:
    """What one stream wants to commit. `frame` is in commit order, its late rows are marked, its times are possible.

    `until` is the event time before which nothing older will follow live, NEVER when no live batch is in it.
    """

    claim: Claim
    gateway: int
    config_seq: int
    image: Image
    rules: StreamRules
    frame: Frame = field(default_factory=Frame.empty)
    until: int = NEVER
    events: list[Event] = field(default_factory=list[Event])
    moves: list[MarkMove] = field(default_factory=list[MarkMove])
    gaps: list[Gap] = field(default_factory=list[Gap])
    filled: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    letters: list[Letter] = field(default_factory=list[Letter])
    notices: list[tuple[Notice, str]] = field(default_factory=list[tuple[Notice, str]])
    hello: Hello | None = None
    tried: list[bytes] = field(default_factory=list[bytes])
    pack: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """What is in the database now. `live_seq` numbers the values that are to be published."""

    ticked: Ticked
    live_seq: int


def commit(
    connection: Connection, works: Sequence[Work], *, incarnation: UUID, tick: Tick, now: int
) -> tuple[list[Committed], Copied]:
    """Commit the works of one cycle, in one transaction.

    Raises OwnershipLost when a stream, the database or a mark is not what the worker thinks; ConfigChanged when rules
    or points must be loaded first; StoreUnavailable, StoreFull or StoreError when the database can't or won't.
    """
    with database_errors(), connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        locked = lock_streams(connection, [work.claim for work in works], incarnation)
        if any(locked[work.claim.stream].config_seq != work.config_seq for work in works):
            raise ConfigChanged("points or rules changed")
        joined = Frame.joined([work.frame for work in works]) if works else Frame.empty()
        copied = copy_readings(connection, joined, now=now)
        done: list[Committed] = []
        start = 0
        for work in works:
            stored = work.frame.take(copied.stored[start : start + len(work.frame)])
            start += len(work.frame)
            done.append(_commit_stream(connection, work, locked[work.claim.stream], stored, tick, now))
        return done, copied


def _commit_stream(
    connection: Connection, work: Work, row: LockedStream, stored: Frame, tick: Tick, now: int
) -> Committed:
    _save_events(connection, work)
    resets = take_resets(connection, work.claim.stream)
    until = max(work.until, NEVER if row.event_until is None else row.event_until)
    ticked = tick(stored, work.image, work.rules, until, resets)
    changes = ticked.changes
    table = work.rules.table
    if len(changes.row):
        save_rule_states(connection, table, changes.row, changes.phase, changes.since, changes.due)
    happenings = [*_happenings(work.rules, ticked.transitions), *_notices(connection, work, now)]
    chain = record(connection, work.claim.stream, Chain(row.journal_seq, row.journal_head), happenings, now)
    _save_losses(connection, work)
    _move_marks(connection, work)
    if work.hello is not None:
        save_hello(connection, work.gateway, work.hello, work.claim.term, now)
    live_seq = row.live_seq + (1 if len(ticked.shown) else 0)
    connection.execute(
        """
        UPDATE stream SET event_until = CASE WHEN %(until)s::bigint IS NULL THEN event_until ELSE at_us(%(until)s) END,
          live_seq = %(live)s, journal_seq = %(seq)s, journal_head = %(head)s WHERE id = %(stream)s
        """,
        {
            "until": None if until == NEVER else until,
            "live": live_seq,
            "seq": chain.seq,
            "head": chain.head,
            "stream": work.claim.stream,
        },
    )
    if work.pack:
        _save_pack(connection, work, ticked, live_seq, now)
    return Committed(ticked, live_seq)


def _happenings(rules: StreamRules, transitions: Transitions) -> list[Happening]:
    table = rules.table
    return [
        Happening(
            at=at,
            kind=_KIND_OF_CHANGE[change],
            rule=int(table.rule[row]),
            point=int(table.point[row]),
            priority=rules.priority[row],
            value=None if value != value else value,  # noqa: PLR0124  # NaN: no reading decided
            limit=rules.limit_of(row),
            latch=bool(table.latch[row]),
        )
        for row, change, at, value in zip(
            transitions.row.tolist(),
            transitions.change.tolist(),
            transitions.at.tolist(),
            transitions.value.tolist(),
            strict=True,
        )
    ]


def _notices(connection: Connection, work: Work, now: int) -> list[Happening]:
    # They say that something has happened, not that it lasts: raised and cleared at once, open until acknowledged.
    if not work.notices:
        return []
    rules = system_rules(connection)
    happenings: list[Happening] = []
    for key, subject in dict.fromkeys(work.notices):
        rule, priority = rules[key]
        happenings += [
            Happening(at=now, kind=kind, rule=rule, priority=priority, subject=subject)
            for kind in ("raised", "cleared")
        ]
    return happenings


def _save_events(connection: Connection, work: Work) -> None:
    if not work.events:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO event (stream_id, device, kind, ts, body, body_sha256)
            VALUES (%s, %s, %s, at_us(%s), %s, sha256(%s)) ON CONFLICT DO NOTHING
            """,
            [
                (work.claim.stream, event.device, event.kind, event.time, Jsonb(event.body), cbor.encode(event.body))
                for event in work.events
            ],
        )


def _save_losses(connection: Connection, work: Work) -> None:
    with connection.cursor() as cursor:
        if work.gaps:
            cursor.executemany(
                """
                INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, n, reason)
                VALUES (%s, %s, %s, %s, %s, at_us(%s), at_us(%s), %s, %s)
                """,
                [
                    (
                        work.gateway,
                        gap.epoch,
                        gap.lane,
                        gap.from_seq,
                        gap.to_seq,
                        gap.from_ts,
                        gap.to_ts,
                        gap.n,
                        gap.reason,
                    )
                    for gap in work.gaps
                ],
            )
        if work.letters:
            cursor.executemany(
                """
                INSERT INTO dead_letter (stream_id, epoch, lane, seq, reason, payload) VALUES (%s, %s, %s, %s, %s, %s)
                """,
                [
                    (work.claim.stream, letter.epoch, letter.lane, letter.seq, letter.reason, letter.payload)
                    for letter in work.letters
                ],
            )
        if work.tried:
            cursor.executemany(
                "DELETE FROM attempt WHERE stream_id = %s AND sha256 = %s",
                [(work.claim.stream, sha256) for sha256 in work.tried],
            )
    for epoch, lane, seq in work.filled:
        _shrink_gap(connection, work.gateway, epoch, lane, seq)


def _shrink_gap(connection: Connection, gateway: int, epoch: bytes, lane: Lane, seq: int) -> None:
    connection.execute(
        """
        WITH found AS (
          DELETE FROM gap WHERE gateway_id = %(gateway)s AND epoch = %(epoch)s AND lane = %(lane)s
            AND %(seq)s BETWEEN from_seq AND to_seq RETURNING *
        )
        INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, n, reason, recorded_at)
        SELECT gateway_id, epoch, lane, part.first, part.last, from_ts, to_ts, NULL, reason, recorded_at
        FROM found, LATERAL (VALUES (from_seq, %(seq)s - 1), (%(seq)s + 1, to_seq)) AS part(first, last)
        WHERE part.first <= part.last
        """,
        {"gateway": gateway, "epoch": epoch, "lane": lane, "seq": seq},
    )


def _move_marks(connection: Connection, work: Work) -> None:
    for move in work.moves:
        if move.before == 0:
            connection.execute(
                "INSERT INTO lane (gateway_id, epoch, lane) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (work.gateway, move.epoch, move.lane),
            )
        moved = connection.execute(
            """
            UPDATE lane SET mark = %s, head = %s, committed_at = now(),
              until = greatest(until, at_us(%s))
            WHERE gateway_id = %s AND epoch = %s AND lane = %s AND mark = %s
            """,
            (move.mark, move.head, move.until, work.gateway, move.epoch, move.lane, move.before),
        ).rowcount
        if moved != 1:
            raise OwnershipLost(
                f"mark of lane {move.lane} is not {move.before}: somebody else committed for this gateway"
            )


def _save_pack(connection: Connection, work: Work, ticked: Ticked, live_seq: int, now: int) -> None:
    image = Image(work.image.point, work.image.time.copy(), work.image.value.copy(), work.image.quality.copy())
    image.show(ticked.shown)
    connection.execute(
        """
        INSERT INTO latest_pack (stream_id, packed, live_seq, at) VALUES (%s, %s, %s, at_us(%s))
        ON CONFLICT (stream_id) DO UPDATE SET packed = EXCLUDED.packed, live_seq = EXCLUDED.live_seq, at = EXCLUDED.at
        """,
        (work.claim.stream, pack_image(image), live_seq, now),
    )


def count_attempt(connection: Connection, stream: int, sha256: bytes, reason: str) -> int:
    """Commit that a batch is about to be tried alone; returns how often it was before. A worker's death counts too."""
    with database_errors(), connection.transaction():
        row = connection.execute(
            """
            INSERT INTO attempt (stream_id, sha256, failures, reason) VALUES (%s, %s, 1, %s)
            ON CONFLICT (stream_id, sha256) DO UPDATE SET failures = attempt.failures + 1, reason = EXCLUDED.reason
            RETURNING failures - 1
            """,
            (stream, sha256, reason),
        ).fetchone()
    return 0 if row is None else int(row[0])
