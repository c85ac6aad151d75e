"""Points: what is measured, where, in which unit, for whom."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    AskedText,
    Both,
    Cursor,
    Limit,
    Page,
    Reference,
    answer,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn
from park_platform.storage.points import PointFilter, PointRow, points
from park_wire.quantities import QUANTITIES

router = APIRouter(tags=["points"])


class AssetAnswer(Reference):
    """The asset of a point, and who owns it (null: the park)."""

    kind: str = Field(examples=["pressure-vessel"])
    owner: Reference | None


class QuantityAnswer(Answer):
    """What a point measures. `states` says what each value of a state means, and is empty otherwise."""

    id: str = Field(examples=["pressure"])
    name: Both
    kind: str = Field(examples=["gauge"])
    states: dict[int, Both] = Field(examples=[{}])


class PointAnswer(Answer):
    """A point. `low` and `high` are its measuring range in `unit`; `max_age_ms` is how long a value holds."""

    id: int
    key: str = Field(examples=["gw-1/tank-2/pressure"])
    stream: str
    gateway: str | None
    device: str
    name: str
    quantity: QuantityAnswer
    unit: str = Field(examples=["MPa"])
    low: float
    high: float
    period_ms: int
    max_age_ms: int
    asset: AssetAnswer | None


async def _ask(
    asset: Annotated[AskedText | None, Query(max_length=32, description="key of an asset 资产编号")] = None,
    quantity: Annotated[AskedText | None, Query(max_length=64, description="id of a quantity 物理量")] = None,
    enterprise: Annotated[AskedText | None, Query(max_length=32, description="key of an enterprise 企业编号")] = None,
    text: Annotated[AskedText | None, Query(max_length=64, description="part of a key or name 关键字")] = None,
) -> PointFilter:
    return PointFilter(asset=asset, quantity=quantity, enterprise=enterprise, text=text)


AskedPoints: TypeAlias = Annotated[PointFilter, Depends(_ask)]
"""Which points a request asks for."""


@router.get("/api/v1/points", response_model=Page[PointAnswer])
def list_points(
    request: Request, visit: SignedIn, asked: AskedPoints, cursor: Cursor = None, limit: Limit = DEFAULT_ROWS
) -> Response:
    """Points that the caller may see, by id 测点列表."""
    after = read_cursor(cursor, "id")
    with visit.read() as connection:
        rows = points(connection, visit.caller.scope, asked, after=after[0] if after else 0, limit=limit)
    following = write_cursor(rows[-1].id) if len(rows) == limit else None
    return answer(request, Page[PointAnswer](items=[point_answer(row) for row in rows], next=following))


def point_answer(row: PointRow) -> PointAnswer:
    """A point as every route shows it."""
    # A birth may name a quantity that a later release of the catalogue no longer has.
    known = QUANTITIES.get(row.quantity)
    name = Both(zh=row.quantity, en=row.quantity) if known is None else Both(zh=known.zh, en=known.en)
    states = {} if known is None else {value: Both(zh=text.zh, en=text.en) for value, text in known.states.items()}
    return PointAnswer(
        **{name_: getattr(row, name_) for name_ in _SAME},
        quantity=QuantityAnswer(
            id=row.quantity, name=name, kind="gauge" if known is None else known.kind.value, states=states
        ),
        unit=unit_of(row),
        asset=None if row.asset is None else AssetAnswer.model_validate(row.asset),
    )


def unit_of(row: PointRow) -> str:
    """The unit in which the point's values are stored: the canonical one of its quantity."""
    known = QUANTITIES.get(row.quantity)
    return row.unit if known is None else known.unit


_SAME = ("id", "key", "stream", "gateway", "device", "name", "low", "high", "period_ms", "max_age_ms")
