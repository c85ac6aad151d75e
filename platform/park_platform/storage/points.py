"""Points as people see them: with their asset and owner, filtered, and only those that a scope shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from park_platform.storage.connect import Connection
from park_platform.storage.scope import Scope
from park_sdk.page import Points
from park_wire.quantities import Text


@dataclass(frozen=True, slots=True)
class Named:
    """Something with a key and a name in both languages."""

    key: str
    name: Text


@dataclass(frozen=True, slots=True)
class AssetOfPoint:
    """The asset that a point belongs to, and who owns it (None: the park itself)."""

    key: str
    kind: str
    name: Text
    owner: Named | None


@dataclass(frozen=True, slots=True)
class PointRow:
    """A point. Its values are in `unit`; times in ms."""

    id: int
    stream: str
    gateway: str | None
    device: str
    name: str
    quantity: str
    unit: str
    low: float
    high: float
    period_ms: int
    max_age_ms: int
    asset: AssetOfPoint | None

    @property
    def key(self) -> str:
        """`gateway/device/name`, as rules in park.toml name it."""
        return f"{self.gateway or self.stream}/{self.device}/{self.name}"


@dataclass(frozen=True, slots=True)
class PointFilter:
    """Which points are asked for; every given field must match. `text` is looked for in keys and names."""

    ids: Sequence[int] | None = None
    asset: str | None = None
    quantity: str | None = None
    enterprise: str | None = None
    text: str | None = None

    def of(self, ids: Sequence[int] | None) -> "PointFilter":
        """The same, of these points only."""
        return replace(self, ids=ids)

    def parameters(self) -> dict[str, Any]:
        """The parameters of `_MATCH`."""
        escaped = None if self.text is None else self.text.translate({ord(c): f"\\{c}" for c in "\\%_"})
        return {
            "ids": None if self.ids is None else list(self.ids),
            "asset": self.asset,
            "quantity": self.quantity,
            "enterprise": self.enterprise,
            "pattern": None if escaped is None else f"%{escaped}%",
        }


_FROM: Final = """
    FROM point p JOIN stream s ON s.id = p.stream_id LEFT JOIN gateway g ON g.stream_id = s.id
    LEFT JOIN asset a ON a.id = p.asset_id LEFT JOIN enterprise e ON e.id = a.enterprise_id
    WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s))
"""
_MATCH: Final = """
      AND (%(ids)s::int[] IS NULL OR p.id = ANY(%(ids)s))
      AND (%(asset)s::text IS NULL OR a.key = %(asset)s)
      AND (%(quantity)s::text IS NULL OR p.quantity = %(quantity)s)
      AND (%(enterprise)s::text IS NULL OR e.key = %(enterprise)s)
      AND (%(pattern)s::text IS NULL OR p.device ILIKE %(pattern)s OR p.name ILIKE %(pattern)s
           OR p.quantity ILIKE %(pattern)s OR a.key ILIKE %(pattern)s OR a.name_zh ILIKE %(pattern)s
           OR a.name_en ILIKE %(pattern)s)
"""
_SELECTED: Final = """
      AND p.gone_at IS NULL
      AND (%(quantities)s::text[] = '{}' OR p.quantity = ANY(%(quantities)s))
      AND (%(kinds)s::text[] = '{}' OR a.kind = ANY(%(kinds)s))
      AND (%(names)s::text[] = '{}' OR p.name = ANY(%(names)s))
      AND (%(keys)s::text[] = '{}' OR COALESCE(g.key, s.name) || '/' || p.device || '/' || p.name = ANY(%(keys)s))
    ORDER BY a.key, p.device, p.name, p.id LIMIT %(limit)s
"""
_COLUMNS: Final = """
    SELECT p.id, s.name, g.key, p.device, p.name, p.quantity, p.unit, p.low, p.high, p.period_ms, p.max_age_ms,
           a.key, a.kind, a.name_zh, a.name_en, e.key, e.name_zh, e.name_en
"""


def points(connection: Connection, scope: Scope, asked: PointFilter, *, after: int, limit: int) -> list[PointRow]:
    """Visible points that match, by id, those with an id above `after`. Runs inside `scoped`."""
    rows = connection.execute(
        _COLUMNS + _FROM + _MATCH + "AND p.id > %(after)s ORDER BY p.id LIMIT %(limit)s",
        {**scope.parameters(), **asked.parameters(), "after": after, "limit": limit},
    ).fetchall()
    return [_point(row) for row in rows]


def selected_points(connection: Connection, scope: Scope, asked: Points, limit: int) -> list[PointRow]:
    """Visible points that match every given field of a page's selector, by asset and key. Runs inside `scoped`.

    Points that are read no more are left out.
    """
    rows = connection.execute(
        _COLUMNS + _FROM + _SELECTED,
        {
            **scope.parameters(),
            "quantities": list(asked.quantities),
            "kinds": list(asked.kinds),
            "keys": list(asked.keys),
            "names": list(asked.names),
            "limit": limit,
        },
    ).fetchall()
    return [_point(row) for row in rows]


def visible_ids(connection: Connection, scope: Scope) -> list[int]:
    """The ids of every visible point, ascending. Runs inside `scoped`."""
    rows = connection.execute("SELECT p.id" + _FROM + "ORDER BY p.id", scope.parameters()).fetchall()
    return [number for (number,) in rows]


def point_ids(connection: Connection, streams: Sequence[str] | None) -> list[int]:
    """The ids of the points of these streams (None: of all), ascending. For the whole park's scope only."""
    rows = connection.execute(
        """
        SELECT p.id FROM point p JOIN stream s ON s.id = p.stream_id
        WHERE %(streams)s::text[] IS NULL OR s.name = ANY(%(streams)s) ORDER BY p.id
        """,
        {"streams": None if streams is None else list(streams)},
    ).fetchall()
    return [number for (number,) in rows]


def config_seq(connection: Connection) -> int:
    """A number that grows with every change of points, assets or rules."""
    row = connection.execute("SELECT config_seq FROM installation").fetchone()
    return 0 if row is None else row[0]


def _point(row: tuple[Any, ...]) -> PointRow:
    asset, kind, asset_zh, asset_en, owner, owner_zh, owner_en = row[11:]
    owned_by = None if owner is None else Named(owner, Text(owner_zh, owner_en))
    of_asset = None if asset is None else AssetOfPoint(asset, kind, Text(asset_zh, asset_en), owned_by)
    return PointRow(*row[:11], asset=of_asset)
