"""Registers (台账): CSV in."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from park_platform.api.answers import CSV, Answer, AskedText, Both, Moment
from park_platform.api.door import SignedIn
from park_platform.api.problems import Problem
from park_platform.api.register_desk import TAKEN, Desk, open_desk
from park_platform.api.systems import Id
from park_platform.storage import audit
from park_platform.storage.connect import Connection
from park_platform.storage.register_changes import Act, Imported, Known, RowContent, import_rows, known_names
from park_sdk.register_csv import CsvRow, LineFault, read_csv
from park_wire.quantities import Text

router = APIRouter(tags=["registers"])

_NOT_NOW: Final = Text("记录在当前状态下不可更改", "the row can't be changed in its state")


class LineFaultAnswer(Answer):
    """What is wrong in a file; line 1 is the header, and no field means the whole line."""

    line: int
    field: str
    message: Both


class ImportAnswer(Answer):
    """What a file did, or with `dry_run` would do; where there is a fault, nothing."""

    rows: int
    added: int
    changed: int
    unchanged: int
    faults: list[LineFaultAnswer]


async def _file(request: Request) -> bytes:
    # Not a parameter of the route: whatever a browser calls the type of a file, it is read as CSV.
    return await request.body()


@router.post(
    "/api/v1/registers/{system}/{register}/import",
    response_model=ImportAnswer,
    openapi_extra={"requestBody": {"content": {CSV: {"schema": {"type": "string"}}}, "required": True}},
)
def import_register(
    visit: SignedIn,
    *,
    system: Id,
    register: Id,
    file: Annotated[bytes, Depends(_file)],
    dry_run: Annotated[bool, Query(description="only look what it would do 仅试算")] = False,
    note: Annotated[AskedText | None, Query(max_length=1_000)] = None,
    valid_from: Annotated[Moment | None, Query(description="from when on it is true 生效时间")] = None,
) -> ImportAnswer:
    """Add and change rows by a CSV file 导入, all or none: one fault, and nothing is changed.

    Rows that the file does not name stay. Every fault is listed: with `dry_run` in the answer, else in the problem.
    """
    desk = open_desk(visit, system, register).for_writing()
    with visit.read() as connection:
        known = known_names(connection, visit.caller.scope)
    reading = read_csv(desk.register, file, desk.given(), lambda record: desk.reference_faults(record, known))
    with visit.write() as connection:
        # Also of a file that has faults the sound rows are tried: what is wrong with them is listed with the rest.
        only_tried = dry_run or bool(reading.faults)
        done = _import(connection, desk, reading.rows, known, desk.act(note, valid_from), dry_run=only_tried)
        faults = [*reading.faults, *_refused(desk, reading.rows, done)]
        if not faults and not dry_run:
            _trail(connection, desk, file, done)
    if faults:
        told = [_line_fault(fault) for fault in sorted(faults, key=lambda fault: fault.line)]
        if not dry_run:
            raise Problem("register-faults", {"faults": [fault.model_dump() for fault in told]})
        return ImportAnswer(rows=reading.lines, added=0, changed=0, unchanged=0, faults=told)
    return ImportAnswer(
        rows=reading.lines, added=len(done.added), changed=len(done.changed), unchanged=done.unchanged, faults=[]
    )


def _import(
    connection: Connection, desk: Desk, rows: Sequence[CsvRow], known: Known, act: Act, *, dry_run: bool
) -> Imported:
    contents = [
        RowContent(
            row.key,
            row.record,
            known.enterprises[owner] if (owner := desk.owner(row.record)) else None,
            desk.first_state,
        )
        for row in rows
    ]
    return import_rows(connection, desk.place, contents, act, is_editable=desk.is_editable_in, dry_run=dry_run)


def _refused(desk: Desk, rows: Sequence[CsvRow], done: Imported) -> list[LineFault]:
    return [
        LineFault(rows[number].line, field, TAKEN if refusal == "taken" else _NOT_NOW)
        for number, refusal in done.refused.items()
        for field in (desk.register.key if refusal == "taken" else ("",))
    ]


def _trail(connection: Connection, desk: Desk, file: bytes, done: Imported) -> None:
    """One entry: what each row said before and after stands in its versions, which nobody can change."""
    caller = desk.visit.caller
    after = {
        "sha256": hashlib.sha256(file).hexdigest(),
        "added": [list(row) for row in done.added],
        "changed": [list(row) for row in done.changed],
        "unchanged": done.unchanged,
    }
    before = {"changed": [[row, version - 1] for row, version in done.changed]}
    audit.append(
        connection, caller.person.name, "register-imported", desk.path, before=before, after=after, source=caller.source
    )


def _line_fault(fault: LineFault) -> LineFaultAnswer:
    message = Both(zh=fault.message.zh, en=fault.message.en)
    return LineFaultAnswer(line=fault.line, field=fault.field, message=message)
