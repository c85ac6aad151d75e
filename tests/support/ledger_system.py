"""A small system with registers, for tests of storage, API and console: nothing of it is computed.

`devices` belong to enterprises or to the park, are due, and move from draft to filed to closed. `factors` are the
park's own and come with two first rows. `secrets` are read by administrators alone. `sensors` name assets of the park,
or none.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from park_sdk.register import EVERYBODY, Label, Register, Row, Step
from park_sdk.system import CONTRACT, System
from park_wire.quantities import Text


class Settings(BaseModel):
    """After how many years a device is inspected again."""

    years: int = 1


class Device(BaseModel):
    """A device that is inspected."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    code: Annotated[str, Field(min_length=1, max_length=40), Label("编号", "Code")]
    enterprise: Annotated[str | None, Label("企业", "Enterprise")] = None
    kind: Annotated[
        Literal["tank", "boiler"],
        Label("类别", "Kind", values=(("tank", "储罐", "Tank"), ("boiler", "锅炉", "Boiler"))),
    ]
    pressure: Annotated[float, Field(gt=0, le=100), Label("设计压力", "Design pressure", unit="MPa")]
    inspected: Annotated[date, Label("检验日期", "Inspected on")]
    units: Annotated[int, Field(ge=1), Label("台数", "Units")] = 1
    in_use: Annotated[bool, Label("在用", "In use")] = True
    remark: Annotated[str | None, Field(max_length=200), Label("备注", "Remark")] = None

    @model_validator(mode="after")
    def _fits(self) -> "Device":
        if self.kind == "boiler" and self.pressure > 30:
            raise ValueError(Text("锅炉压力不超过 30 MPa", "a boiler has 30 MPa at most"))
        return self


class Factor(BaseModel):
    """A factor with the standard that it is from."""

    fuel: Annotated[str, Field(min_length=1), Label("燃料", "Fuel")]
    year: Annotated[int, Field(ge=1990, le=2100), Label("年份", "Year")]
    factor: Annotated[float, Field(gt=0), Label("折标系数", "Factor", unit="kgce/kg")]
    source: Annotated[str, Label("依据", "Source")] = ""


class Sensor(BaseModel):
    """A sensor of an asset, or one that stands alone: half of its key may be empty."""

    asset: Annotated[str | None, Label("资产", "Asset")] = None
    name: Annotated[str, Field(min_length=1), Label("名称", "Name")]


def due(row: Row, settings: Settings, zone: ZoneInfo) -> datetime | None:
    """A year after the last inspection, as long as the device is not closed. Code "raise" raises."""
    device: Device = row.record
    if device.code == "raise":
        raise ZeroDivisionError
    if row.state == "closed":
        return None
    return datetime.combine(device.inspected.replace(year=device.inspected.year + settings.years), time(0), zone)


def not_in_future(device: Any, now: datetime) -> Sequence[Text]:
    """What stands against filing a device. Code "break" raises."""
    if device.code == "break":
        raise KeyError(device.code)
    if device.inspected > now.date():
        return [Text("检验日期在将来", "it was inspected in the future")]
    return []


DEVICES: Final = Register(
    id="devices",
    name=Text("设备台账", "Devices"),
    model=Device,
    key=("code",),
    enterprise="enterprise",
    readers=EVERYBODY - {"auditor"},
    writers=frozenset({"administrator", "operator", "enterprise"}),
    states=(
        ("draft", Text("草稿", "Draft")),
        ("filed", Text("已报送", "Filed")),
        ("closed", Text("已关闭", "Closed")),
    ),
    editable=frozenset({"draft"}),
    steps=(
        Step("file", Text("报送", "File"), ("draft",), "filed", frozenset({"enterprise", "operator"}), not_in_future),
        Step("return", Text("退回", "Return"), ("filed",), "draft", frozenset({"operator", "safety"}), note=True),
        Step("close", Text("关闭", "Close"), ("filed",), "closed", frozenset({"operator"})),
    ),
    due=due,
)
FACTORS: Final = Register(
    id="factors",
    name=Text("系数", "Factors"),
    model=Factor,
    key=("fuel", "year"),
    first=(
        Factor(fuel="coal", year=2020, factor=0.7143, source="GB/T 2589-2020"),
        Factor(fuel="diesel", year=2020, factor=1.4571, source="GB/T 2589-2020"),
    ),
)
SECRETS: Final = Register(
    id="secrets",
    name=Text("内部", "Internal"),
    model=Factor,
    key=("fuel",),
    readers=frozenset({"administrator"}),
    writers=frozenset({"administrator"}),
)
SENSORS: Final = Register(
    id="sensors",
    name=Text("传感器", "Sensors"),
    model=Sensor,
    key=("asset", "name"),
    assets=("asset",),
    writers=frozenset({"administrator", "operator"}),
)
LEDGER: Final = System(
    id="ledger",
    contract=CONTRACT,
    name=Text("台账", "Ledger"),
    settings=Settings,
    rules=lambda settings: (),
    registers=(DEVICES, FACTORS, SECRETS, SENSORS),
)
