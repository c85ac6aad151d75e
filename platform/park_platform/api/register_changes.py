"""Registers (台账): adding, changing and deleting rows, and the steps of their states."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from park_platform.api.alarms import Note
from park_platform.api.answers import AskedText, Moment, iso
from park_platform.api.door import SignedIn
from park_platform.api.problems import Problem
from park_platform.api.register_desk import TAKEN, Desk, RowAnswer, faults_problem, open_desk
from park_platform.api.registers import RowId
from park_platform.api.systems import Id
from park_platform.storage import audit
from park_platform.storage.connect import Connection
from park_platform.storage.register_changes import (
    ADDED,
    CHANGED,
    DELETED,
    RowContent,
    add_row,
    change_row,
    enterprise_ids,
    known_names,
)
from park_platform.storage.register_rows import StoredRow, register_row
from park_sdk.register_form import FieldFault, Record, key_text, plain, read_record, read_stored
from park_wire.quantities import Text

router = APIRouter(tags=["registers"])

IfMatch = Annotated[
    AskedText | None, Header(max_length=100, description='the version that is changed, `"3"` 所依据的版本')
]
_KEY_STAYS: Final = Text("不可更改；请新增一条记录", "can't be changed; add another row")
_SAY_WHY: Final = Text("请说明原因", "say why")


class RowBody(BaseModel):
    """A row as somebody wants it. `valid_from`: from when on it is true; now, if it is left out."""

    model_config = ConfigDict(extra="forbid")

    record: dict[str, Any] = Field(examples=[{"plate": "苏E12345"}])
    note: AskedText | None = None
    valid_from: Moment | None = None


@router.post("/api/v1/registers/{system}/{register}", status_code=201, response_model=RowAnswer)
def add_register_row(visit: SignedIn, system: Id, register: Id, body: RowBody) -> Response:
    """Add a row 新增记录."""
    desk = open_desk(visit, system, register).for_writing()
    with visit.write() as connection:
        content = _content(connection, desk, body.record, desk.first_state)
        row_id = add_row(connection, desk.place, content, desk.act(body.note, body.valid_from))
        if row_id is None:
            raise faults_problem([FieldFault(name, TAKEN) for name in desk.register.key])
        row = _written(connection, desk, row_id, None, ADDED)
    return _answer(desk, row, 201)


@router.put("/api/v1/registers/{system}/{register}/{row_id}", response_model=RowAnswer)
def change_register_row(
    visit: SignedIn, system: Id, register: Id, row_id: RowId, body: RowBody, if_match: IfMatch = None
) -> Response:
    """Change a row 修改记录. `If-Match` holds its version."""
    desk = open_desk(visit, system, register).for_writing()
    with visit.write() as connection:
        before = _editable(connection, desk, row_id, if_match)
        content = _content(connection, desk, body.record, before.state, before.key)
        act = desk.act(body.note, body.valid_from)
        if not change_row(connection, row_id, before.version, content, act, CHANGED):
            raise Problem("row-outdated")
        row = _written(connection, desk, row_id, before, CHANGED)
    return _answer(desk, row)


@router.delete("/api/v1/registers/{system}/{register}/{row_id}", response_model=RowAnswer)
def delete_register_row(
    visit: SignedIn,
    system: Id,
    register: Id,
    row_id: RowId,
    body: Annotated[Note | None, Body()] = None,
    if_match: IfMatch = None,
) -> Response:
    """Delete a row 删除记录. It is in force no more; its versions stay. `If-Match` holds its version."""
    desk = open_desk(visit, system, register).for_writing()
    with visit.write() as connection:
        before = _editable(connection, desk, row_id, if_match)
        owner = enterprise_ids(connection)[before.enterprise] if before.enterprise else None
        content = RowContent(before.key, before.record, owner, before.state)
        act = desk.act(None if body is None else body.note, None)
        if not change_row(connection, row_id, before.version, content, act, DELETED):
            raise Problem("row-outdated")
        row = _written(connection, desk, row_id, before, DELETED)
    return _answer(desk, row)


@router.post("/api/v1/registers/{system}/{register}/{row_id}/steps/{step}", response_model=RowAnswer)
def take_step(
    visit: SignedIn,
    *,
    system: Id,
    register: Id,
    row_id: RowId,
    step: Id,
    body: Annotated[Note | None, Body()] = None,
    if_match: IfMatch = None,
) -> Response:
    """Move a row to its next state 办理."""
    desk = open_desk(visit, system, register)
    declared = next((each for each in desk.register.steps if each.id == step), None)
    if declared is None:
        raise Problem("not-found")
    if desk.role.value not in declared.roles:
        raise Problem("not-allowed", {"role": desk.role.value})
    note = (body.note or "").strip() if body is not None else ""
    with visit.write() as connection:
        before = _row(connection, desk, row_id)
        if if_match is not None:
            _match(before, if_match)
        if before.state not in declared.from_:
            raise Problem("row-state", {"state": before.state or ""})
        record, faults = read_stored(desk.register, before.record)
        if record is not None:
            faults = desk.against(declared, record)
        if declared.note and not note:
            faults.append(FieldFault("note", _SAY_WHY))
        if faults:
            raise faults_problem(faults)
        owner = enterprise_ids(connection)[before.enterprise] if before.enterprise else None
        content = RowContent(before.key, before.record, owner, declared.to)
        if not change_row(connection, row_id, before.version, content, desk.act(note or None, None), f"step:{step}"):
            raise Problem("row-outdated")
        row = _written(connection, desk, row_id, before, f"step:{step}")
    return _answer(desk, row)


# what the routes share ------------------------------------------------------------------------------------------------


def _row(connection: Connection, desk: Desk, row_id: int) -> StoredRow:
    """A row that the caller may write as far as it is theirs."""
    row = register_row(connection, desk.visit.caller.scope, desk.place, row_id)
    if row is None or row.is_deleted:
        raise Problem("not-found")
    if not desk.owns(row):
        raise Problem("not-allowed", {"role": desk.role.value})
    return row


def _editable(connection: Connection, desk: Desk, row_id: int, if_match: str | None) -> StoredRow:
    row = _row(connection, desk, row_id)
    if if_match is None:
        raise Problem("if-match-needed")
    _match(row, if_match)
    if not desk.may_edit(row):
        raise Problem("row-state", {"state": row.state or ""})
    return row


def _match(row: StoredRow, if_match: str) -> None:
    if f'"{row.version}"' not in [tag.strip() for tag in if_match.split(",")]:
        raise Problem("row-outdated")


def _content(connection: Connection, desk: Desk, raw: Record, state: str | None, key: str | None = None) -> RowContent:
    """What was entered, or Problem with everything that is wrong. `key`: the one that the row has and keeps."""
    known = known_names(connection, desk.visit.caller.scope)
    filled = dict(raw)
    for field, value in desk.given().items():
        if not filled.get(field):
            filled[field] = value
    record, faults = read_record(desk.register, filled)
    named = {fault.field for fault in faults}
    content = filled if record is None else plain(record)
    faults += [fault for fault in desk.reference_faults(content, known) if fault.field not in named]
    if record is not None and key is not None and key_text(desk.register, content) != key:
        faults += [FieldFault(name, _KEY_STAYS) for name in desk.register.key]
    if faults:
        raise faults_problem(faults)
    owner = desk.owner(content)
    return RowContent(key_text(desk.register, content), content, known.enterprises[owner] if owner else None, state)


def _written(connection: Connection, desk: Desk, row_id: int, before: StoredRow | None, action: str) -> StoredRow:
    """The row as it is now, after the trail has been told."""
    row = register_row(connection, desk.visit.caller.scope, desk.place, row_id)
    assert row is not None  # noqa: S101 - written in this transaction
    caller = desk.visit.caller
    audit.append(
        connection,
        caller.person.name,
        f"register-{action}",
        f"{desk.path}/{row_id}",
        before=None if before is None else _trace(before),
        after=_trace(row),
        source=caller.source,
    )
    return row


def _trace(row: StoredRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "state": row.state,
        "deleted": row.is_deleted,
        "valid_from": iso(row.valid_from),
        "enterprise": row.enterprise,
        "record": row.record,
        "note": row.note,
    }


def _answer(desk: Desk, row: StoredRow, status: int = 200) -> Response:
    return JSONResponse(desk.answer(row).model_dump(mode="json"), status, headers={"ETag": f'"{row.version}"'})
