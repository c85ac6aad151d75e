"""Putting park.toml into the database: what would change, and changing it. The database is the truth at run time."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, LiteralString, TypeAlias

from psycopg import sql
from psycopg.types.json import Jsonb

from park_platform.park_model import Asset, NamedPart, ParkFile, PersonPart, ZonePart
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.people import add_person, grant_access
from park_platform.storage.registers import seed_first, seed_rows
from park_platform.systems import enable
from park_sdk.alarm_rule import AlarmRule
from park_sdk.system import System
from park_wire.errors import ConfigError

_NONE: Final[Mapping[str, System]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One thing that differs between file and database. `kept`: only the database has it, and keeps it.

    `remove`: a system that the file no longer names; its rules and derivations rest, what they made stays.
    """

    action: Literal["add", "change", "kept", "remove"]
    kind: str
    key: str
    fields: tuple[str, ...] = ()


_Row: TypeAlias = dict[str, Any]
_RULE_COLUMNS: Final = (
    *("kind", "name_zh", "name_en", "on_quantity", "on_asset_kind", "on_asset", "on_point", "limit_value"),
    *("limit_design", "deadband", "on_delay_ms", "off_delay_ms", "latch", "priority", "cause", "consequence"),
    *("action", "respond_s", "source", "enabled", "system"),
)
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "enterprise": ("name_zh", "name_en"),
    "system": ("settings",),
    "zone": ("name_zh", "name_en", "outline"),
    "asset": ("kind", "name_zh", "name_en", "enterprise", "zone", "design", "longitude", "latitude"),
    # Apart from the assets, because it is one: whichever of the two comes first in the file.
    "feed": ("fed_from",),
    "gateway": ("name_zh", "name_en"),
    "rule": _RULE_COLUMNS,
    "device": ("asset",),
    "person": (),
}
# How each kind is read; foreign keys appear by the other's key.
_SELECTS: Final[dict[str, LiteralString]] = {
    "enterprise": "SELECT key, name_zh, name_en FROM enterprise",
    "system": "SELECT key, settings FROM system",
    "zone": "SELECT key, name_zh, name_en, outline FROM zone",
    "asset": """
        SELECT a.key, a.kind, a.name_zh, a.name_en, e.key, z.key, a.design, a.longitude, a.latitude FROM asset a
        LEFT JOIN enterprise e ON e.id = a.enterprise_id LEFT JOIN zone z ON z.id = a.zone_id
        """,
    "feed": "SELECT a.key, f.key FROM asset a LEFT JOIN asset f ON f.id = a.fed_from_id",
    "gateway": "SELECT key, name_zh, name_en FROM gateway",
    "device": """
        SELECT g.key || '/' || d.key, a.key FROM device d JOIN gateway g ON g.stream_id = d.stream_id
        LEFT JOIN asset a ON a.id = d.asset_id
        """,
    # People are made from the file and changed by `park user` only.
    "person": "SELECT name FROM person",
}


def plan_park(
    connection: Connection,
    park: ParkFile,
    systems: Mapping[str, System] = _NONE,
    refused: Collection[str] = (),
) -> list[PlanLine]:
    """What `apply_park` would change, and what only the database has. Raises ConfigError for systems that don't fit."""
    lines: list[PlanLine] = []
    with database_errors():
        lines += _plan_installation(connection, park)
        for kind, wanted in _wanted(park, systems).items():
            found = _found(connection, kind)
            for key, row in wanted.items():
                if key not in found:
                    lines.append(PlanLine("add", kind, key))
                elif changed := tuple(name for name in row if found[key][name] != row[name]):
                    lines.append(PlanLine("change", kind, key, changed))
            for key in sorted(found.keys() - wanted.keys()):
                leaves = kind == "system" and key not in refused
                lines.append(PlanLine("remove" if leaves else "kept", kind, key))
    return lines


