"""Registers in the database: whose rows somebody sees and writes."""

import pytest

from park_platform.storage.register_changes import (
    CHANGED,
    Act,
    add_row,
    change_row,
)
from park_platform.storage.register_rows import register_rows
from park_platform.storage.scope import NOTHING, WHOLE_PARK, Scope, scoped
from park_wire.errors import StoreError
from support.ledger_store import ACT, HOUR, NOW, PLACE, Registers, codes


def test_an_enterprise_sees_its_own_and_the_park_s(registers: Registers) -> None:
    numbers = {owner: registers.add(f"of-{owner}", owner) for owner in ("alpha", "beta", None)}
    assert codes(registers.rows()) == ["of-alpha", "of-beta", "of-None"]
    assert codes(registers.rows("alpha")) == ["of-alpha", "of-None"]
    assert codes(registers.rows("alpha", as_of=NOW)) == ["of-alpha", "of-None"]
    assert registers.row(numbers["beta"], "alpha") is None
    assert registers.versions(numbers["beta"], "alpha") == []
    assert len(registers.versions(numbers[None], "alpha")) == 1
    for scope in (NOTHING, Scope.of([2**31 - 1])):
        with scoped(registers.connection, scope):
            seen = register_rows(registers.connection, scope, PLACE, limit=9)
        assert codes(seen) == ([] if scope is NOTHING else ["of-None"])


def test_a_forgotten_filter_shows_only_the_scope(registers: Registers) -> None:
    for owner in ("alpha", "beta", None):
        registers.add(f"of-{owner}", owner)

    def counts(scope: Scope) -> list[int]:
        with scoped(registers.connection, scope) as connection:
            rows = [connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() for table in TABLES]
        return [row[0] for row in rows if row is not None]

    assert counts(WHOLE_PARK) == [3, 3]
    assert counts(registers.scope("alpha")) == [2, 2]
    assert counts(NOTHING) == [0, 0]
    assert [registers.connection.execute(f"SELECT count(*) FROM {t}".encode()).fetchone() for t in TABLES] == [(0,)] * 2


TABLES = ("register_row", "register_version")


def test_an_enterprise_can_not_write_for_others_even_in_sql(registers: Registers) -> None:
    mine, others, parks = (registers.add(f"of-{owner}", owner) for owner in ("alpha", "beta", None))
    for owner in ("beta", None):
        with pytest.raises(StoreError, match="row-level security"), registers.writing("alpha") as connection:
            add_row(connection, PLACE, registers.content("new", owner), ACT)
        with pytest.raises(StoreError, match="row-level security"), registers.writing("alpha") as connection:
            change_row(connection, mine, 1, registers.content("of-alpha", owner), ACT, CHANGED)
    with registers.writing("alpha") as connection:
        assert not change_row(connection, others, 1, registers.content("of-beta", "alpha"), ACT, CHANGED)
        assert not change_row(connection, parks, 1, registers.content("of-None", "alpha"), ACT, CHANGED)
        assert change_row(connection, mine, 1, registers.content("of-alpha", "alpha"), ACT, CHANGED)
    alpha = registers.owners["alpha"]
    for number in (others, parks):
        with pytest.raises(StoreError, match="row-level security"), registers.writing("alpha") as connection:
            connection.execute(
                "INSERT INTO register_version (row_id, version, enterprise_id, record, valid_from, action, actor) "
                "VALUES (%s, 2, %s, '{}', now(), 'x', 'x')",
                (number, alpha),
            )
    assert registers.count() == (3, 4)


def test_a_new_owner_does_not_see_the_past(registers: Registers) -> None:
    number = registers.add("T-1", "beta", remark="beta's secret")
    registers.change(number, 1, registers.content("T-1", "alpha"), Act("li", None, NOW + HOUR))
    assert [row.version for row in registers.versions(number, "alpha")] == [2]
    assert registers.rows("alpha", as_of=NOW) == []
    assert codes(registers.rows("alpha", as_of=NOW + HOUR)) == ["T-1"]
    assert (registers.rows("beta"), registers.row(number, "beta")) == ([], None)
    assert [row.enterprise for row in registers.versions(number)] == ["alpha", "beta"]


def test_who_acted_in_the_park_is_told_there_only(registers: Registers) -> None:
    number = registers.add("T-1", "alpha", act=Act("of-alpha", None, NOW), by="alpha")
    registers.change(number, 1, registers.content("T-1", "alpha"), Act("li", "why", NOW))
    assert [(row.actor, row.note) for row in registers.versions(number)] == [("li", "why"), ("of-alpha", None)]
    assert [(row.actor, row.note) for row in registers.versions(number, "alpha")] == [(None, "why"), ("of-alpha", None)]
