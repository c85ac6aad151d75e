"""Which special equipment has to be inspected, and which inspection is overdue."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from park_sdk.alarm_rule import Strict
from park_sdk.days import Day, day_begins, day_ends
from park_sdk.register import Label
from park_sdk.report import Cell, Column, Data, Document, Fact, Need, RegisterNeed, ReportDef, Table
from park_systems.safety.registers import KINDS, Equipment, next_date
from park_wire.quantities import Text

_NAME: Final = Text("特种设备检验到期", "Special equipment: inspections due")
_BASIS: Final = Text(
    "特种设备台账；TSG 08-2017 特种设备使用管理规则",
    "register of special equipment; TSG 08-2017 特种设备使用管理规则",
)


class InspectionsParams(Strict):
    """From which day, and how far ahead."""

    day: Annotated[Day, Label("日期", "Day")]
    days: Annotated[int, Field(ge=0, le=1000), Label("提前天数", "Days ahead", unit="d")] = 60


def needs(params: InspectionsParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The ledger as of the end of the day."""
    return {"equipment": RegisterNeed("safety.special-equipment", day_ends(params.day, zone))}


def build(params: InspectionsParams, data: Data) -> Document:
    """Overdue first, then by date."""
    kinds = {kind: Text(zh, en) for kind, zh, en in KINDS}
    known: list[Equipment] = [row.record for row in data.registers["equipment"]]
    dated = [(day, each) for each in known if (day := next_date(each)) is not None]
    wanted = sorted(
        (pair for pair in dated if pair[0] <= params.day + timedelta(days=params.days)),
        key=lambda pair: (pair[0], pair[1].registration_code),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            each.registration_code,
            each.name,
            kinds[each.kind],
            data.enterprises.get(each.enterprise, each.enterprise) if each.enterprise else None,
            each.next_inspection.isoformat(),
            None if each.safety_valve_due is None else each.safety_valve_due.isoformat(),
            (day - params.day).days,
            each.responsible,
        )
        for day, each in wanted
    ]
    overdue = sum(day < params.day for day, _ in wanted)
    return Document(
        title=_NAME,
        start=day_begins(params.day, data.time_zone),
        end=day_ends(params.day + timedelta(days=params.days), data.time_zone),
        facts=(
            Fact("in-use", Text("在用设备", "Equipment in use"), len(dated), source=_BASIS),
            Fact("due", Text("到期设备", "Due within the days asked for"), len(wanted), source=_BASIS),
            Fact("overdue", Text("超期设备", "Overdue"), overdue, source=_BASIS),
        ),
        tables=(
            Table(
                "inspections",
                _NAME,
                (
                    Column("registration-code", Text("使用登记证编号", "Registration number")),
                    Column("name", Text("设备名称", "Name")),
                    Column("kind", Text("设备类别", "Kind")),
                    Column("enterprise", Text("使用单位", "Enterprise")),
                    Column("next-inspection", Text("下次检验日期", "Next inspection")),
                    Column("safety-valve-due", Text("安全阀校验到期日", "Safety valve check due")),
                    Column("days-left", Text("剩余天数", "Days left"), unit="d", digits=0),
                    Column("responsible", Text("负责人", "Responsible person")),
                ),
                rows,
            ),
        ),
    )


INSPECTIONS: Final = ReportDef(
    id="inspections",
    name=_NAME,
    params=InspectionsParams,
    needs=needs,
    build=build,
    registers=("safety.special-equipment",),
)
