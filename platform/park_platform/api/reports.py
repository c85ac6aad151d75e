"""Reports: what they ask for, and the document as JSON or CSV."""

import hashlib
import json
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import ConfigDict, Field
from starlette.requests import Request

from park_platform.api.answers import CSV, JSON, Answer, Both, Time, answer, csv_response, iso, preferred
from park_platform.api.door import SignedIn, Visit
from park_platform.api.problems import Problem
from park_platform.api.systems import Id, enabled_system, open_part
from park_platform.reports.fetch import EnterpriseUnknown, NeedWrong, Reading, fetch
from park_platform.reports.params import read_params
from park_platform.reports.render import as_json, as_rows
from park_platform.reports.run import MOST_S, ReportFailed, ReportTooLong, build_document, find_needs
from park_platform.storage.history import QueryTooLarge
from park_platform.systems import Enabled
from park_sdk.register_form import FieldFault, form_schema
from park_sdk.report import ReportDef
from park_wire.clock import wall_us
from park_wire.errors import StoreTooSlow
from park_wire.quantities import Text

router = APIRouter(tags=["reports"])

_FORMAT: Final = "format"
_HEAD: Final = ("园枢 Parkhub",)

CellAnswer: TypeAlias = Both | str | float | int | None


class ReportSchemaAnswer(Answer):
    """What a report asks for: a JSON schema whose properties carry x-label, x-unit and x-values."""

    # "schema" is a method of every model.
    model_config = ConfigDict(serialize_by_alias=True)

    system: str = Field(examples=["energy"])
    id: str = Field(examples=["monthly"])
    name: Both
    parameters: dict[str, Any] = Field(alias="schema")


class FactAnswer(Answer):
    """One figure and what it rests on: standard and edition, meters, a register's row."""

    id: str
    name: Both
    value: CellAnswer
    unit: str
    source: Both


class ColumnAnswer(Answer):
    """A column; `digits` after the point that people want to see."""

    id: str
    name: Both
    unit: str
    digits: int | None


class TableAnswer(Answer):
    """Rows under columns. A cell that is null is not known, which is not zero."""

    id: str
    name: Both
    columns: list[ColumnAnswer]
    rows: list[list[CellAnswer]]


class DocumentAnswer(Answer):
    """A report. `start` and `end` are what it is about, `made_for` is the person who asked for it."""

    title: Both
    start: Time
    end: Time
    facts: list[FactAnswer]
    tables: list[TableAnswer]
    notes: list[Both]
    made_at: Time
    made_for: Both


@router.get("/api/v1/reports/{system}/{report}/schema", response_model=ReportSchemaAnswer)
def show_report_schema(request: Request, visit: SignedIn, system: Id, report: Id) -> Response:
    """What a report asks for, as a JSON schema 报表参数."""
    each = enabled_system(visit, system)
    declared = open_part(visit, each.system.reports, report)
    name = Both.model_validate(declared.name)
    schema = form_schema(declared.params)
    return answer(request, ReportSchemaAnswer(system=system, id=report, name=name, schema=schema))


@router.get("/api/v1/reports/{system}/{report}", response_model=DocumentAnswer, responses={200: {"content": {CSV: {}}}})
def make_report(
    request: Request,
    visit: SignedIn,
    system: Id,
    report: Id,
    format: Annotated[  # noqa: A002 - the name in the query
        Literal["json", "csv"] | None, Query(description="instead of the Accept header 格式")
    ] = None,
) -> Response:
    """A report for the given parameters, as JSON or CSV 生成报表. Its parameters stand in the query beside `format`."""
    media = preferred(request) if format is None else CSV if format == "csv" else JSON
    each = enabled_system(visit, system)
    declared = open_part(visit, each.system.reports, report)
    return _make(request, visit, each, declared, media)


def _make(request: Request, visit: Visit, each: Enabled, declared: ReportDef, media: str) -> Response:
    system, report = each.system.id, declared.id
    asked = [(name, text) for name, text in request.query_params.multi_items() if name != _FORMAT]
    params, faults = read_params(declared.params, asked)
    if params is None:
        raise _wrong(faults, asked)
    systems = {id_: one.system for id_, one in visit.shared.systems.now().items()}
    reading, zone = Reading(visit.caller.scope, systems, wall_us()), visit.shared.systems.zone()
    try:
        needs = find_needs(declared, params, zone)
        with visit.read() as connection:
            fetched = fetch(connection, reading, needs, each.settings)
        # Without the connection: the system's code may take its time, and others need the few that there are.
        document = build_document(declared, params, fetched)
    except EnterpriseUnknown:
        raise Problem("not-found") from None
    except QueryTooLarge as error:
        raise Problem("query-too-large", {"reason": str(error)}) from error
    except (ReportFailed, NeedWrong, StoreTooSlow) as error:
        visit.shared.systems.say_failed("report", f"{system}/{report}", str(error), error.__cause__)
        if isinstance(error, ReportTooLong | StoreTooSlow):
            raise Problem("report-too-long", {"system": system, "report": report, "most_s": round(MOST_S)}) from error
        raise Problem("report-failed", {"system": system, "report": report}) from error
    person = visit.caller.person
    made_for = Text(person.display_zh, person.display_en)
    body = as_json(document)
    etag = _etag(media, body, made_for)
    if etag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers={"ETag": etag, "Vary": "Accept"})
    if media == CSV:
        rows = as_rows(document, zone, made_at=reading.now, made_for=made_for)
        response = csv_response(f"{system}-{report}", _HEAD, rows)
    else:
        made = {"made_at": iso(reading.now), "made_for": {"zh": made_for.zh, "en": made_for.en}}
        response = Response(json.dumps(body | made, ensure_ascii=False, allow_nan=False), media_type=JSON)
    response.headers["ETag"], response.headers["Vary"] = etag, "Accept"
    return response


def _etag(media: str, body: dict[str, Any], made_for: Text) -> str:
    """Of the content without the time at which it was made; hence weak: the same figures, not the same bytes."""
    content = json.dumps([media, body, made_for.zh, made_for.en], sort_keys=True).encode()
    return f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'


def _wrong(faults: list[FieldFault], asked: list[tuple[str, str]]) -> Problem:
    told = [{"field": fault.field, "message": {"zh": fault.message.zh, "en": fault.message.en}} for fault in faults]
    # What does not go together may be any of those that were given.
    named = [fault.field for fault in faults if fault.field] or list(dict.fromkeys(name for name, _ in asked))
    return Problem("parameters-wrong", {"fields": named, "faults": told})
