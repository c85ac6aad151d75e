"""Registers (台账) as derivations and reports read them, and the rows that a system brings along."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.register_changes import Act, RowContent, add_row, enterprise_ids
from park_platform.storage.register_rows import Place
from park_sdk.register import Register, Row
from park_sdk.register_form import key_text, key_words, plain, read_stored
from park_sdk.system import System
from park_wire.errors import ConfigError, Fault

SYSTEM_ACTOR: Final = "system"


def rows_in_force(
    connection: Connection, systems: Mapping[str, System], names: Iterable[str], at: int
) -> tuple[dict[str, tuple[Row, ...]], list[str]]:
    """The rows in force at a time, by "system.register", and what is wrong with those that are left out, as sentences.

    Args:
        connection: As ingest, operate or report, which see every row; as api what the scope of its transaction shows.
        systems: Those whose registers are asked for, by id. A register that none of them has gives no rows.
        names: Registers as "system.register".
        at: µs UTC. In force is the version that was recorded last among those that are valid by then.
    """
    found: dict[str, list[Row]] = {name: [] for name in names}
    registers = {f"{system.id}.{register.id}": register for system in systems.values() for register in system.registers}
    faults: list[str] = []
    with database_errors():
        rows = connection.execute(
            """
            SELECT r.system || '.' || r.register, r.key, v.record, v.state, us_of(v.valid_from), us_of(v.recorded_at),
                   e.key
            FROM register_row r JOIN LATERAL (
              SELECT * FROM register_version w WHERE w.row_id = r.id AND w.valid_from <= at_us(%(at)s)
              ORDER BY w.version DESC LIMIT 1
            ) v ON NOT v.deleted LEFT JOIN enterprise e ON e.id = v.enterprise_id
            WHERE (r.system, r.register) IN (SELECT * FROM unnest(%(systems)s::text[], %(registers)s::text[]))
            ORDER BY r.id
            """,
            {
                "at": at,
                "systems": [name.partition(".")[0] for name in found if name in registers],
                "registers": [name.partition(".")[2] for name in found if name in registers],
            },
        ).fetchall()
    for name, key, record, state, valid_from, recorded_at, enterprise in rows:
        read, wrong = read_stored(registers[name], record)
        faults += [f"{name}, {key_words(key)}: {fault.field or 'row'}: {fault.message.en}" for fault in wrong]
        if read is not None:
            found[name].append(Row(read, state, valid_from, recorded_at, enterprise))
    return {name: tuple(rows) for name, rows in found.items()}, faults


def seed_first(connection: Connection, system: System) -> int:
    """Add the rows that a system brings along, each once; returns how many are new. They are valid from 1970 on.

    A row that people have changed or deleted stays as they left it. Raises ConfigError for rows of an enterprise that
    the park does not have.
    """
    with database_errors(), connection.transaction():
        return sum(
            seed_rows(connection, system.id, register, [plain(record) for record in register.first], SYSTEM_ACTOR)
            for register in system.registers
        )


def seed_rows(
    connection: Connection, system: str, register: Register, records: Sequence[Mapping[str, Any]], actor: str
) -> int:
    """Add those of these records (as JSON has them) whose key the register never had; returns how many.

    Runs inside the caller's transaction. Raises ConfigError for rows of an enterprise that the park does not have.
    """
    enterprises = enterprise_ids(connection)
    owners = [None if register.enterprise is None else record.get(register.enterprise) for record in records]
    if foreign := sorted({str(owner) for owner in owners if owner is not None and owner not in enterprises}):
        key, problem = f"register.{register.id}", f"brings rows of {', '.join(foreign)}"
        raise ConfigError([Fault(system, key, problem, "no such enterprise is in the park")])
    place = Place(system, register.id)
    known = _keys(connection, place) if records else set[str]()
    state = register.states[0][0] if register.states else None
    added = 0
    for record, owner in zip(records, owners, strict=True):
        key = key_text(register, record)
        if key not in known:
            row = RowContent(key, dict(record), None if owner is None else enterprises[owner], state)
            added += add_row(connection, place, row, Act(actor, None, 0)) is not None
    return added


def _keys(connection: Connection, place: Place) -> set[str]:
    rows = connection.execute(
        "SELECT key FROM register_row WHERE system = %s AND register = %s", (place.system, place.register)
    ).fetchall()
    return {key for (key,) in rows}
