"""Readings: the latest of each point, and their history."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    CSV,
    DEFAULT_ROWS,
    MOST_ROWS,
    Answer,
    Cursor,
    Limit,
    Number,
    Page,
    Time,
    answer,
    csv_response,
    iso,
    preferred,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn
from park_platform.api.points import AskedPoints, unit_of
from park_platform.storage.latest import read_latest
from park_platform.storage.points import points
from park_sdk.frame import NEVER, Image
from park_wire import quality

router = APIRouter(tags=["readings"])

PointIds = Annotated[
    list[Annotated[int, Field(ge=1, lt=2**31)]] | None,
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
    after = read_cursor(cursor, int)
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
            "time": None if time == NEVER else iso(time),
            "value": value,
            "quality": code,
            "quality_name": "none" if time == NEVER else quality.name(code),
        }
        for time, value, code in columns
    ]


@router.get("/api/v1/history")
def show_history(visit: SignedIn) -> Response:
    return Response()
