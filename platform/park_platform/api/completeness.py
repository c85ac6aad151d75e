"""How complete the readings are: expected and received, gaps with their reasons, the share of good quality."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from starlette.requests import Request

from park_platform.api.answers import CSV, Answer, Both, Moment, Time, answer, csv_response, iso, micros, preferred
from park_platform.api.door import SignedIn
from park_platform.api.points import AskedPoints
from park_platform.api.problems import Problem
from park_platform.completeness import By, Line, Step, edges_of, lines
from park_platform.storage.completeness import MOST_CELLS, count_readings
from park_platform.storage.gateways import gaps_within
from park_platform.storage.history import QueryTooLarge
from park_platform.storage.points import points

router = APIRouter(tags=["readings"])
_MOST_POINTS: Final = 5_000
_MOST_LINES: Final = 20_000
_HEAD: Final = (
    "key",
    "start",
    "end",
    "expected",
    "received",
    "good",
    "completeness",
    "good_share",
    "reason_zh",
    "reason_en",
)


class CompletenessLine(Answer):
    """One stretch of one point, gateway or enterprise. completeness, good_share: 0 to 1, null: nothing to share.

    reasons: why something is missing; empty when nothing is.
    """

    key: str
    start: Time
    end: Time
    expected: float
    received: float
    good: float
    completeness: float | None
    good_share: float | None
    reasons: list[Both]


class CompletenessAnswer(Answer):
    """Lines by key and time. Minutes that are not rolled up yet are not expected yet."""

    by: By
    step: Step
    items: list[CompletenessLine]


@dataclass(frozen=True, slots=True)
class _Asked:
    start: int
    end: int
    by: By
    step: Step


async def _ask(
    start: Annotated[Moment, Query(description="from 起始时间", examples=["2026-11-23T00:00:00+08:00"])],
    end: Annotated[Moment, Query(description="up to, without it 结束时间", examples=["2026-11-24T00:00:00+08:00"])],
    by: Annotated[By, Query(description="what a line is about 统计对象")] = "gateway",
    step: Annotated[Step, Query(description="of the park's clock 统计步长（园区时区）")] = "day",
) -> _Asked:
    if start >= end:
        raise Problem("request-wrong", {"fields": ["query.start", "query.end"]})
    return _Asked(micros(start), micros(end), by, step)


@router.get("/api/v1/completeness", response_model=CompletenessAnswer, responses={200: {"content": {CSV: {}}}})
def show_completeness(
    request: Request, visit: SignedIn, asked: Annotated[_Asked, Depends(_ask)], which: AskedPoints
) -> Response:
    """Readings that should have come and that came, of measured points that the caller may see 数据完整率."""
    media = preferred(request)
    edges = edges_of(asked.start, asked.end, asked.step, visit.shared.systems.zone())
    with visit.read() as connection:
        found = points(connection, visit.caller.scope, which, after=0, limit=_MOST_POINTS + 1)
        # What is derived is no reading of a gateway; only its names have a dot.
        measured = [point for point in found if "." not in point.name]
        if len(found) > _MOST_POINTS or len(measured) * (len(edges) - 1) > MOST_CELLS:
            raise Problem("query-too-large", {"reason": f"more than {_MOST_POINTS} points or {MOST_CELLS} stretches"})
        ids = [point.id for point in measured]
        try:
            counted = count_readings(connection, ids, edges)
        except QueryTooLarge as error:
            raise Problem("query-too-large", {"reason": str(error)}) from error
        gaps = gaps_within(connection, ids, int(edges[0]), int(edges[-1]))
    told = lines(measured, counted, edges, gaps, asked.by)
    if len(told) > _MOST_LINES:
        raise Problem("query-too-large", {"reason": f"{len(told)} lines are more than {_MOST_LINES}"})
    if media == CSV:
        return csv_response("completeness", _HEAD, (_row(line) for line in told))
    return answer(request, CompletenessAnswer(by=asked.by, step=asked.step, items=[_line(line) for line in told]))


def _line(line: Line) -> CompletenessLine:
    return CompletenessLine(
        key=line.key,
        start=iso(line.start),
        end=iso(line.end),
        expected=line.expected,
        received=line.received,
        good=line.good,
        completeness=line.completeness,
        good_share=line.good_share,
        reasons=[Both(zh=reason.zh, en=reason.en) for reason in line.reasons],
    )


def _row(line: Line) -> tuple[Any, ...]:
    return (
        *(line.key, iso(line.start), iso(line.end), line.expected, line.received, line.good),
        *(line.completeness, line.good_share),
        *("; ".join(getattr(reason, language) for reason in line.reasons) for language in ("zh", "en")),
    )
