"""Which dangerous goods licences end, and what each vehicle may weigh."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from park_sdk.alarm_rule import Strict
from park_sdk.days import Day, day_begins, day_ends
from park_sdk.register import Label
from park_sdk.report import Cell, Column, Data, Document, Fact, Need, RegisterNeed, ReportDef, Table
from park_systems.logistics.registers import ORDER_62, Vehicle, legal_mass
from park_wire.quantities import Text

_NAME: Final = Text("危险货物许可证到期", "Dangerous goods licences that end")
_BASIS: Final = Text("车辆台账", "register of vehicles")


class LicencesParams(Strict):
    """From which day, and how far ahead."""

    day: Annotated[Day, Label("日期", "Day")]
    days: Annotated[int, Field(ge=1, le=400), Label("提前天数", "Days ahead", unit="d")] = 60


def needs(params: LicencesParams, zone: ZoneInfo) -> Mapping[str, Need]:
    """The register as of the end of the day asked for."""
    return {"vehicles": RegisterNeed("logistics.vehicles", day_ends(params.day, zone))}


def build(params: LicencesParams, data: Data) -> Document:
    """Vehicles for dangerous goods whose licence has ended or ends within the days asked for, the soonest first."""
    vehicles: list[Vehicle] = [row.record for row in data.registers["vehicles"] if row.record.dangerous]
    last = params.day + timedelta(days=params.days)
    ending = sorted(
        (vehicle.licence_until, vehicle.plate, vehicle)
        for vehicle in vehicles
        if vehicle.licence_until is not None and vehicle.licence_until <= last
    )
    rows: list[tuple[Cell, ...]] = [
        (plate, data.enterprises.get(vehicle.enterprise or ""), vehicle.licence, until.isoformat(),
         (until - params.day).days, legal_mass(vehicle))
        for until, plate, vehicle in ending
    ]  # fmt: skip
    columns = (
        Column("plate", Text("车牌号", "Plate")),
        Column("enterprise", Text("企业", "Enterprise")),
        Column("licence", Text("许可证号", "Licence")),
        Column("until", Text("有效期至", "Valid until")),
        Column("days", Text("剩余天数", "Days left"), unit="d", digits=0),
        Column("mass", Text("限定总质量", "Legal mass"), unit="t", digits=1),
    )
    ended = sum(until < params.day for until, *_ in ending)
    return Document(
        title=_NAME,
        start=day_begins(params.day, data.time_zone),
        end=day_ends(last, data.time_zone),
        facts=(
            Fact("vehicles", Text("危险货物车辆数", "Vehicles for dangerous goods"), len(vehicles), source=_BASIS),
            Fact("ended", Text("已到期", "Ended"), ended, source=_BASIS),
            Fact("ending", Text("即将到期", "Ending"), len(ending) - ended, source=_BASIS),
        ),
        tables=(Table("licences", _NAME, columns, rows),),
        notes=(Text(f"限定总质量依据：{ORDER_62}", f"Legal mass after {ORDER_62}"),),
    )


LICENCES: Final = ReportDef(
    id="licences",
    name=_NAME,
    params=LicencesParams,
    needs=needs,
    build=build,
    registers=("logistics.vehicles",),
)