def apply_park(
    connection: Connection,
    park: ParkFile,
    systems: Mapping[str, System] = _NONE,
    refused: Collection[str] = (),
) -> list[PlanLine]:
    """Make the database hold what the file says, in one transaction; what only the database has stays.

    systems: what is installed. refused: systems whose package can't be used now; their rules watch on as they are.
    Raises ConfigError for systems that don't fit.
    """
    with database_errors(), connection.transaction():
        connection.execute("SELECT FROM installation FOR UPDATE")
        lines = plan_park(connection, park, systems, refused)
        todo = {(line.kind, line.key) for line in lines if line.action != "kept"}
        if not todo:
            return lines
        _save_installation(connection, park)
        for kind, wanted in _wanted(park, systems).items():
            for key, row in wanted.items():
                if (kind, key) in todo and kind in _SAVERS:
                    _SAVERS[kind](connection, key, row)
        for id_ in park.system:
            seed_first(connection, systems[id_])
        _seed_registers(connection, park, systems)
        gone = [line.key for line in lines if line.action == "remove"]
        connection.execute("DELETE FROM system WHERE key = ANY(%s)", (gone,))
        for person in park.person:
            if ("person", person.id) in todo:
                _add_person(connection, person)
        connection.execute(
            """
            UPDATE point p SET asset_id = d.asset_id FROM device d
            WHERE d.stream_id = p.stream_id AND d.key = p.device AND p.asset_id IS DISTINCT FROM d.asset_id
              AND p.system IS NULL
            """
        )
        connection.execute("UPDATE installation SET config_seq = config_seq + 1, rules_seq = rules_seq + 1")
    return lines


def _seed_registers(connection: Connection, park: ParkFile, systems: Mapping[str, System]) -> None:
    for name, part in park.registers.items():
        system, _, id_ = name.partition(".")
        for register in systems[system].registers:
            if register.id == id_:
                seed_rows(connection, system, register, part.rows, "park apply")


def _plan_installation(connection: Connection, park: ParkFile) -> list[PlanLine]:
    row = connection.execute("SELECT park_key, name_zh, name_en, time_zone FROM installation").fetchone()
    wanted = (park.park.id, park.park.name.zh, park.park.name.en, park.park.time_zone)
    if row is None or row[0] is None:
        return [PlanLine("add", "park", park.park.id)]
    names = ("id", "name.zh", "name.en", "time_zone")
    changed = tuple(name for name, found, want in zip(names, row, wanted, strict=True) if found != want)
    return [PlanLine("change", "park", park.park.id, changed)] if changed else []


def _save_installation(connection: Connection, park: ParkFile) -> None:
    connection.execute(
        "UPDATE installation SET park_key = %s, name_zh = %s, name_en = %s, time_zone = %s",
        (park.park.id, park.park.name.zh, park.park.name.en, park.park.time_zone),
    )
    connection.execute("INSERT INTO stream (name, kind) VALUES ('park', 'park') ON CONFLICT (name) DO NOTHING")


def _found(connection: Connection, kind: str) -> dict[str, _Row]:
    if kind == "rule":
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in _RULE_COLUMNS)
        query = sql.SQL("SELECT key, {} FROM rule WHERE kind <> 'SYSTEM'").format(columns)
    else:
        query = sql.SQL(_SELECTS[kind])
    return {row[0]: dict(zip(_COLUMNS[kind], row[1:], strict=True)) for row in connection.execute(query)}


def _wanted(park: ParkFile, systems: Mapping[str, System]) -> dict[str, dict[str, _Row]]:
    enabled, faults = enable(systems, park.system, "park.toml")
    if faults:
        raise ConfigError(faults)
    rules = {item.id: _rule_row(item, None) for item in park.rule}
    for each in enabled.values():
        rules |= {f"{each.system.id}-{item.id}": _rule_row(item, each.system.id) for item in each.rules}
    # In the order in which they refer to each other.
    return {
        "system": {id_: {"settings": settings} for id_, settings in park.system.items()},
        "enterprise": {item.id: _names(item) for item in park.enterprise},
        "zone": {item.id: {**_names(item), "outline": [list(corner) for corner in item.outline]} for item in park.zone},
        "asset": {item.id: _asset_row(item) for item in park.asset},
        "feed": {item.id: {"fed_from": item.fed_from} for item in park.asset},
        "gateway": {item.id: _names(item) for item in park.gateway},
        "device": {device: {"asset": item.id} for item in park.asset for device in item.devices},
        "rule": rules,
        "person": {item.id: {} for item in park.person},
    }


def _names(item: NamedPart | ZonePart | Asset | AlarmRule) -> _Row:
    return {"name_zh": item.name.zh, "name_en": item.name.en}


def _asset_row(item: Asset) -> _Row:
    return {
        "kind": item.kind,
        **_names(item),
        "enterprise": item.enterprise,
        "zone": item.zone,
        "design": dict(item.design),
        "longitude": None if item.at is None else item.at[0],
        "latitude": None if item.at is None else item.at[1],
    }


