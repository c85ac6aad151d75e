"""The audit trail."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    Cursor,
    Hex,
    Limit,
    Page,
    Time,
    answer,
    before_id,
    page_by_id,
)
from park_platform.api.door import SignedIn
from park_platform.storage.audit import audit_rows

router = APIRouter(tags=["audit"])


class AuditAnswer(Answer):
    """Who did what; `hash` chains it to the row before it."""

    id: int
    at: Time
    actor: str
    action: str
    object: str
    before: Any
    after: Any
    source: str | None
    hash: Hex


@router.get("/api/v1/audit", response_model=Page[AuditAnswer])
def list_audit(request: Request, visit: SignedIn, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS) -> Response:
    """The audit trail, newest first 审计日志."""
    with visit.read() as connection:
        rows = audit_rows(connection, before_id(cursor), limit)
    return answer(request, page_by_id(AuditAnswer, rows, limit))
