"""The ledger of special equipment (特种设备台账): what has to be inspected, by when, and who answers for it.

特种设备安全法 and TSG 08-2017 (特种设备使用管理规则) ask its user to keep such a file and to have it inspected in time.
The next date is the one that the inspection report gives: the platform works out none.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from park_sdk.alarm_rule import Id, Strict
from park_sdk.days import Day, due_by
from park_sdk.register import Label, Register, Row
from park_wire.quantities import Text

EquipmentKind: TypeAlias = Literal[
    "boiler", "pressure-vessel", "pressure-piping", "lifting", "elevator", "vehicle", "safety-valve"
]
KINDS: Final[tuple[tuple[EquipmentKind, str, str], ...]] = (
    ("boiler", "锅炉", "Boiler"),
    ("pressure-vessel", "压力容器", "Pressure vessel"),
    ("pressure-piping", "压力管道", "Pressure piping"),
    ("lifting", "起重机械", "Lifting appliance"),
    ("elevator", "电梯", "Lift"),
    ("vehicle", "场（厂）内专用机动车辆", "Vehicle for use within works"),
    ("safety-valve", "安全阀", "Safety valve"),
)

IN_USE: Final = "in-use"
OUT_OF_USE: Final = "out-of-use"
SCRAPPED: Final = "scrapped"


class Equipment(Strict):
    """A piece of special equipment with its dates."""

    registration_code: Annotated[
        str, Field(min_length=1, max_length=40), Label("使用登记证编号", "Registration number")
    ]
    name: Annotated[str, Field(min_length=1, max_length=80), Label("设备名称", "Name")]
    kind: Annotated[EquipmentKind, Label("设备类别", "Kind", values=KINDS)]
    asset: Annotated[Id | None, Label("资产编号", "Asset")] = None
    enterprise: Annotated[Id | None, Label("使用单位", "Enterprise")] = None
    design_pressure: Annotated[
        float | None, Field(ge=-0.1, le=1000), Label("设计压力（表压）", "Design pressure (gauge)", unit="MPa")
    ] = None
    design_temperature: Annotated[
        float | None, Field(ge=-273, le=2000), Label("设计温度", "Design temperature", unit="°C")
    ] = None
    safety_grade: Annotated[int | None, Field(ge=1, le=5), Label("安全状况等级", "Safety grade (1 to 5)")] = None
    last_inspection: Annotated[Day | None, Label("上次检验日期", "Last inspection")] = None
    next_inspection: Annotated[Day, Label("下次检验日期", "Next inspection")]
    safety_valve_due: Annotated[Day | None, Label("安全阀校验到期日", "Safety valve check due")] = None
    responsible: Annotated[str, Field(min_length=1, max_length=40), Label("负责人", "Responsible person")]
    state: Annotated[
        Literal["in-use", "out-of-use", "scrapped"],
        Label(
            "使用状态",
            "In use",
            values=(
                (IN_USE, "在用", "In use"),
                (OUT_OF_USE, "停用", "Out of use"),
                (SCRAPPED, "报废", "Scrapped"),
            ),
        ),
    ] = IN_USE

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last_inspection is not None and self.next_inspection <= self.last_inspection:
            raise ValueError(Text("下次检验日期须晚于上次检验日期", "the next inspection must come after the last one"))
        return self


def next_date(equipment: Equipment) -> date | None:
    """The next day by which something has to be done; None for what is not in use."""
    if equipment.state != IN_USE:
        return None
    dates = [equipment.next_inspection, equipment.safety_valve_due]
    return min(day for day in dates if day is not None)


def _due(row: Row, _settings: Any, zone: ZoneInfo) -> datetime | None:
    """The end of that day."""
    day = next_date(row.record)
    return None if day is None else due_by(day, zone)


SPECIAL_EQUIPMENT: Final = Register(
    id="special-equipment",
    name=Text("特种设备台账", "Special equipment"),
    model=Equipment,
    key=("registration_code",),
    enterprise="enterprise",
    assets=("asset",),
    writers=frozenset({"administrator", "operator", "safety"}),
    due=_due,
)
