"""Gateways, what is missing from them, and how the centre itself is."""

import time
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    Cursor,
    Hex,
    Limit,
    Page,
    Reference,
    Time,
    answer,
    before_id,
    iso,
    page_by_id,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn, serving
from park_platform.storage.gateways import gaps, gateways, streams

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
    from_ts: Time | None
    to_ts: Time | None
    n: int | None
    reason: str
    recorded_at: Time


class StreamAnswer(Answer):
    """A stream: who owns it, how far it is, how many values a second this process saw on it over 10 s."""

    name: str
    kind: str
    has_owner: bool
    term: int
    event_until: Time | None
    lag_us: int | None
    live_seq: int
    journal_seq: int
    values_per_s: float


class StatusAnswer(Answer):
    """How the centre is."""

    version: str = Field(examples=["0.1.0"])
    time: Time
    database: bool
    broker: bool
    live_clients: int
    streams: list[StreamAnswer]


class HealthAnswer(Answer):
    """Whether this process can do its work, and what it misses."""

    status: str = Field(examples=["ok"])
    missing: list[str] = Field(examples=[[]])


@router.get("/health", response_model=HealthAnswer, responses={503: {"model": HealthAnswer}})
def show_health(request: Request) -> Response:
    """For watchdogs: 200 when database and broker are there, else 503 健康检查."""
    hub = serving(request).hub
    parts = (("database", hub.database_up), ("broker", hub.broker_up))
    missing = [name for name, is_up in parts if not is_up]
    body = HealthAnswer(status="down" if missing else "ok", missing=missing)
    return JSONResponse(body.model_dump(), status_code=503 if missing else 200)


@router.get("/api/v1/status", response_model=StatusAnswer)
def show_status(request: Request, visit: SignedIn) -> Response:
    """How the centre is: database, broker, streams 系统状态."""
    hub = visit.shared.hub
    with visit.read() as connection:
        rows = streams(connection)
    rates = hub.rates()
    body = StatusAnswer(
        version=version("parkhub"),
        time=iso(time.time_ns() // 1000),
        database=hub.database_up,
        broker=hub.broker_up,
        live_clients=hub.clients,
        streams=[
            StreamAnswer(
                name=row.name,
                kind=row.kind,
                has_owner=row.has_owner,
                term=row.term,
                event_until=None if row.event_until is None else iso(row.event_until),
                lag_us=row.lag_us,
                live_seq=row.live_seq,
                journal_seq=row.journal_seq,
                values_per_s=rates.get(row.name, 0.0),
            )
            for row in rows
        ],
    )
    return answer(request, body)


@router.get("/api/v1/gateways", response_model=Page[GatewayAnswer])
def list_gateways(request: Request, visit: SignedIn, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS) -> Response:
    """Gateways by key, with state, lag and depth 网关列表."""
    after = read_cursor(cursor, str)
    with visit.read() as connection:
        rows = gateways(connection, after=after[0] if after else "", limit=limit)
    following = write_cursor(rows[-1].key) if len(rows) == limit else None
    items = [GatewayAnswer.model_validate(row) for row in rows]
    return answer(request, Page[GatewayAnswer](items=items, next=following))


@router.get("/api/v1/gaps", response_model=Page[GapAnswer])
def list_gaps(
    request: Request,
    visit: SignedIn,
    gateway: Annotated[str | None, Query(max_length=32)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Gaps of gateways that carry a point of the caller, newest first 数据缺口."""
    with visit.read() as connection:
        rows = gaps(connection, visit.caller.scope, gateway=gateway, before=before_id(cursor), limit=limit)
    return answer(request, page_by_id(GapAnswer, rows, limit))
