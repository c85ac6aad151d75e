"""What came in and could not be stored as it was: dead letters, quarantined readings, conflicting values."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    Cursor,
    Hex,
    Limit,
    Number,
    Page,
    Time,
    WildTime,
    answer,
    before_id,
    page_by_id,
)
from park_platform.api.door import SignedIn
from park_platform.api.problems import Problem
from park_platform.storage import audit
from park_platform.storage.letters import conflicts, dead_letter_payload, dead_letters, quarantine

router = APIRouter(tags=["letters"])

PointId: TypeAlias = Annotated[int | None, Query(ge=1, lt=2**31)]


class LetterAnswer(Answer):
    """A payload of `size` bytes that could not be processed, with what is known of its identity."""

    id: int
    stream: str
    lane: str | None
    seq: int | None
    reason: str
    size: int
    sha256: Hex
    recorded_at: Time


class QuarantineAnswer(Answer):
    """A reading with an impossible time: `time_us` (µs since 1970) as it came; `time` null where no calendar has it."""

    id: int
    point: int
    time: WildTime = Field(validation_alias="time_us")
    time_us: int
    value: Number
    quality: int
    reason: str
    recorded_at: Time


class ConflictAnswer(Answer):
    """Two values for one point and time: `kept` is stored, `value` came later."""

    id: int
    point: int
    time: Time
    kept: Number
    value: Number
    quality: int
    recorded_at: Time


@router.get("/api/v1/dead-letters", response_model=Page[LetterAnswer])
def list_dead_letters(
    request: Request, visit: SignedIn, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS
) -> Response:
    """Dead letters, newest first 死信."""
    with visit.read() as connection:
        rows = dead_letters(connection, before=before_id(cursor), limit=limit)
    return answer(request, page_by_id(LetterAnswer, rows, limit))


@router.get(
    "/api/v1/dead-letters/{letter_id}/payload",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def download_dead_letter(visit: SignedIn, letter_id: Annotated[int, Path(ge=1, lt=2**63)]) -> Response:
    """A dead letter as it came from the wire 下载死信原文. It may hold data of several enterprises: this is audited."""
    with visit.write() as connection:
        payload = dead_letter_payload(connection, letter_id)
        if payload is None:
            raise Problem("not-found")
        name, source = visit.caller.person.name, visit.caller.source
        audit.append(connection, name, "dead-letter-downloaded", f"dead-letter/{letter_id}", source=source)
    headers = {"Content-Disposition": f'attachment; filename="dead-letter-{letter_id}.cbor"'}
    return Response(payload, media_type="application/octet-stream", headers=headers)


@router.get("/api/v1/quarantine", response_model=Page[QuarantineAnswer])
def list_quarantine(
    request: Request, visit: SignedIn, point: PointId = None, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS
) -> Response:
    """Readings with an impossible time, newest first 隔离区."""
    with visit.read() as connection:
        rows = quarantine(connection, visit.caller.scope, point=point, before=before_id(cursor), limit=limit)
    return answer(request, page_by_id(QuarantineAnswer, rows, limit))


@router.get("/api/v1/conflicts", response_model=Page[ConflictAnswer])
def list_conflicts(
    request: Request, visit: SignedIn, point: PointId = None, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS
) -> Response:
    """Second values for one point and time, newest first 数据冲突."""
    with visit.read() as connection:
        rows = conflicts(connection, visit.caller.scope, point=point, before=before_id(cursor), limit=limit)
    return answer(request, page_by_id(ConflictAnswer, rows, limit))