def _rule_row(item: AlarmRule, system: str | None) -> _Row:
    design = item.design_limit
    return {
        "kind": item.kind,
        **_names(item),
        "on_quantity": item.on.quantity,
        "on_asset_kind": item.on.asset_kind,
        "on_asset": item.on.asset,
        "on_point": item.on.point,
        "limit_value": item.limit if design is None else design.times,
        "limit_design": None if design is None else design.quantity,
        "deadband": item.deadband,
        "on_delay_ms": round(item.on_delay_s * 1_000),
        "off_delay_ms": round(item.off_delay_s * 1_000),
        "latch": item.latch,
        "priority": item.priority,
        "cause": asdict(item.cause),
        "consequence": asdict(item.consequence),
        "action": asdict(item.action),
        "respond_s": item.respond_s,
        "source": item.source,
        "enabled": item.enabled,
        "system": system,
    }


def _save_plain(table: str) -> Callable[[Connection, str, _Row], None]:
    def save(connection: Connection, key: str, row: _Row) -> None:
        _upsert(connection, table, key, row)

    return save


def _upsert(connection: Connection, table: str, key: str, row: _Row) -> None:
    columns = list(row)
    query = sql.SQL(
        """
        INSERT INTO {table} (key, {columns}) VALUES (%s, {values})
        ON CONFLICT (key) DO UPDATE SET {sets}
        """
    ).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(sql.Identifier(name) for name in columns),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in columns),
        sets=sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in columns),
    )
    values = [Jsonb(value) if isinstance(value, dict | list) else value for value in row.values()]
    connection.execute(query, (key, *values))


def _id_of(connection: Connection, table: str, key: str | None) -> int | None:
    if key is None:
        return None
    query = sql.SQL("SELECT id FROM {} WHERE key = %s").format(sql.Identifier(table))
    row = connection.execute(query, (key,)).fetchone()
    return None if row is None else row[0]


def _save_asset(connection: Connection, key: str, row: _Row) -> None:
    plain = {name: value for name, value in row.items() if name not in {"enterprise", "zone"}}
    plain["enterprise_id"] = _id_of(connection, "enterprise", row["enterprise"])
    plain["zone_id"] = _id_of(connection, "zone", row["zone"])
    _upsert(connection, "asset", key, plain)


def _save_feed(connection: Connection, key: str, row: _Row) -> None:
    connection.execute(
        "UPDATE asset SET fed_from_id = %s WHERE key = %s", (_id_of(connection, "asset", row["fed_from"]), key)
    )


def _save_gateway(connection: Connection, key: str, row: _Row) -> None:
    # No row that exists is locked without need: an intake that holds it may wait for what is locked here.
    connection.execute(
        "INSERT INTO stream (name, kind) VALUES (%s, 'gateway') ON CONFLICT (name) DO NOTHING", (f"gw-{key}",)
    )
    stream = connection.execute("SELECT id FROM stream WHERE name = %s", (f"gw-{key}",)).fetchone()
    _upsert(connection, "gateway", key, {**row, "stream_id": stream and stream[0]})


def _save_device(connection: Connection, key: str, row: _Row) -> None:
    gateway, _, device = key.partition("/")
    connection.execute(
        """
        INSERT INTO device (stream_id, key, asset_id)
        SELECT g.stream_id, %s, a.id FROM gateway g, asset a WHERE g.key = %s AND a.key = %s
        ON CONFLICT (stream_id, key) DO UPDATE SET asset_id = EXCLUDED.asset_id
        """,
        (device, gateway, row["asset"]),
    )


def _add_person(connection: Connection, person: PersonPart) -> None:
    add_person(
        connection,
        person.id,
        person.role,
        display_zh=person.name.zh,
        display_en=person.name.en,
        enterprise=person.enterprise,
        actor="park apply",
    )
    for enterprise in person.may_read:
        grant_access(connection, person.id, enterprise, person.grant_days, actor="park apply")


_SAVERS: Final[Mapping[str, Callable[[Connection, str, _Row], None]]] = {
    "enterprise": _save_plain("enterprise"),
    "system": _save_plain("system"),
    "zone": _save_plain("zone"),
    "asset": _save_asset,
    "feed": _save_feed,
    "gateway": _save_gateway,
    "device": _save_device,
    "rule": _save_plain("rule"),
}
