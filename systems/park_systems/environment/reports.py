"""Which emission limits are in force, by which standard, and which of them nobody has confirmed."""

from collections.abc import Mapping
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from park_sdk.alarm_rule import Strict
from park_sdk.days import Day, day_begins, day_ends
from park_sdk.register import Label, label_of
from park_sdk.report import NEWEST, Cell, Column, Data, Document, Fact, Need, RegisterNeed, ReportDef, Table
from park_systems.environment.limits import REGISTER
from park_systems.environment.registers import LimitRow
from park_wire.quantities import Text

_NAME: Final = Text("现行排放限值", "Emission limits in force")
_BASIS: Final = Text("排放限值台账", "register of emission limits")


class LimitsParams(Strict):
    """On which day."""

    day: Annotated[Day, Label("日期", "Day")]


def needs(params: LimitsParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The register as it is now: each row says itself on which days it holds."""
    return {"limits": RegisterNeed(REGISTER, NEWEST)}


def _word(field: str, value: str) -> Text:
    label = label_of(LimitRow.model_fields[field])
    found = {} if label is None else {each: Text(zh, en) for each, zh, en in label.values}
    return found.get(value, Text(value, value))


def build(params: LimitsParams, data: Data) -> Document:
    """The rows that are valid on the day, by outlet and pollutant."""
    known: list[LimitRow] = [row.record for row in data.registers["limits"]]
    valid = [
        row for row in known if row.valid_from <= params.day and (row.valid_to is None or params.day <= row.valid_to)
    ]
    valid.sort(key=lambda row: (row.outlet, row.asset or "", row.pollutant, row.limit))
    rows: list[tuple[Cell, ...]] = [
        (
            _word("outlet", row.outlet),
            row.asset,
            _word("pollutant", row.pollutant),
            row.lower_limit,
            row.limit,
            row.unit,
            _word("averaging", row.averaging),
            row.o2_reference,
            row.standard,
            Text("是", "yes") if row.confirmed else Text("否", "no"),
        )
        for row in valid
    ]
    return Document(
        title=_NAME,
        start=day_begins(params.day, data.time_zone),
        end=day_ends(params.day, data.time_zone),
        facts=(
            Fact("in-force", Text("现行限值", "Limits in force"), len(valid), source=_BASIS),
            Fact(
                "unconfirmed",
                Text("未确认的限值", "Limits that nobody has confirmed"),
                sum(not row.confirmed for row in valid),
                source=_BASIS,
            ),
        ),
        tables=(
            Table(
                "limits",
                _NAME,
                (
                    Column("outlet", Text("排口类别", "Outlet")),
                    Column("asset", Text("排口", "Asset")),
                    Column("pollutant", Text("污染物", "Pollutant")),
                    Column("lower-limit", Text("下限", "Lower limit")),
                    Column("limit", Text("限值", "Limit")),
                    Column("unit", Text("单位", "Unit")),
                    Column("averaging", Text("平均时间", "Averaging time")),
                    Column("o2-reference", Text("基准氧含量", "Reference oxygen"), unit="%"),
                    Column("standard", Text("标准及版本", "Standard and edition")),
                    Column("confirmed", Text("已确认", "Confirmed")),
                ),
                rows,
            ),
        ),
    )


LIMITS_IN_FORCE: Final = ReportDef(
    id="limits", name=_NAME, params=LimitsParams, needs=needs, build=build, registers=(REGISTER,)
)
