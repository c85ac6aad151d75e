"""The register of time-of-use tariffs (分时电价): which hours of which months are peak, flat or valley, and the ratio.

Tables are dated: spot markets and new notices replace the hours. Nothing is charged by them here.
"""

from datetime import date
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from park_sdk.alarm_rule import Id, Strict
from park_sdk.days import Day
from park_sdk.register import Label, Register
from park_systems.energy.registers import ENDS_BEFORE_IT_BEGINS
from park_wire.quantities import Text

Period: TypeAlias = Literal["sharp-peak", "peak", "flat", "valley", "deep-valley"]
_Month = Annotated[int, Field(ge=1, le=12)]
_Hour = Annotated[int, Field(ge=0, le=24)]


class TariffRow(Strict):
    """A stretch of the day in some months. Sharp peak and deep valley lie within a peak or a valley and prevail there.

    The ratio is to the flat price: 1.68 is 68 % more.
    """

    grid: Annotated[Id, Label("电网", "Grid")]
    first_month: Annotated[_Month, Label("起始月", "First month")]
    last_month: Annotated[_Month, Label("终止月（当月仍适用）", "Last month (that month included)")]
    period: Annotated[
        Period,
        Label(
            "时段",
            "Period",
            values=(
                ("sharp-peak", "尖峰", "Sharp peak"),
                ("peak", "峰", "Peak"),
                ("flat", "平", "Flat"),
                ("valley", "谷", "Valley"),
                ("deep-valley", "深谷", "Deep valley"),
            ),
        ),
    ]
    start_hour: Annotated[_Hour, Label("起始时刻", "Starts at", unit="h")]
    end_hour: Annotated[_Hour, Label("终止时刻", "Ends at", unit="h")]
    price_ratio: Annotated[float, Field(gt=0, le=10), Label("与平段价格之比", "Ratio to the flat price")]
    valid_from: Annotated[Day, Label("生效日期", "Valid from")]
    valid_to: Annotated[Day | None, Label("失效日期（当日仍有效）", "Valid to (that day included)")] = None
    source: Annotated[str, Field(min_length=1, max_length=300), Label("依据", "Source")]
    confirmed: Annotated[bool, Label("已确认", "Confirmed")] = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start_hour >= self.end_hour:
            raise ValueError(
                Text(
                    "终止时刻须晚于起始时刻；跨零点的时段请分成两条",
                    "it must end after it starts; cut a stretch at midnight",
                )
            )
        if self.first_month > self.last_month:
            raise ValueError(
                Text(
                    "终止月不得早于起始月；跨年的请分成两条",
                    "the last month must not come before the first; cut it at new year",
                )
            )
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(ENDS_BEFORE_IT_BEGINS)
        return self


_SOURCE: Final = (
    "unconfirmed 未确认: 内发改价费字〔2023〕1630号 (蒙西电网工商业分时电价)，据电网代理购电价格表，起始日期不详，"
    "可能已被后续文件替代 (as the grid's price table quotes it; its first day is not known, and later notices may have "
    "replaced it)"
)
# Windy months 1 to 5 and 9 to 12, calm months 6 to 8.
_WINDY: Final = ((1, 5), (9, 12))
_CALM: Final = ((6, 8),)
_HOURS: Final[tuple[tuple[tuple[tuple[int, int], ...], Period, float, tuple[tuple[int, int], ...]], ...]] = (
    (_WINDY, "peak", 1.68, ((6, 8), (18, 22))),
    (_WINDY, "flat", 1.0, ((4, 6), (8, 11), (16, 18), (22, 24))),
    (_WINDY, "valley", 0.48, ((0, 4), (11, 16))),
    (_CALM, "peak", 1.54, ((6, 8), (18, 22))),
    (_CALM, "flat", 1.0, ((0, 6), (8, 11), (16, 18), (22, 24))),
    (_CALM, "valley", 0.44, ((11, 16),)),
    # 20 % above the peak, 20 % below the valley.
    (_CALM, "sharp-peak", 1.848, ((19, 21),)),
    (_CALM, "deep-valley", 0.352, ((13, 15),)),
)

TARIFFS: Final = Register(
    id="tariffs",
    name=Text("分时电价", "Time-of-use tariffs"),
    model=TariffRow,
    key=("grid", "first_month", "period", "start_hour", "valid_from"),
    first=tuple(
        TariffRow(
            grid="mengxi",
            first_month=first,
            last_month=last,
            period=period,
            start_hour=start,
            end_hour=end,
            price_ratio=ratio,
            valid_from=date(2024, 1, 1),
            source=_SOURCE,
        )
        for months, period, ratio, hours in _HOURS
        for first, last in months
        for start, end in hours
    ),
)
