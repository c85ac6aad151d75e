"""Readings: the latest of each point, and their history."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import numpy as np
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    CSV,
    DEFAULT_ROWS,
    MOST_ROWS,
    Answer,
    Both,
    Cursor,
    Limit,
    Moment,
    Number,
    Page,
    Time,
    answer,
    csv_response,
    iso,
    micros,
    preferred,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn
from park_platform.api.points import AskedPoints, unit_of
from park_platform.api.problems import Problem
from park_platform.storage.gateways import gaps_within
from park_platform.storage.history import NO_READING, QueryTooLarge, Series, history
from park_platform.storage.latest import read_latest
from park_platform.storage.points import PointFilter, PointRow, points
from park_sdk.frame import NEVER, Image
from park_wire import quality
from park_wire.clock import wall_us

router = APIRouter(tags=["readings"])

MOST_HISTORY_POINTS: Final = 100
MOST_HISTORY_ROWS: Final = 10_000
_HISTORY_HEAD: Final = ("time", "point", "key", "value", "unit", "low", "high", "quality", "quality_name")

PointId: TypeAlias = Annotated[int, Field(ge=1, lt=2**31)]
PointIds: TypeAlias = Annotated[
    list[PointId] | None,
    Query(max_length=MOST_ROWS, description="ids of points; may be repeated 测点编号，可重复"),
]


class LatestAnswer(Answer):
    """The last reading of a point. `time` and `value` null: none yet; `value` null alone: bad, without a value."""

    point: int
    key: str = Field(examples=["gw-1/tank-2/pressure"])
    quantity: str = Field(examples=["pressure"])
    unit: str = Field(examples=["MPa"])
    time: Time | None
    value: Number
    quality: int = Field(description="code in bits 0-7, data mark in 8-11, late 12, estimated 13")
    quality_name: str = Field(examples=["good"])


@router.get("/api/v1/latest", response_model=Page[LatestAnswer], responses={200: {"content": {CSV: {}}}})
def list_latest(
    request: Request,
    visit: SignedIn,
    asked: AskedPoints,
    point: PointIds = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """The last readings of points that the caller may see, by point id, as JSON or CSV 最新值."""
    media = preferred(request)
    after = read_cursor(cursor, "id")
    wanted = asked.of(point)
    with visit.read() as connection:
        rows = points(connection, visit.caller.scope, wanted, after=after[0] if after else 0, limit=limit)
        image = read_latest(connection, np.array([row.id for row in rows], np.int32)).image
    items = [
        LatestAnswer(point=row.id, key=row.key, quantity=row.quantity, unit=unit_of(row), **reading)
        for row, reading in zip(rows, _readings(image), strict=True)
    ]
    if media == CSV:
        head = list(LatestAnswer.model_fields)
        return csv_response("latest", head, (list(item.model_dump().values()) for item in items))
    following = write_cursor(rows[-1].id) if len(rows) == limit else None
    return answer(request, Page[LatestAnswer](items=items, next=following))


def _readings(image: Image) -> list[dict[str, Any]]:
    columns = zip(image.time.tolist(), image.value.tolist(), image.quality.tolist(), strict=True)
    return [
        {
            "time": None if at == NEVER else iso(at),
            "value": value,
            "quality": code,
            "quality_name": "none" if at == NEVER else quality.name(code),
        }
        for at, value, code in columns
    ]


class SeriesAnswer(Answer):
    """One point's rows as columns of one length. `time_us` is µs since 1970 UTC; `value` null: bad, without a value.

    Without low and high each row is a reading. With them it is a bucket of `bucket_us` from `time_us` on: value is its
    mean (a counter's last reading), low and high what it ranged over. A row of quality -1 is no reading: from there on
    nothing is known, so a gap stays a gap.
    """

    point: int
    key: str = Field(examples=["gw-1/tank-2/pressure"])
    quantity: str = Field(examples=["pressure"])
    unit: str = Field(examples=["MPa"])
    time_us: list[int] = Field(examples=[[1795399200000000]])
    value: list[float | None] = Field(examples=[[1.25]])
    quality: list[int] = Field(examples=[[0]])
    low: list[float | None] | None
    high: list[float | None] | None


class GapSpanAnswer(Answer):
    """A stretch of which something of a gateway is known to be missing. `to_time` null: it has no end yet."""

    gateway: str
    from_time: Time
    to_time: Time | None
    reason: Both


class HistoryAnswer(Answer):
    """Series in the order that was asked for. `grain`: from readings (raw) or from one-minute rollups (1m).

    gaps: the declared gaps of the points' gateways that reach into the span.
    """

    grain: str = Field(examples=["raw"])
    bucket_us: int | None
    series: list[SeriesAnswer]
    gaps: list[GapSpanAnswer]


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    most: int


async def _ask_span(
    start: Annotated[Moment, Query(description="from 起始时间", examples=["2026-11-23T00:00:00+08:00"])],
    end: Annotated[Moment, Query(description="up to, without it 结束时间", examples=["2026-11-24T00:00:00+08:00"])],
    max_points: Annotated[int, Query(ge=2, le=MOST_HISTORY_ROWS, description="rows a point 每测点行数")] = 1_000,
) -> _Span:
    if start >= end:
        raise Problem("request-wrong", {"fields": ["query.start", "query.end"]})
    return _Span(micros(start), micros(end), max_points)


@router.get("/api/v1/history", response_model=HistoryAnswer, responses={200: {"content": {CSV: {}}}})
def show_history(
    request: Request,
    visit: SignedIn,
    span: Annotated[_Span, Depends(_ask_span)],
    point: Annotated[list[PointId], Query(min_length=1, max_length=MOST_HISTORY_POINTS, description="ids 测点编号")],
) -> Response:
    """What points showed from start to end, as JSON columns or CSV 历史数据."""
    media = preferred(request)
    ids = list(dict.fromkeys(point))
    with visit.read() as connection:
        rows = points(connection, visit.caller.scope, PointFilter(ids=ids), after=0, limit=len(ids))
        known = {row.id: row for row in rows}
        if missing := [number for number in ids if number not in known]:
            raise Problem("points-unknown", {"points": missing})
        try:
            found = history(connection, ids, span.start, span.end, span.most, now=wall_us())
        except QueryTooLarge as error:
            raise Problem("query-too-large", {"reason": str(error)}) from error
        gaps = gaps_within(connection, ids, span.start, span.end)
    if media == CSV:
        lines = (line for series in found.series for line in _lines(series, known[series.point]))
        return csv_response("history", _HISTORY_HEAD, lines)
    series = [_series(series, known[series.point]) for series in found.series]
    missing = [GapSpanAnswer.model_validate(gap) for gap in gaps]
    return answer(request, HistoryAnswer(grain=found.grain, bucket_us=found.bucket_us, series=series, gaps=missing))


def _series(series: Series, row: PointRow) -> SeriesAnswer:
    # Not validated again: it is a hundred times the work, and NaN becomes null when it is written.
    return SeriesAnswer.model_construct(
        point=row.id,
        key=row.key,
        quantity=row.quantity,
        unit=unit_of(row),
        time_us=series.time.tolist(),
        value=series.value.tolist(),
        quality=series.quality.tolist(),
        low=None if series.low is None else series.low.tolist(),
        high=None if series.high is None else series.high.tolist(),
    )


def _lines(series: Series, row: PointRow) -> Iterator[tuple[object, ...]]:
    nothing = [None] * len(series.time)
    columns = zip(
        series.time.tolist(),
        series.value.tolist(),
        nothing if series.low is None else series.low.tolist(),
        nothing if series.high is None else series.high.tolist(),
        series.quality.tolist(),
        strict=True,
    )
    unit = unit_of(row)
    for time_us, value, low, high, code in columns:
        name = "no_reading" if code == NO_READING else quality.name(code)
        yield iso(time_us), row.id, row.key, value, unit, low, high, code, name
