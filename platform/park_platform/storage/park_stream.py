"""The `park` stream: what its derivations read (minutes, events), how far each has got, and what is computed again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.replaced import replace_readings
from park_platform.storage.workers import Claim, lock_streams
from park_sdk.derivation import Figure
from park_sdk.frame import Frame, Int32s
from park_wire.errors import StoreError

_MOST_AGAIN_US: Final = 86_400_000_000

_COLUMN: Final[dict[Figure, LiteralString]] = {
    Figure.MEAN: "mean",
    Figure.LOW: "min",
    Figure.HIGH: "max",
    Figure.LAST: "last",
    Figure.CONSUMPTION: "consumption",
}


def claim_park_stream(connection: Connection, worker: UUID) -> Claim:
    """Take the park stream. Only for who holds the operate lock; whoever had it before can commit no more.

    Raises StoreError when there is none.
    """
    row = connection.execute(
        "UPDATE stream SET owner = %s, term = term + 1 WHERE name = 'park' RETURNING id, term", (worker,)
    ).fetchone()
    if row is None:
        raise StoreError("the database has no stream 'park': run `park db migrate`")
    return Claim(row[0], worker, row[1])


def config_seq(connection: Connection) -> int:
    """How often points, assets or rules were changed so far."""
    row = connection.execute("SELECT config_seq FROM installation").fetchone()
    return -1 if row is None else row[0]


def rolled_until(connection: Connection, now: int, patience: int) -> int | None:
    """Up to which time (µs) the minutes of all gateways are there; None before the first minute.

    A gateway is waited for `patience` µs: what it brings later is computed again.
    """
    row = connection.execute(
        """
        SELECT us_of(min(GREATEST(p.done, at_us(%(late)s)))) FROM stream s
        JOIN rollup_progress p ON p.stream_id = s.id AND p.done > '-infinity' WHERE s.kind <> 'park'
        """,
        {"late": now - patience},
    ).fetchone()
    return None if row is None else row[0]


def first_minute(connection: Connection, points: Int32s) -> int | None:
    """The first minute (µs) that any of these points has."""
    row = connection.execute(
        """
        SELECT us_of(min(f.bucket)) FROM unnest(%s::int[]) AS p(id)
        CROSS JOIN LATERAL (SELECT bucket FROM rollup_1m r WHERE r.point_id = p.id ORDER BY bucket LIMIT 1) AS f
        """,
        (points.tolist(),),
    ).fetchone()
    return None if row is None else row[0]


@dataclass(frozen=True, slots=True)
class MinuteRows:
    """Minutes as they are stored: point i32, bucket i64 (µs), value f64 (NaN: none), covered f64 (s)."""

    point: Int32s
    bucket: NDArray[np.int64]
    value: NDArray[np.float64]
    covered: NDArray[np.float64]


def read_minutes(connection: Connection, points: Int32s, figure: Figure, start: int, end: int) -> MinuteRows:
    """The minutes of these points in [start, end) (µs)."""
    column = _COLUMN[figure]
    columns = read_columns(
        connection,
        "SELECT point_id, bucket, COALESCE("  # noqa: S608 - the column is one of five literals
        + column
        + """, 'NaN') AS value, good_seconds FROM rollup_1m
        WHERE point_id = ANY(%(points)s) AND bucket >= at_us(%(start)s) AND bucket < at_us(%(end)s)
        """,
        {"points": points.tolist(), "start": start, "end": end},
        {"point_id": "i4", "bucket": "time", "value": "f8", "good_seconds": "f8"},
    )
    return MinuteRows(columns["point_id"], columns["bucket"], columns["value"], columns["good_seconds"])


def read_events(connection: Connection, kind: str, start: int, end: int) -> list[tuple[str, int, Mapping[str, Any]]]:
    """Events of a kind in (start, end] (µs): asset, time, body, in order of time."""
    return connection.execute(
        """
        SELECT a.key, us_of(e.ts), e.body FROM event e
        JOIN device d ON d.stream_id = e.stream_id AND d.key = e.device JOIN asset a ON a.id = d.asset_id
        WHERE e.kind = %s AND e.ts > at_us(%s) AND e.ts <= at_us(%s) ORDER BY e.ts, e.id
        """,
        (kind, start, end),
    ).fetchall()


def derived_until(connection: Connection) -> dict[tuple[str, str], int]:
    """How far each derivation has got, µs, by system and derivation."""
    rows = connection.execute("SELECT system, derivation, us_of(done) FROM derived_until").fetchall()
    return {(system, derivation): done for system, derivation, done in rows}


def save_derived_until(connection: Connection, done: Mapping[tuple[str, str], int]) -> None:
    """Keep how far derivations have got."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO derived_until (system, derivation, done) VALUES (%s, %s, at_us(%s))
            ON CONFLICT (system, derivation) DO UPDATE SET done = EXCLUDED.done
            """,
            [(*key, until) for key, until in done.items()],
        )


@dataclass(frozen=True, slots=True)
class Again:
    """Minutes [start, end) (µs) that changed after they were used; `ids`: the rows that say so."""

    ids: tuple[int, ...]
    start: int
    end: int


def changed_minutes(connection: Connection) -> Again | None:
    """The oldest stretch of minutes that changed, if any did: about a day of it at most."""
    found: Again | None = None
    for number, start, end in connection.execute(
        "SELECT id, us_of(from_ts), us_of(to_ts) FROM derive_again ORDER BY from_ts, to_ts"
    ):
        if found is None:
            found = Again((number,), start, end)
        elif start <= found.end and start < found.start + _MOST_AGAIN_US:
            found = Again((*found.ids, number), found.start, max(found.end, end))
        else:
            break
    return found


def forget_changed(connection: Connection, again: Again) -> None:
    """What depends on these minutes was computed again."""
    connection.execute("DELETE FROM derive_again WHERE id = ANY(%s)", (list(again.ids),))


def replace_derived(
    connection: Connection, claim: Claim, incarnation: UUID, points: Int32s, span: tuple[int, int], frame: Frame
) -> None:
    """Let derived readings be all that the points have in span, (after, until] in µs, in one transaction.

    Raises OwnershipLost when the park stream belongs to somebody else now.
    """
    with database_errors(), connection.transaction():
        lock_streams(connection, [claim], incarnation)
        replace_readings(connection, claim.stream, points, span, frame)
