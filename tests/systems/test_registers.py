"""What holds for the registers and reports of every system of this release."""

from typing import Any

import pytest

from park_platform.systems import load_systems
from park_sdk.check import check_system
from park_sdk.register import Register
from park_sdk.register_csv import read_csv, write_csv
from park_sdk.register_form import form_schema, plain, read_form, read_record

SYSTEMS = load_systems()
REGISTERS = [
    pytest.param(register, id=f"{system.id}-{register.id}")
    for system in SYSTEMS.values()
    for register in system.registers
]
MODELS = [
    pytest.param(model, id=f"{system.id}-{name}")
    for system in SYSTEMS.values()
    for name, model in [
        *((register.id, register.model) for register in system.registers),
        *((report.id, report.params) for report in system.reports),
    ]
]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_it_is_sound(system: Any) -> None:
    assert check_system(system) == []


@pytest.mark.parametrize("register", REGISTERS)
def test_what_it_brings_along_can_be_changed_and_taken_out_and_in(register: Register) -> None:
    records = [plain(row) for row in register.first]
    assert [fault for record in records for fault in read_record(register, record)[1]] == []
    reading = read_csv(register, write_csv(register, records))
    assert (reading.faults, [row.record for row in reading.rows]) == ((), records)


@pytest.mark.parametrize("model", MODELS)
def test_no_day_is_beyond_what_can_be_reckoned_with(model: Any) -> None:
    """Otherwise a date of the year 9999 in one row would stop the derivations and reports that read it."""
    for name, part in form_schema(model)["properties"].items():
        if "date" in {each.get("format") for each in (part, *part.get("anyOf", ()))}:
            for day in ("0001-01-01", "9999-12-31"):
                assert name in {fault.field for fault in read_form(model, {name: day})[1]}, (name, day)
