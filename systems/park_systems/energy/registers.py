"""The register of conversion factors (折标系数与排放因子): coal equivalent and CO2 by carrier, with what each rests on.

Each factor is a row of its own: coal equivalents change with the edition of a standard, the grid's CO2 every year.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from park_sdk.alarm_rule import Strict
from park_sdk.days import Day, due_by
from park_sdk.register import Label, Register, Row
from park_wire.quantities import Text

Carrier: TypeAlias = Literal["electricity", "natural-gas", "heat"]
Figure: TypeAlias = Literal["coal-equivalent", "co2"]

_FITS: Final[dict[tuple[Carrier, Figure], tuple[str, float, float]]] = {
    # Unit, and the range beyond which a factor is a slip of units: kgce/MJ for kgce/GJ, tonnes for kilograms.
    ("electricity", "coal-equivalent"): ("kgce/kWh", 0.1, 0.5),
    ("natural-gas", "coal-equivalent"): ("kgce/m3", 0.9, 1.5),
    ("heat", "coal-equivalent"): ("kgce/GJ", 30.0, 60.0),
    ("electricity", "co2"): ("kgCO2/kWh", 0.0, 1.5),
    ("natural-gas", "co2"): ("kgCO2/m3", 1.5, 2.7),
    ("heat", "co2"): ("kgCO2/GJ", 0.0, 300.0),
}


class FactorRow(Strict):
    """A factor. Of several that are in force the one that came into force last counts."""

    carrier: Annotated[
        Carrier,
        Label(
            "能源品种",
            "Carrier",
            values=(
                ("electricity", "电力", "Electricity"),
                ("natural-gas", "天然气", "Natural gas"),
                ("heat", "热力（蒸汽）", "Heat (steam)"),
            ),
        ),
    ]
    figure: Annotated[
        Figure,
        Label(
            "用途",
            "Figure",
            values=(("coal-equivalent", "折标准煤", "Coal equivalent"), ("co2", "二氧化碳排放", "CO2 emission")),
        ),
    ]
    factor: Annotated[float, Field(ge=0, le=1000), Label("系数", "Factor")]
    unit: Annotated[
        Literal["kgce/kWh", "kgce/m3", "kgce/GJ", "kgCO2/kWh", "kgCO2/m3", "kgCO2/GJ"], Label("单位", "Unit")
    ]
    valid_from: Annotated[Day, Label("生效日期", "Valid from")]
    valid_to: Annotated[Day | None, Label("失效日期（当日仍有效）", "Valid to (that day included)")] = None
    source: Annotated[str, Field(min_length=1, max_length=300), Label("依据", "Source")]
    edition: Annotated[str, Field(min_length=1, max_length=60), Label("版本或数据年份", "Edition or year of data")]
    confirmed: Annotated[bool, Label("已确认", "Confirmed")] = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        unit, low, high = _FITS[self.carrier, self.figure]
        if self.unit != unit:
            raise ValueError(Text(f"该系数的单位须为 {unit}", f"this factor is given in {unit}, not in {self.unit}"))
        if not low <= self.factor <= high:
            raise ValueError(
                Text(
                    f"系数 {self.factor:g} 超出 {low:g} 至 {high:g}，请确认单位是否为 {unit}",
                    f"factor {self.factor:g} is beyond {low:g} to {high:g}: is it meant in {unit}?",
                )
            )
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(ENDS_BEFORE_IT_BEGINS)
        return self


ENDS_BEFORE_IT_BEGINS: Final = Text("失效日期不得早于生效日期", "the last day must not lie before the first")


def _due(row: Row, _settings: Any, zone: ZoneInfo) -> datetime | None:
    """The end of its last day."""
    return None if row.record.valid_to is None else due_by(row.record.valid_to, zone)


_GB2589: Final = "GB/T 2589-2020 综合能耗计算通则"
_IN_FORCE: Final = date(2021, 4, 1)
_GRID: Final = "生态环境部、国家统计局 {year}年电力二氧化碳排放因子公告: 全国平均 (national average)"

FACTORS: Final = Register(
    id="factors",
    name=Text("折标系数与排放因子", "Conversion factors"),
    model=FactorRow,
    key=("carrier", "figure", "valid_from"),
    due=_due,
    first=(
        FactorRow(
            carrier="electricity",
            figure="coal-equivalent",
            factor=0.1229,
            unit="kgce/kWh",
            valid_from=_IN_FORCE,
            source=f"{_GB2589}: 当量值 (3,600 kJ/kWh)",
            edition="2020",
            confirmed=True,
        ),
        FactorRow(
            carrier="heat",
            figure="coal-equivalent",
            factor=34.12,
            unit="kgce/GJ",
            valid_from=_IN_FORCE,
            source=f"{_GB2589}: 热力（当量值） 0.03412 kgce/MJ",
            edition="2020",
            confirmed=True,
        ),
        FactorRow(
            carrier="natural-gas",
            figure="coal-equivalent",
            factor=1.2143,
            unit="kgce/m3",
            valid_from=_IN_FORCE,
            source=f"unconfirmed 未确认: {_GB2589}: 1.1000 至 1.3300，取决于热值；1.2143 按 8,500 kcal/m3，"
            "请按实测低位发热量填写 (by calorific value; this is 8,500 over 7,000 kcal: put in the measured one)",
            edition="2020",
        ),
        FactorRow(
            carrier="electricity",
            figure="co2",
            factor=0.5366,
            unit="kgCO2/kWh",
            valid_from=date(2024, 12, 20),
            valid_to=date(2025, 12, 30),
            source=_GRID.format(year=2022),
            edition="2022",
            confirmed=True,
        ),
        FactorRow(
            carrier="electricity",
            figure="co2",
            factor=0.5306,
            unit="kgCO2/kWh",
            valid_from=date(2025, 12, 31),
            source=_GRID.format(year=2023),
            edition="2023",
            confirmed=True,
        ),
        FactorRow(
            carrier="natural-gas",
            figure="co2",
            factor=2.1622,
            unit="kgCO2/m3",
            valid_from=date(2011, 5, 1),
            source="unconfirmed 未确认: 38,931 kJ/m3 x 15.3 tC/TJ x 0.99 x 44/12 (省级温室气体清单编制指南, 试行)，"
            "请按实测低位发热量填写 (put in the value for the measured net calorific value)",
            edition="2011",
        ),
        FactorRow(
            carrier="heat",
            figure="co2",
            factor=110.0,
            unit="kgCO2/GJ",
            valid_from=date(2015, 1, 1),
            source="unconfirmed 未确认: 0.11 tCO2/GJ, GB/T 32150 工业企业温室气体排放核算和报告通则，"
            "供热方未提供实测值时的缺省值 (its default where the supplier gives no measured factor)",
            edition="2025, 7.5",
        ),
    ),
)
