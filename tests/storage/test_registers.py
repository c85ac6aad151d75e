"""Registers in the database: versions, validity, owners, imports, and what derivations read."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from park_platform.storage.register_changes import (
    ADDED,
    CHANGED,
    DELETED,
    Act,
    RowContent,
    add_row,
    change_row,
)
from park_platform.storage.register_rows import Place, register_rows
from park_platform.storage.registers import rows_in_force, seed_first
from park_platform.storage.scope import WHOLE_PARK, scoped
from park_wire.errors import ConfigError
from support.ledger_store import ACT, HOUR, NOW, PLACE, SYSTEMS, Registers, codes
from support.ledger_system import DEVICES, LEDGER, Device, Factor


def test_a_row_lives_in_versions(registers: Registers) -> None:
    number = registers.add("T-1", "alpha", act=Act("li", "first", NOW))
    changed = registers.content("T-1", "alpha", pressure=2.5)
    assert registers.change(number, 1, replace(changed, state="filed"), Act("of-alpha", None, NOW + HOUR))
    assert registers.change(number, 2, changed, Act("li", "gone", NOW + 2 * HOUR), DELETED)
    assert registers.rows() == []
    newest, middle, first = registers.versions(number)
    assert (newest.version, newest.action, newest.is_deleted, newest.note) == (3, DELETED, True, "gone")
    assert (middle.version, middle.state, middle.actor, middle.record["pressure"]) == (2, "filed", "of-alpha", 2.5)
    assert (first.version, first.action, first.note, first.valid_from, first.enterprise) == (
        *(1, ADDED, "first", NOW, "alpha"),
    )
    assert first.record == registers.content("T-1", "alpha").record
    assert registers.row(number) == newest
    assert first.recorded_at <= middle.recorded_at <= newest.recorded_at


def test_a_key_is_given_once_until_its_row_is_deleted(registers: Registers) -> None:
    number = registers.add("T-1")
    with registers.writing() as connection:
        assert add_row(connection, PLACE, registers.content("T-1"), ACT) is None
    registers.change(number, 1, registers.content("T-1"), action=DELETED)
    assert registers.add("T-1", pressure=9) == number
    assert [(row.version, row.action) for row in registers.versions(number)] == [(3, ADDED), (2, DELETED), (1, ADDED)]
    assert [row.record["pressure"] for row in registers.rows()] == [9]
    with registers.writing() as connection:
        other = Place("ledger", "others")
        assert add_row(connection, other, registers.content("T-1"), ACT) is not None, "in another register"


def test_the_slower_one_is_told(registers: Registers) -> None:
    number = registers.add("T-1")
    assert registers.change(number, 1, registers.content("T-1", pressure=2))
    assert not registers.change(number, 1, registers.content("T-1", pressure=3))
    assert not registers.change(number, 9, registers.content("T-1", pressure=3))
    assert [row.record["pressure"] for row in registers.versions(number)] == [2, 1.6]


def test_of_many_at_once_one_wins(registers: Registers) -> None:
    number = registers.add("T-1")
    wins: list[bool] = []

    def race(pressure: float) -> None:
        with registers.park.connection("api") as connection, scoped(connection, WHOLE_PARK, read_only=False):
            wins.append(change_row(connection, number, 1, registers.content("T-1", pressure=pressure), ACT, CHANGED))

    threads = [threading.Thread(target=race, args=(pressure,)) for pressure in (2, 3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [False, False, False, True]
    assert len(registers.versions(number)) == 2


def test_versions_can_not_be_changed(registers: Registers) -> None:
    registers.add("T-1")
    for statement in (b"UPDATE register_version SET note = 'x'", b"DELETE FROM register_version"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            registers.connection.execute(statement)
        with registers.park.connection() as admin, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            admin.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        registers.connection.execute("DELETE FROM register_row")


def test_lists_have_pages_and_a_filter(registers: Registers) -> None:
    for code in ("T-1", "B-2", "罐_3", "T-4"):
        registers.add(code, remark="100%" if code == "B-2" else None)
    first = registers.rows(limit=3)
    assert codes(first) == ["T-1", "B-2", "罐_3"]
    assert codes(registers.rows(after=first[-1].id, limit=3)) == ["T-4"]
    for text, found in {
        "t-": ["T-1", "T-4"],
        "罐": ["罐_3"],
        "_": ["罐_3"],
        "%": ["B-2"],
        "\\": [],
        "pressure": [],
        "1.6": ["T-1", "B-2", "罐_3", "T-4"],
        "'; DROP TABLE register_row; --": [],
    }.items():
        assert codes(registers.rows(text=text)) == found, text


# when it is true ------------------------------------------------------------------------------------------------------


def test_what_is_in_force_at_a_time(registers: Registers) -> None:
    number = registers.add("T-1", act=Act("li", None, NOW))
    registers.change(number, 1, registers.content("T-1", pressure=2), Act("li", None, NOW + 10 * HOUR))

    def pressures(at: int) -> list[float]:
        rows, faults = rows_in_force(registers.connection, SYSTEMS, ["ledger.devices"], at)
        assert faults == []
        with registers.park.connection("operate") as operate:
            rows, faults = rows_in_force(operate, SYSTEMS, ["ledger.devices"], at)
        shown = [row.record["pressure"] for row in registers.rows(as_of=at)]
        assert [row.record.pressure for row in rows["ledger.devices"]] == shown
        return shown

    assert [pressures(at) for at in (NOW - 1, NOW, NOW + 10 * HOUR - 1, NOW + 10 * HOUR)] == [[], [1.6], [1.6], [2]]
    # A correction holds from its own time on, over what was said before it.
    registers.change(number, 2, registers.content("T-1", pressure=3), Act("li", None, NOW + 5 * HOUR))
    assert [pressures(NOW + hours * HOUR) for hours in (4, 5, 10, 20)] == [[1.6], [3], [3], [3]]
    registers.change(number, 3, registers.content("T-1", pressure=3), Act("li", None, NOW + 30 * HOUR), DELETED)
    assert [pressures(NOW + hours * HOUR) for hours in (29, 30)] == [[3], []]


@pytest.mark.parametrize("role", ["ingest", "operate", "report"])
def test_derivations_and_reports_read_rows_of_everybody(registers: Registers, role: str) -> None:
    registers.add("T-1", "alpha")
    registers.add("T-2", "beta")
    registers.add("T-3")
    with registers.park.connection(role) as connection:
        found, faults = rows_in_force(connection, SYSTEMS, ["ledger.devices", "ledger.factors", "gone.rows"], NOW)
    assert faults == []
    assert [(row.record.code, row.enterprise, row.state) for row in found["ledger.devices"]] == [
        *(("T-1", "alpha", "draft"), ("T-2", "beta", "draft"), ("T-3", None, "draft")),
    ]
    assert isinstance(found["ledger.devices"][0].record, Device)
    assert (found["ledger.devices"][0].valid_from, found["ledger.devices"][0].recorded_at > NOW - 10**15) == (NOW, True)
    assert (found["ledger.factors"], found["gone.rows"]) == ((), ())


def test_a_row_that_no_longer_fits_its_model_is_left_out_and_named(registers: Registers) -> None:
    registers.add("T-1", pressure=-1, kind="kettle")
    registers.add("T-2", colour="red")
    found, faults = registers_in_force(registers)
    assert [row.record.code for row in found] == ["T-2"]
    assert faults == [
        "ledger.devices, T-1: kind: must be one of tank (Tank), boiler (Boiler)",
        "ledger.devices, T-1: pressure: must be more than 0",
    ]


def registers_in_force(registers: Registers) -> tuple[Sequence[Any], list[str]]:
    with registers.park.connection("ingest") as connection:
        found, faults = rows_in_force(connection, SYSTEMS, ["ledger.devices"], NOW)
    return found["ledger.devices"], faults


def test_a_change_lets_the_intake_load_its_rules(registers: Registers) -> None:
    def rules_seq() -> int:
        row = registers.connection.execute("SELECT rules_seq FROM installation").fetchone()
        assert row is not None
        return row[0]

    before = rules_seq()
    registers.add("T-1")
    assert rules_seq() == before + 1
    registers.import_([registers.content(f"T-{number}") for number in range(50)])
    assert rules_seq() == before + 2, "once a file"


# what a system brings along -------------------------------------------------------------------------------------------


def test_first_rows_come_once(registers: Registers) -> None:
    with registers.park.connection("owner") as owner:
        assert seed_first(owner, LEDGER) == 2
        assert seed_first(owner, LEDGER) == 0
    with registers.park.connection("ingest") as connection:
        found, _ = rows_in_force(connection, SYSTEMS, ["ledger.factors"], 0)
    assert [row.record for row in found["ledger.factors"]] == list(LEDGER.registers[1].first), "in force from 1970 on"
    place = Place("ledger", "factors")
    with scoped(registers.connection, WHOLE_PARK, read_only=False) as connection:
        coal, diesel = register_rows(connection, WHOLE_PARK, place, limit=9)
        assert (coal.actor, coal.action, coal.enterprise) == ("system", ADDED, None)
        better = RowContent(coal.key, {**coal.record, "factor": 0.7}, None, None)
        assert change_row(connection, coal.id, 1, better, ACT, CHANGED)
        assert change_row(connection, diesel.id, 1, RowContent(diesel.key, diesel.record, None, None), ACT, DELETED)
    with registers.park.connection("owner") as owner:
        assert seed_first(owner, LEDGER) == 0
    with scoped(registers.connection, WHOLE_PARK) as connection:
        assert [row.record["factor"] for row in register_rows(connection, WHOLE_PARK, place, limit=9)] == [0.7]


def test_a_later_release_may_bring_more(registers: Registers) -> None:
    more = replace(LEDGER.registers[1], first=(*LEDGER.registers[1].first, Factor(fuel="gas", year=2020, factor=1.33)))
    with registers.park.connection("owner") as owner:
        seed_first(owner, LEDGER)
        assert seed_first(owner, replace(LEDGER, registers=(DEVICES, more))) == 1


def test_first_rows_of_somebody_unknown_are_refused(registers: Registers) -> None:
    first = tuple(
        Device.model_validate({**registers.content(code).record, "enterprise": owner})
        for code, owner in (("T-1", "alpha"), ("T-2", "nobody"))
    )
    brought = replace(LEDGER, registers=(replace(DEVICES, first=first),))
    with registers.park.connection("owner") as owner:
        with pytest.raises(ConfigError, match="nobody"):
            seed_first(owner, brought)
        assert registers.count() == (0, 0)
        assert seed_first(owner, replace(LEDGER, registers=(replace(DEVICES, first=first[:1]),))) == 1
    assert codes(registers.rows("alpha")) == ["T-1"]
    assert registers.rows("alpha")[0].state == "draft"
