"""Gateways, and what is missing from them."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    AskedText,
    Both,
    Cursor,
    Hex,
    Limit,
    Page,
    Reference,
    Time,
    answer,
    before_id,
    page_by_id,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn
from park_platform.storage.gateways import gaps, gateways

router = APIRouter(tags=["gateways"])


class LaneAnswer(Answer):
    """How far a lane of the current epoch is committed; `mark` is the last committed batch."""

    lane: str
    mark: int
    until: Time | None
    committed_at: Time


class GatewayAnswer(Reference):
    """A gateway. depth (batches), oldest_age_ms, disk_free (bytes) and skew_us are as it last said itself.

    `lag_us` is how far the event time of its stream lies behind the centre's clock; `has_owner` whether a living
    intake worker takes its data; `gaps` how many gaps are recorded.
    """

    stream: str
    online: bool
    heard_at: Time | None
    hello_at: Time | None
    config_version: Hex | None
    epoch: Hex | None
    depth: int | None
    oldest_age_ms: int | None
    disk_free: int | None
    skew_us: int | None
    event_until: Time | None
    lag_us: int | None
    has_owner: bool
    points: int
    gaps: int
    lanes: list[LaneAnswer]


class GapAnswer(Answer):
    """Batches that never came. `to_seq` null: open-ended. `n` (readings) is told within the park only."""

    id: int
    gateway: str
    lane: str
    from_seq: int
    to_seq: int | None
    from_time: Time | None
    to_time: Time | None
    n: int | None
    reason: Both
    recorded_at: Time


@router.get("/api/v1/gateways", response_model=Page[GatewayAnswer])
def list_gateways(request: Request, visit: SignedIn, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS) -> Response:
    """Gateways by key, with state, lag and depth 网关列表."""
    after = read_cursor(cursor, "text")
    with visit.read() as connection:
        rows = gateways(connection, after=after[0] if after else "", limit=limit)
    following = write_cursor(rows[-1].key) if len(rows) == limit else None
    items = [GatewayAnswer.model_validate(row) for row in rows]
    return answer(request, Page[GatewayAnswer](items=items, next=following))


@router.get("/api/v1/gaps", response_model=Page[GapAnswer])
def list_gaps(
    request: Request,
    visit: SignedIn,
    gateway: Annotated[AskedText | None, Query(max_length=32)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Gaps of gateways that carry a point of the caller, newest first 数据缺口."""
    with visit.read() as connection:
        rows = gaps(connection, visit.caller.scope, gateway=gateway, before=before_id(cursor), limit=limit)
    return answer(request, page_by_id(GapAnswer, rows, limit))
