"""Alarms: list, one with its journal, acknowledge, reset."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    AskedText,
    Cursor,
    Hex,
    Limit,
    Moment,
    Number,
    Page,
    Reference,
    Time,
    answer,
    micros,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn, Visit
from park_platform.api.problems import Problem
from park_platform.storage import audit
from park_platform.storage.alarm_queries import AlarmFilter, AlarmView, alarm, alarm_journal, alarms
from park_platform.storage.alarm_rows import State
from park_platform.storage.alarms import Outcome, acknowledge, request_reset
from park_platform.storage.connect import Connection
from park_sdk.rules import Priority
from park_wire.clock import wall_us

router = APIRouter(tags=["alarms"])

AlarmId = Annotated[int, Path(ge=1, lt=2**63)]
# Somebody has said that they know, or it is over: to say it again is no mistake and changes nothing.
_NOTHING_TO_ACKNOWLEDGE: Final[frozenset[State]] = frozenset({"acknowledged", "latched_acknowledged", "normal"})


class RuleAnswer(Reference):
    """Why there is an alarm and what to do; `respond_s` is the time to respond in seconds."""

    kind: str = Field(examples=["HH"])
    cause: dict[str, str]
    consequence: dict[str, str]
    action: dict[str, str]
    respond_s: int | None


class PointOfAlarmAnswer(Answer):
    """The point that an alarm is about."""

    id: int
    key: str
    quantity: str
    unit: str


class AlarmAnswer(Answer):
    """An alarm in its state after ISA-18.2. Who acknowledged it is told within the park only."""

    id: int
    stream: str
    state: State
    priority: Priority
    subject: str
    raised_at: Time
    raised_value: Number
    limit: Number
    times_raised: int
    acked_at: Time | None
    acked_by: str | None
    cleared_at: Time | None
    closed_at: Time | None
    recorded_at: Time
    late: bool = Field(description="found when late readings came: never open, only history 迟到数据补判，仅作历史")
    rule: RuleAnswer
    point: PointOfAlarmAnswer | None
    asset: Reference | None
    enterprise: Reference | None


class JournalAnswer(Answer):
    """One line of the journal; `hash` chains it to the line before it in its stream."""

    seq: int
    at: Time
    kind: str = Field(examples=["raised"])
    value: Number
    limit: Number
    late: bool
    actor: str | None
    note: str | None
    recorded_at: Time
    hash: Hex


class AlarmWithJournal(AlarmAnswer):
    """An alarm with everything that happened to it, oldest first."""

    journal: list[JournalAnswer]


class Note(BaseModel):
    """What a person says about what they do."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "现场已确认 seen on site"}]})

    note: AskedText | None = None


class OutcomeAnswer(Answer):
    """The state of the alarm after the act."""

    id: int
    state: State


async def _ask(
    state: Annotated[list[State] | None, Query(max_length=6)] = None,
    priority: Annotated[list[Priority] | None, Query(max_length=4)] = None,
    open: Annotated[bool | None, Query(description="true: not closed yet 仅未关闭")] = None,  # noqa: A002
    since: Annotated[Moment | None, Query(description="raised at or after 起始时间")] = None,
    point: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
) -> AlarmFilter:
    return AlarmFilter(state, priority, open, None if since is None else micros(since), point)


@router.get("/api/v1/alarms", response_model=Page[AlarmAnswer])
def list_alarms(
    request: Request,
    visit: SignedIn,
    asked: Annotated[AlarmFilter, Depends(_ask)],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Alarms that the caller may see, newest first 报警列表."""
    parts = read_cursor(cursor, "time", "id")
    before = None if parts is None else (parts[0], parts[1])
    with visit.read() as connection:
        rows = alarms(connection, visit.caller.scope, asked, before=before, limit=limit)
    following = write_cursor(rows[-1].raised_at, rows[-1].id) if len(rows) == limit else None
    return answer(request, Page[AlarmAnswer](items=[_alarm(row) for row in rows], next=following))


@router.get("/api/v1/alarms/{alarm_id}", response_model=AlarmWithJournal)
def show_alarm(request: Request, visit: SignedIn, alarm_id: AlarmId) -> Response:
    """One alarm with its journal 报警详情."""
    with visit.read() as connection:
        row = alarm(connection, visit.caller.scope, alarm_id)
        lines = alarm_journal(connection, visit.caller.scope, alarm_id)
    if row is None:
        raise Problem("not-found")
    journal = [JournalAnswer.model_validate(line) for line in lines]
    return answer(request, AlarmWithJournal(**dict(_alarm(row)), journal=journal))


@router.post("/api/v1/alarms/{alarm_id}/acknowledge", response_model=OutcomeAnswer)
def acknowledge_alarm(visit: SignedIn, alarm_id: AlarmId, body: Annotated[Note | None, Body()] = None) -> OutcomeAnswer:
    """Say that a person knows of the alarm 确认报警. One that is acknowledged already, or closed, stays as it is."""
    note = None if body is None else body.note
    actor = visit.caller.person.name

    def act(connection: Connection) -> Outcome | None:
        return acknowledge(connection, alarm_id, actor, note, wall_us())

    return _act(visit, alarm_id, "alarm-acknowledged", act, settled=_NOTHING_TO_ACKNOWLEDGE)


@router.post("/api/v1/alarms/{alarm_id}/reset", status_code=202, response_model=OutcomeAnswer)
def reset_alarm(visit: SignedIn, alarm_id: AlarmId, body: Annotated[Note | None, Body()] = None) -> OutcomeAnswer:
    """Ask for a latched alarm to be reset 复位锁存报警. The intake carries it out with its next commit."""
    note = None if body is None else body.note
    actor = visit.caller.person.name

    def act(connection: Connection) -> Outcome | None:
        return request_reset(connection, alarm_id, actor, note)

    return _act(visit, alarm_id, "alarm-reset-requested", act)


def _act(
    visit: Visit,
    alarm_id: int,
    action: str,
    act: Callable[[Connection], Outcome | None],
    *,
    settled: Collection[State] = (),
) -> OutcomeAnswer:
    """Act and write it down. In one of the `settled` states there is nothing to do, and that is no problem."""
    with visit.write() as connection:
        outcome = act(connection)
        if outcome is None:
            raise Problem("not-found")
        if outcome.done:
            who, source = visit.caller.person.name, visit.caller.source
            after: dict[str, Any] = {"state": outcome.state}
            audit.append(connection, who, action, f"alarm/{alarm_id}", after=after, source=source)
    if not outcome.done and outcome.state not in settled:
        raise Problem("alarm-state", {"state": outcome.state})
    return OutcomeAnswer(id=alarm_id, state=outcome.state)


def _alarm(row: AlarmView) -> AlarmAnswer:
    return AlarmAnswer.model_validate(row)
