"""The register of emission limits (排放限值): which limit applies to which outlet, by which standard, since when."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from park_sdk.alarm_rule import Id, Strict
from park_sdk.days import Day, due_by
from park_sdk.register import Label, Register, Row
from park_wire.quantities import Text

Pollutant: TypeAlias = Literal["so2", "nox", "dust", "cod", "ammonia-nitrogen", "ph"]
_UNITS: Final[dict[str, tuple[str, str]]] = {
    "so2": ("stack", "mg/m3"),
    "nox": ("stack", "mg/m3"),
    "dust": ("stack", "mg/m3"),
    "cod": ("outfall", "mg/L"),
    "ammonia-nitrogen": ("outfall", "mg/L"),
    "ph": ("outfall", "pH"),
}


class LimitRow(Strict):
    """A limit. Without an asset it applies to all outlets of its kind; the strictest of all that apply counts."""

    outlet: Annotated[
        Literal["stack", "outfall"],
        Label("排口类别", "Outlet", values=(("stack", "废气排口", "Stack"), ("outfall", "废水排口", "Outfall"))),
    ]
    asset: Annotated[Id | None, Label("排口（空为该类全部）", "Asset (empty: all of the kind)")] = None
    pollutant: Annotated[
        Pollutant,
        Label(
            "污染物",
            "Pollutant",
            values=(
                ("so2", "二氧化硫", "SO2"),
                ("nox", "氮氧化物", "NOx"),
                ("dust", "烟尘（颗粒物）", "Dust"),
                ("cod", "化学需氧量", "COD"),
                ("ammonia-nitrogen", "氨氮", "Ammonia nitrogen"),
                ("ph", "pH 值", "pH"),
            ),
        ),
    ]
    limit: Annotated[float, Field(gt=0, le=1e5), Label("限值（上限）", "Limit (upper)")]
    lower_limit: Annotated[float | None, Field(ge=0, le=14), Label("下限（仅 pH）", "Lower limit (pH only)")] = None
    unit: Annotated[Literal["mg/m3", "mg/L", "pH"], Label("单位", "Unit")]
    averaging: Annotated[
        Literal["instant", "hour", "day"],
        Label(
            "平均时间",
            "Averaging time",
            values=(
                ("instant", "瞬时", "At any time"),
                ("hour", "小时均值", "Mean of the hour"),
                ("day", "日均值", "Mean of the day"),
            ),
        ),
    ]
    o2_reference: Annotated[float | None, Field(ge=0, le=20), Label("基准氧含量", "Reference oxygen", unit="%")] = None
    standard: Annotated[str, Field(min_length=1, max_length=120), Label("标准及版本", "Standard and edition")]
    valid_from: Annotated[Day, Label("生效日期", "Valid from")]
    valid_to: Annotated[Day | None, Label("失效日期（当日仍有效）", "Valid to (that day included)")] = None
    confirmed: Annotated[bool, Label("已按排污许可证确认", "Confirmed against the discharge permit")] = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        outlet, unit = _UNITS[self.pollutant]
        if (self.outlet, self.unit) != (outlet, unit):
            where = Text("废气排口", "a stack") if outlet == "stack" else Text("废水排口", "an outfall")
            raise ValueError(
                Text(
                    f"该污染物的限值属于{where.zh}，单位须为 {unit}",
                    f"this pollutant belongs to {where.en} and is limited in {unit}",
                )
            )
        if (self.lower_limit is not None) != (self.pollutant == "ph"):
            raise ValueError(
                Text("pH 须填写下限，其他污染物没有下限", "pH needs a lower limit, and nothing else has one")
            )
        if self.lower_limit is not None and self.lower_limit >= self.limit:
            raise ValueError(Text("下限须小于限值", "the lower limit must lie below the limit"))
        if self.o2_reference is not None and outlet != "stack":
            raise ValueError(Text("只有废气排口有基准氧含量", "only a stack has a reference oxygen"))
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(Text("失效日期不得早于生效日期", "the last day must not lie before the first"))
        return self


def _due(row: Row, _settings: Any, zone: ZoneInfo) -> datetime | None:
    """The end of its last day."""
    return None if row.record.valid_to is None else due_by(row.record.valid_to, zone)


_ULTRA_LOW: Final = (
    "unconfirmed 未确认: 发改能源〔2014〕2093号 煤电节能减排升级与改造行动计划 (燃煤 coal power, 6 % O2)"
)
_GB18918: Final = "unconfirmed 未确认: GB 18918-2002 城镇污水处理厂污染物排放标准 表1 一级A (table 1, level 1A)"


def _stack(pollutant: Literal["so2", "nox", "dust"], limit: float) -> LimitRow:
    return LimitRow(
        outlet="stack",
        pollutant=pollutant,
        limit=limit,
        unit="mg/m3",
        averaging="hour",
        o2_reference=6.0,
        standard=_ULTRA_LOW,
        valid_from=date(2014, 9, 12),
    )


def _outfall(pollutant: Literal["cod", "ammonia-nitrogen"], limit: float) -> LimitRow:
    return LimitRow(
        outlet="outfall",
        pollutant=pollutant,
        limit=limit,
        unit="mg/L",
        averaging="day",
        standard=_GB18918,
        valid_from=date(2003, 7, 1),
    )


LIMITS: Final = Register(
    id="limits",
    name=Text("排放限值", "Emission limits"),
    model=LimitRow,
    key=("outlet", "asset", "pollutant", "averaging", "standard", "valid_from"),
    assets=("asset",),
    due=_due,
    # Which limit an outlet has to keep stands in its permit: none of these counts until somebody has confirmed it.
    first=(
        _stack("so2", 35.0),
        _stack("nox", 50.0),
        _stack("dust", 10.0),
        _outfall("cod", 50.0),
        _outfall("ammonia-nitrogen", 5.0),
        LimitRow(
            outlet="outfall",
            pollutant="ph",
            limit=9.0,
            lower_limit=6.0,
            unit="pH",
            averaging="instant",
            standard="GB 8978-1996 污水综合排放标准 表4 各级 (table 4, all levels)",
            valid_from=date(1998, 1, 1),
            confirmed=True,
        ),
    ),
)
