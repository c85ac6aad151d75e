"""Alarms as reports count them."""

from typing import Final

from park_platform.storage.connect import Connection
from park_platform.storage.history import QueryTooLarge
from park_platform.storage.scope import Scope
from park_sdk.report import AlarmView

MOST_ALARMS: Final = 100_000


def raised_alarms(
    connection: Connection, scope: Scope, start: int, end: int, enterprise: str | None
) -> list[AlarmView]:
    """Visible alarms that were raised in [start, end), µs UTC, the oldest first. Runs inside `scoped`.

    `enterprise`: only those on its points. Raises QueryTooLarge.
    """
    rows = connection.execute(
        """
        SELECT r.key, x.priority, a.key, us_of(x.raised_at), us_of(x.acked_at), us_of(x.closed_at)
        FROM alarm x JOIN rule r ON r.id = x.rule_id LEFT JOIN point p ON p.id = x.point_id
        LEFT JOIN asset a ON a.id = p.asset_id LEFT JOIN enterprise e ON e.id = a.enterprise_id
        WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s))
          AND (%(enterprise)s::text IS NULL OR e.key = %(enterprise)s)
          AND x.raised_at >= at_us(%(start)s) AND x.raised_at < at_us(%(end)s)
        ORDER BY x.raised_at, x.id LIMIT %(limit)s
        """,
        {**scope.parameters(), "enterprise": enterprise, "start": start, "end": end, "limit": MOST_ALARMS + 1},
    ).fetchall()
    if len(rows) > MOST_ALARMS:
        raise QueryTooLarge(f"more than {MOST_ALARMS} alarms were raised in this time: ask for a shorter one")
    return [AlarmView(*row) for row in rows]
