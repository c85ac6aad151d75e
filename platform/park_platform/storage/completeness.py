"""How many readings there should be and how many there are, from the one-minute rollup (v0004_counts.sql).

Expected is one reading a period, as the point's birth says, from its first minute to its last, as far as minutes are
rolled up. Received counts readings of every quality, at most those that a minute can have: a burst after a hole does
not make the hole complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_platform.storage.buckets import MINUTE_US
from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.history import QueryTooLarge
from park_sdk.frame import FOREVER, NEVER, Floats, Int64s

MOST_CELLS: Final = 200_000
"""How many points times stretches an answer may have."""
MOST_MINUTES: Final = 20_000_000
"""How many minutes of points may be read for it: about ten seconds."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Of p points in s stretches, f64[p, s] each: readings that should be, that came, and that came with good quality.

    first, last: i64[p, s], µs, the first and the last reading of the stretch that is not bad; NEVER where none is.
    """

    expected: Floats
    received: Floats
    good: Floats
    first: Int64s
    last: Int64s


@dataclass(frozen=True, slots=True)
class Life:
    """When p points were to be read: since, until: i64[p], µs. period: i64[p], µs."""

    since: Int64s
    until: Int64s
    period: Int64s


def expected_readings(life: Life, edges: Int64s) -> Floats:
    """How many readings p points should have between each two edges (i64[s + 1], µs): f64[p, s]."""
    begin = np.maximum(edges[:-1], life.since[:, None])
    end = np.minimum(edges[1:], life.until[:, None])
    return np.floor(np.maximum(end - begin, 0) / life.period[:, None])


def count_readings(connection: Connection, points: Sequence[int], edges: Int64s) -> Counted:
    """Counts in the order of `points`, which the caller has cut down to what may be seen, between edges (µs).

    Edges are whole minutes and ascend. Raises ValueError for edges that are not, and for points that do not exist, and
    QueryTooLarge.
    """
    if len(edges) < 2 or (edges % MINUTE_US).any() or (np.diff(edges) <= 0).any():
        raise ValueError("edges must be whole minutes that ascend, two at least")
    steps, minutes = len(edges) - 1, int(edges[-1] - edges[0]) // MINUTE_US
    if len(points) * steps > MOST_CELLS or len(points) * minutes > MOST_MINUTES:
        raise QueryTooLarge(
            f"{len(points)} points in {steps} stretches of {minutes} minutes are too many: ask for fewer points or a "
            "shorter time"
        )
    with database_errors(), connection.transaction():
        life = _life(connection, points)
        most = -(-MINUTE_US // life.period)
        rows = read_columns(
            connection,
            """
            SELECT point_id, slot, received, good, COALESCE(first_ts, 'epoch') AS first,
                   COALESCE(last_ts, 'epoch') AS last
            FROM counts_of(%(points)s, %(most)s, ARRAY(SELECT at_us(e) FROM unnest(%(edges)s::bigint[]) AS e))
            """,
            {"points": list(points), "most": most.tolist(), "edges": edges.tolist()},
            {"point_id": "i4", "slot": "i4", "received": "f8", "good": "f8", "first": "time", "last": "time"},
        )
    place = {point: number for number, point in enumerate(points)}
    row = np.array([place[point] for point in rows["point_id"].tolist()], np.intp)
    shape = (len(points), steps)
    counted = Counted(
        expected_readings(life, edges),
        *np.zeros((2, *shape)),
        first=np.full(shape, NEVER),
        last=np.full(shape, NEVER),
    )
    at = (row, rows["slot"])
    counted.received[at], counted.good[at] = rows["received"], rows["good"]
    # A stretch of bad readings alone has neither.
    counted.first[at] = np.where(rows["first"] == 0, NEVER, rows["first"])
    counted.last[at] = np.where(rows["last"] == 0, NEVER, rows["last"])
    return counted


def _life(connection: Connection, points: Sequence[int]) -> Life:
    found = connection.execute(
        """
        SELECT p.id, COALESCE(us_of(k.since), %(forever)s::bigint),
               COALESCE(us_of(LEAST(NULLIF(g.done, '-infinity'), p.gone_at)), 0), p.period_ms::bigint * 1000
        FROM point p JOIN known_since(%(points)s) k ON k.point_id = p.id
        LEFT JOIN rollup_progress g ON g.stream_id = p.stream_id
        """,
        {"points": list(points), "forever": FOREVER},
    ).fetchall()
    by_id = {row[0]: row[1:] for row in found}
    if missing := set(points) - by_id.keys():
        raise ValueError(f"there are no points {sorted(missing)}")
    columns = np.array([by_id[point] for point in points], np.int64).reshape(-1, 3)
    return Life(columns[:, 0], columns[:, 1], columns[:, 2])
