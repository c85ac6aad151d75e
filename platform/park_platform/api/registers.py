"""Registers (台账): their form, their rows, and the versions of a row."""

from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import ConfigDict, Field
from starlette.requests import Request

from park_platform.api.answers import (
    CSV,
    DEFAULT_ROWS,
    Answer,
    AskedText,
    Both,
    Cursor,
    Limit,
    Moment,
    answer,
    micros,
    preferred,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn, Visit
from park_platform.api.problems import Problem
from park_platform.api.register_desk import Desk, RowAnswer, open_desk
from park_platform.api.systems import Id
from park_platform.storage.register_rows import StoredRow, register_row, register_rows, row_versions
from park_sdk.register_csv import MOST_ROWS as MOST_CSV_ROWS
from park_sdk.register_csv import write_csv
from park_sdk.register_form import form_schema

router = APIRouter(tags=["registers"])

RowId: TypeAlias = Annotated[int, Path(ge=1, lt=2**63)]
_LARGEST_VERSION: Final = 2**31


class StateAnswer(Answer):
    """A state that a row may be in."""

    id: str
    name: Both


class StepAnswer(Answer):
    """A move of a row's state; `note`: whether the person must say why."""

    id: str
    name: Both
    note: bool


class RegisterSchemaAnswer(Answer):
    """What a register holds: a JSON schema of a row whose properties carry x-label, x-unit and x-values.

    `enterprise` is the field that says whose row it is, `own` the value that the caller may write there; null: any.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    system: str = Field(examples=["safety"])
    id: str = Field(examples=["special-equipment"])
    name: Both
    key: list[str]
    fields: dict[str, Any] = Field(alias="schema")
    states: list[StateAnswer]
    steps: list[StepAnswer]
    enterprise: str | None
    own: str | None
    may_write: bool


class RowsAnswer(Answer):
    """Rows by id; `next`, sent as `cursor`, asks for those that follow."""

    rows: list[RowAnswer]
    next: str | None


class VersionsAnswer(Answer):
    """Versions of a row, newest first; `next`, sent as `cursor`, asks for older ones."""

    versions: list[RowAnswer]
    next: str | None


@router.get("/api/v1/registers/{system}/{register}/schema", response_model=RegisterSchemaAnswer)
def show_register_schema(request: Request, visit: SignedIn, system: Id, register: Id) -> Response:
    """What a register holds and what the caller may do 台账结构."""
    desk = open_desk(visit, system, register)
    declared = desk.register
    body = RegisterSchemaAnswer(
        system=system,
        id=register,
        name=Both.model_validate(declared.name),
        key=list(declared.key),
        schema=form_schema(declared.model),
        states=[StateAnswer(id=id_, name=Both.model_validate(name)) for id_, name in declared.states],
        steps=[StepAnswer(id=step.id, name=Both.model_validate(step.name), note=step.note) for step in declared.steps],
        enterprise=declared.enterprise,
        own=desk.own,
        may_write=desk.may_write,
    )
    return answer(request, body)


@router.get("/api/v1/registers/{system}/{register}", response_model=RowsAnswer, responses={200: {"content": {CSV: {}}}})
def list_rows(
    request: Request,
    visit: SignedIn,
    *,
    system: Id,
    register: Id,
    text: Annotated[AskedText | None, Query(max_length=200, description="stands in some field 任一字段包含")] = None,
    as_of: Annotated[Moment | None, Query(description="rows in force at this time 该时刻有效")] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Rows of a register, JSON or CSV 台账记录. CSV holds all rows that match, whatever `cursor` and `limit` say."""
    media = preferred(request)
    desk = open_desk(visit, system, register)
    at = None if as_of is None else micros(as_of)
    if media == CSV:
        return _csv(visit, desk, text, at)
    parts = read_cursor(cursor, "id")
    with visit.read() as connection:
        rows = register_rows(
            connection,
            visit.caller.scope,
            desk.place,
            text=text,
            as_of=at,
            after=0 if parts is None else parts[0],
            limit=limit,
        )
    following = write_cursor(rows[-1].id) if len(rows) == limit else None
    shown = [desk.answer(row, is_newest=at is None) for row in rows]
    response = answer(request, RowsAnswer(rows=shown, next=following))
    response.headers["Vary"] = "Accept"
    return response


def _csv(visit: Visit, desk: Desk, text: str | None, at: int | None) -> Response:
    most = MOST_CSV_ROWS + 1
    with visit.read() as connection:
        rows = register_rows(connection, visit.caller.scope, desk.place, text=text, as_of=at, limit=most)
    if len(rows) == most:
        raise Problem("register-too-large", {"most": MOST_CSV_ROWS})
    name = f"{desk.place.system}-{desk.place.register}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
    content = write_csv(desk.register, (row.record for row in rows))
    return Response(content, media_type=f"{CSV}; charset=utf-8", headers=headers)


@router.get("/api/v1/registers/{system}/{register}/{row_id}/versions", response_model=VersionsAnswer)
def list_versions(
    request: Request,
    visit: SignedIn,
    *,
    system: Id,
    register: Id,
    row_id: RowId,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Everything that a row has said, newest first 历次版本."""
    desk = open_desk(visit, system, register)
    parts = read_cursor(cursor, "id")
    before = None if parts is None else min(parts[0], _LARGEST_VERSION - 1)
    with visit.read() as connection:
        newest = register_row(connection, visit.caller.scope, desk.place, row_id)
        rows: list[StoredRow] = []
        if newest is not None:
            rows = row_versions(connection, visit.caller.scope, desk.place, row_id, before=before, limit=limit)
    if newest is None:
        raise Problem("not-found")
    following = write_cursor(rows[-1].version) if len(rows) == limit else None
    shown = [desk.answer(row, is_newest=row.version == newest.version) for row in rows]
    return answer(request, VersionsAnswer(versions=shown, next=following))
