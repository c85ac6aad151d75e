"""Events: what happened at a device and is no reading."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    AskedText,
    Cursor,
    Limit,
    Page,
    Time,
    answer,
    before_id,
    page_by_id,
)
from park_platform.api.door import SignedIn
from park_platform.storage.events import events

router = APIRouter(tags=["events"])

Key: TypeAlias = Annotated[AskedText | None, Query(max_length=32)]


class EventAnswer(Answer):
    """Something that happened at a device: a weigh ticket, a gate pass, a notice of a logger."""

    id: int
    stream: str
    device: str
    kind: str = Field(examples=["weigh-ticket"])
    at: Time
    body: dict[str, Any]
    recorded_at: Time


@router.get("/api/v1/events", response_model=Page[EventAnswer])
def list_events(
    request: Request,
    visit: SignedIn,
    device: Key = None,
    kind: Key = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Events of devices that the caller may see, newest first 事件."""
    with visit.read() as connection:
        rows = events(connection, visit.caller.scope, device=device, kind=kind, before=before_id(cursor), limit=limit)
    return answer(request, page_by_id(EventAnswer, rows, limit))
