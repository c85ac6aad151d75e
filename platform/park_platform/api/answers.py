"""How answers look: pages with cursors, times as text, ETags, and the choice between JSON and CSV."""

import base64
import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, Literal, TypeAlias, TypeVar

from fastapi import Query
from fastapi.responses import Response
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
)
from starlette.requests import Request

from park_platform.api.problems import Problem
from park_sdk.register_csv import RISKY

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST_ROWS: Final = 1_000
DEFAULT_ROWS: Final = 100
CSV: Final = "text/csv"
JSON: Final = "application/json"


def iso(us: int) -> str:
    """Time in µs UTC as 2026-11-23T02:00:00.123456Z."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _iso_of(value: Any) -> Any:
    return iso(value) if isinstance(value, int) else value


def _iso_or_none(value: Any) -> Any:
    try:
        return _iso_of(value)
    except OverflowError:
        return None


def _hex_of(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


Time: TypeAlias = Annotated[
    str,
    BeforeValidator(_iso_of),
    Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-23T02:00:00.000000Z"]),
]
WildTime: TypeAlias = Annotated[str | None, BeforeValidator(_iso_or_none)]
"""A time that nobody has checked; null where no calendar has it."""
Number: TypeAlias = Annotated[float | None, BeforeValidator(_finite)]
"""A value; null where a bad reading has none."""
Hex: TypeAlias = Annotated[str, BeforeValidator(_hex_of)]


def _within_calendar(moment: datetime) -> datetime:
    if not _EPOCH <= moment < datetime(2200, 1, 1, tzinfo=UTC):
        raise ValueError("outside 1970 to 2200")
    return moment


Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
"""A time in a request: ISO 8601 with its offset from UTC."""

# A constraint also makes pydantic refuse what is no UTF-8 (lone surrogates); PostgreSQL stores no NUL.
AskedText: TypeAlias = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]
"""The type of every text in a request: what the database can take. A route may set a shorter `max_length`."""


def micros(moment: datetime) -> int:
    """A time in µs UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Answer(BaseModel):
    """What routes answer with; made from the rows of storage."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Both(Answer):
    """A name or sentence in both languages."""

    zh: str
    en: str


class Reference(Answer):
    """Something with a key and a name."""

    key: str
    name: Both


_Item = TypeVar("_Item", bound=Answer)


class Page(Answer, Generic[_Item]):
    """Some items; `next`, sent as `cursor`, asks for those that follow, null when there are none."""

    items: list[_Item]
    next: str | None


Limit: TypeAlias = Annotated[int, Query(ge=1, le=MOST_ROWS, description="items a page 每页条数")]
Cursor: TypeAlias = Annotated[
    AskedText | None, Query(max_length=200, description="`next` of the page before 上一页的 next")
]

Part: TypeAlias = Literal["id", "time", "text"]
_LIST: Final = TypeAdapter(list[Any])
_PARTS: Final[dict[Part, TypeAdapter[Any]]] = {
    "id": TypeAdapter(Annotated[int, Field(strict=True, ge=0, lt=2**63)]),
    # Years 1 to 9999: a list shows no other times, and the database can hold these.
    "time": TypeAdapter(Annotated[int, Field(strict=True, ge=-62_135_596_800_000_000, lt=253_402_300_800_000_000)]),
    "text": TypeAdapter(AskedText),
}


def write_cursor(*parts: int | str) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *kinds: Part) -> list[Any] | None:
    """The parts of a cursor (ids, times in µs UTC, texts), None for none. Raises Problem when it is of another kind."""
    if cursor is None:
        return None
    try:
        parts: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        found: list[Any] = _LIST.validate_python(parts)
        return [_PARTS[kind].validate_python(part) for part, kind in zip(found, kinds, strict=True)]
    # No base64, no JSON, no list, another length, or another kind of part: all of them ValueErrors.
    except ValueError:
        raise Problem("cursor-unknown") from None


def before_id(cursor: str | None) -> int | None:
    """The id before which a page of a list that is ordered by falling id goes on."""
    parts = read_cursor(cursor, "id")
    return None if parts is None else parts[0]


def page_by_id(kind: type[_Item], rows: Sequence[Any], limit: int) -> Page[_Item]:
    """A page of rows that are ordered by id; a full one may have a next."""
    following = write_cursor(rows[-1].id) if len(rows) == limit else None
    return Page[kind](items=[kind.model_validate(row) for row in rows], next=following)


def answer(request: Request, body: Answer) -> Response:
    """The answer as JSON with an ETag, or 304 when the caller has it."""
    content = body.model_dump_json().encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(content, media_type=JSON, headers={"ETag": etag})


def preferred(request: Request) -> Literal["text/csv", "application/json"]:
    """Which of JSON and CSV the Accept header prefers; JSON when it does not care. Raises Problem for neither."""
    best: dict[str, float] = {}
    for part in request.headers.get("accept", "*/*").split(",")[:16]:
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            best[media] = float(weight)
        except ValueError:
            best[media] = 0.0
    anything = best.get("*/*", 0.0)
    weights = {
        JSON: best.get(JSON, best.get("application/*", anything)),
        CSV: best.get(CSV, best.get("text/*", anything)),
    }
    if max(weights.values()) <= 0:
        raise Problem("not-acceptable", {"offered": [JSON, CSV]})
    return CSV if weights[CSV] > weights[JSON] else JSON


def csv_response(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A CSV file (UTF-8 with BOM, for spreadsheets). Text that a spreadsheet would compute is made plain text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue().encode("utf-8-sig"), media_type=f"{CSV}; charset=utf-8", headers=headers)


def _plain(cell: Any) -> Any:
    if isinstance(cell, str) and cell[:1] in RISKY:
        return "'" + cell
    return _finite(cell)
