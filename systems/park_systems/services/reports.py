"""Requests of a month: how many of each kind, how they stand, and which wait longest."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field

from park_sdk.alarm_rule import Id, Strict
from park_sdk.register import Label, Row
from park_sdk.report import Cell, Column, Data, Document, Fact, Need, RegisterNeed, ReportDef, Table
from park_systems.services.clock import to_us
from park_systems.services.derive import REGISTER, remaining_hours
from park_systems.services.registers import REQUESTS, WITH_THE_PARK, Request
from park_systems.services.settings import Settings
from park_wire.quantities import Text

_NAME: Final = Text("企业诉求月报", "Requests of a month")
_BASIS: Final = Text("企业诉求台账，按期末状态", "register of requests, as at the end of the month")
_TERMS: Final = Text("企业诉求台账；园区设定的时限", "register of requests; the terms that the park has set")
_STATES: Final = dict(REQUESTS.states)


class MonthParams(Strict):
    """Which month, and of whom."""

    year: Annotated[int, Field(ge=2000, le=2099), Label("年", "Year")]
    month: Annotated[int, Field(ge=1, le=12), Label("月", "Month")]
    enterprise: Annotated[Id | None, Label("企业", "Enterprise")] = None


def _bounds(params: MonthParams, zone: ZoneInfo) -> tuple[int, int]:
    following = params.year * 12 + params.month
    end = datetime(following // 12, following % 12 + 1, 1, tzinfo=zone)
    return to_us(datetime(params.year, params.month, 1, tzinfo=zone)), to_us(end)


def needs(params: MonthParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The register as it stood at the end of the month."""
    return {"requests": RegisterNeed(REGISTER, _bounds(params, zone)[1], enterprise=params.enterprise)}


def build(params: MonthParams, data: Data) -> Document:
    """What was asked in the month, counted by kind and state as at its end (or now, while it runs)."""
    assert isinstance(data.settings, Settings)  # noqa: S101 - the platform gives a system its own settings
    start, end = _bounds(params, data.time_zone)
    asked = [row for row in data.registers["requests"] if start <= to_us(row.record.asked_at) < end]
    waiting = [row for row in asked if row.state is None or row.state in WITH_THE_PARK]
    at = min(end, data.now)
    left = remaining_hours(waiting, np.array([at], np.int64), data.settings, data.time_zone)[0]
    order = np.argsort(left, kind="stable").tolist()
    return Document(
        title=_NAME,
        start=start,
        end=end,
        facts=(
            Fact("asked", Text("提出", "Asked"), len(asked), source=_BASIS),
            Fact("waiting", Text("在办", "With the park"), len(waiting), source=_BASIS),
            Fact("overdue", Text("超期", "Overdue"), int((left < 0).sum()), source=_TERMS),
        ),
        tables=(_by_kind(asked), _waiting([(waiting[place], float(left[place])) for place in order], data)),
        notes=(Text("时限为园区自定承诺", "The terms are the park's own promise"),),
    )


def _by_kind(asked: list[Row]) -> Table:
    counted = Counter((row.record.kind, row.state or "open") for row in asked)
    rows: list[tuple[Cell, ...]] = [
        (Text(zh, en), *(counted[kind, state] for state in _STATES)) for kind, zh, en in _kinds()
    ]
    columns = (Column("kind", Text("类别", "Kind")), *(Column(state, name) for state, name in _STATES.items()))
    return Table("kinds", Text("按类别", "By kind"), columns, rows)


def _kinds() -> tuple[tuple[str, str, str], ...]:
    label = next(item for item in Request.model_fields["kind"].metadata if isinstance(item, Label))
    return label.values


def _waiting(rows: list[tuple[Row, float]], data: Data) -> Table:
    columns = (
        Column("number", Text("编号", "Number")),
        Column("enterprise", Text("企业", "Enterprise")),
        Column("title", Text("标题", "Title")),
        Column("state", Text("状态", "State")),
        Column("left", Text("剩余时限", "Time left"), unit="h", digits=1),
    )
    cells: list[tuple[Cell, ...]] = [
        (
            row.record.number,
            data.enterprises.get(row.record.enterprise, row.record.enterprise),
            row.record.title,
            _STATES.get(row.state or "open"),
            None if np.isnan(left) else round(left, 3),
        )
        for row, left in rows
    ]
    return Table("waiting", Text("在办诉求", "Requests with the park"), columns, cells)


MONTH: Final = ReportDef(
    id="month",
    name=_NAME,
    params=MonthParams,
    needs=needs,
    build=build,
    # Who may not read a request learns nothing of it here.
    readers=REQUESTS.readers,
    registers=(REGISTER,),
)
