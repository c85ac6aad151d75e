"""How the centre itself is: for watchdogs and for people."""

from importlib.metadata import version

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import Answer, Time, answer, iso
from park_platform.api.door import SignedIn, serving
from park_platform.storage.gateways import streams
from park_wire.clock import wall_us

router = APIRouter(tags=["status"])


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
    """How the centre is, as of `at`."""

    version: str = Field(examples=["0.1.0"])
    at: Time
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
        at=iso(wall_us()),
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
