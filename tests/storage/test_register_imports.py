"""Registers in the database: many rows at once, all or none."""

from dataclasses import replace

from park_platform.storage.register_changes import (
    DELETED,
    Imported,
)
from support.ledger_store import Registers


def test_an_import_adds_changes_and_leaves(registers: Registers) -> None:
    stays, changes, deleted = (registers.add(code) for code in ("T-1", "T-2", "T-3"))
    registers.change(changes, 1, replace(registers.content("T-2"), state="filed"))
    registers.change(deleted, 1, registers.content("T-3"), action=DELETED)
    contents = [registers.content("T-1"), *(registers.content(code, pressure=5) for code in ("T-2", "T-3", "T-4"))]
    before = registers.count()
    tried = registers.import_(contents, dry_run=True)
    assert registers.count() == before
    done = registers.import_(contents)
    assert (len(done.added), done.changed, done.unchanged, done.refused) == (2, ((changes, 3),), 1, {})
    assert (len(tried.added), tried.changed, tried.unchanged) == (len(done.added), done.changed, done.unchanged)
    assert (deleted, 3) in done.added
    assert [(row.record["code"], row.record["pressure"], row.state) for row in registers.rows()] == [
        *(("T-1", 1.6, "draft"), ("T-2", 5, "filed"), ("T-3", 5, "draft"), ("T-4", 5, "draft")),
    ]
    assert registers.versions(stays)[0].version == 1
    assert registers.import_(contents) == Imported((), (), 4, {})


def test_an_import_is_all_or_nothing(registers: Registers) -> None:
    registers.add("T-2")
    registers.add("T-4", "beta")
    before = registers.count()
    contents = [registers.content(f"T-{number}", pressure=5) for number in range(1, 6)]
    assert registers.import_(contents, editable=False).refused == {1: "state", 3: "state"}
    assert registers.count() == before
    mine = [registers.content(f"T-{number}", "alpha", pressure=5) for number in range(1, 6)]
    assert registers.import_(mine, by="alpha").refused == {1: "taken", 3: "taken"}, "a row of the park, and one unseen"
    assert registers.import_(mine, by="alpha", dry_run=True).refused == {1: "taken", 3: "taken"}
    assert registers.count() == before
    assert registers.import_([]) == Imported((), (), 0, {})


def test_ten_thousand_rows(registers: Registers) -> None:
    contents = [registers.content(f"T-{number}") for number in range(10_000)]
    assert len(registers.import_(contents).added) == 10_000
    changed = [replace(content, record={**content.record, "pressure": 2}) for content in contents]
    assert len(registers.import_(changed).changed) == 10_000
    assert registers.count() == (10_000, 20_000)
