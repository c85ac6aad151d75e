"""The park as people see it - its plan, its enterprises, its assets - and the devices that gateways read in it."""

from dataclasses import dataclass
from typing import TypeAlias

from park_platform.storage.connect import Connection
from park_platform.storage.scope import Scope
from park_wire.quantities import Text

Place: TypeAlias = tuple[float, float]
"""Longitude and latitude, WGS-84."""


@dataclass(frozen=True, slots=True)
class ParkRow:
    """The park itself. `id` is None before park.toml was applied for the first time."""

    id: str | None
    name: Text
    time_zone: str


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """A zone; `outline` holds its corners and is empty when nobody drew it."""

    key: str
    name: Text
    outline: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class AssetRow:
    """An asset with the keys of its zone, its owner and the asset that feeds it, as far as they are visible."""

    key: str
    kind: str
    name: Text
    zone: str | None
    enterprise: str | None
    at: Place | None
    fed_from: str | None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device of a gateway: the asset that park.toml gives it to, and the ids of the points that are read of it."""

    gateway: str
    device: str
    asset: str | None
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FencedRow:
    """A derivation that raised on a stream and is computed no more there."""

    system: str
    derivation: str
    stream: str
    reason: str


def park_row(connection: Connection) -> ParkRow:
    """The park's name and time zone."""
    row = connection.execute("SELECT park_key, name_zh, name_en, time_zone FROM installation").fetchone()
    key, zh, en, zone = row or (None, None, None, "Asia/Shanghai")
    return ParkRow(key, Text(zh or "", en or ""), zone)


def enterprise_names(connection: Connection, scope: Scope) -> dict[str, Text]:
    """The names of the visible enterprises, by key."""
    rows = connection.execute(
        "SELECT key, name_zh, name_en FROM enterprise WHERE %(park)s OR id = ANY(%(tenants)s) ORDER BY key",
        scope.parameters(),
    ).fetchall()
    return {key: Text(zh, en) for key, zh, en in rows}


def zones(connection: Connection, scope: Scope) -> list[ZoneRow]:
    """Zones by key; for a narrower scope than the park's those in which a visible asset stands."""
    rows = connection.execute(
        """
        SELECT z.key, z.name_zh, z.name_en, z.outline FROM zone z
        WHERE %(park)s OR EXISTS (SELECT FROM asset a WHERE a.zone_id = z.id AND a.enterprise_id = ANY(%(tenants)s))
        ORDER BY z.key
        """,
        scope.parameters(),
    ).fetchall()
    return [ZoneRow(key, Text(zh, en), tuple((x, y) for x, y in outline)) for key, zh, en, outline in rows]


def assets(connection: Connection, scope: Scope) -> list[AssetRow]:
    """Visible assets, by key. Runs inside `scoped`."""
    rows = connection.execute(
        """
        SELECT a.key, a.kind, a.name_zh, a.name_en, z.key, e.key, a.longitude, a.latitude, up.key
        FROM asset a LEFT JOIN zone z ON z.id = a.zone_id LEFT JOIN enterprise e ON e.id = a.enterprise_id
        LEFT JOIN asset up ON up.id = a.fed_from_id AND (%(park)s OR up.enterprise_id = ANY(%(tenants)s))
        WHERE %(park)s OR a.enterprise_id = ANY(%(tenants)s) ORDER BY a.key
        """,
        scope.parameters(),
    ).fetchall()
    return [
        AssetRow(key, kind, Text(zh, en), zone, owner, None if x is None or y is None else (x, y), fed_from)
        for key, kind, zh, en, zone, owner, x, y, fed_from in rows
    ]


def devices(connection: Connection, *, assigned: bool | None, after: tuple[str, str], limit: int) -> list[DeviceRow]:
    """Devices by gateway and id, those after (gateway, device). For the whole park's scope only.

    A device is known from its points or because park.toml gives it to an asset; `assigned` asks for those that it does
    or does not give to one. Points that are read no more don't count, and derived points belong to no device.
    """
    rows = connection.execute(
        """
        SELECT * FROM (
          SELECT COALESCE(g.key, s.name) AS gateway, COALESCE(r.device, d.key) AS device, a.key AS asset,
                 COALESCE(r.points, '{}') AS points
          FROM (SELECT p.stream_id, p.device, array_agg(p.id ORDER BY p.id) AS points FROM point p
                WHERE p.gone_at IS NULL AND p.derivation IS NULL GROUP BY p.stream_id, p.device) AS r
          FULL JOIN device d ON d.stream_id = r.stream_id AND d.key = r.device
          JOIN stream s ON s.id = COALESCE(r.stream_id, d.stream_id) LEFT JOIN gateway g ON g.stream_id = s.id
          LEFT JOIN asset a ON a.id = d.asset_id
        ) AS found
        WHERE (%(assigned)s::boolean IS NULL OR (asset IS NOT NULL) = %(assigned)s)
          AND (gateway, device) > (%(gateway)s, %(device)s)
        ORDER BY gateway, device LIMIT %(limit)s
        """,
        {"assigned": assigned, "gateway": after[0], "device": after[1], "limit": limit},
    ).fetchall()
    return [DeviceRow(gateway, device, asset, tuple(points)) for gateway, device, asset, points in rows]


def fenced_derivations(connection: Connection) -> list[FencedRow]:
    """Every derivation that is fenced, by system."""
    rows = connection.execute(
        """
        SELECT f.system, f.derivation, s.name, f.reason
        FROM derivation_fault f JOIN stream s ON s.id = f.stream_id ORDER BY f.system, f.derivation, s.name
        """
    ).fetchall()
    return [FencedRow(*row) for row in rows]
