"""What the park sees of its stacks, outfalls and air."""

from typing import Final

from park_sdk.page import Alarms, Bars, Gauges, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_wire.quantities import Text

ENVIRONMENT: Final = Page(
    id="environment",
    name=Text("环境保护", "Environment"),
    widgets=(
        Alarms(Text("当前报警", "Open alarms")),
        Gauges(
            Text("折算浓度占限值之比", "Converted concentration over its limit"),
            Points(quantities=("so2-limit-share", "nox-limit-share", "dust-limit-share"), kinds=("stack",)),
            low=0.0,
            high=150.0,
            warn=90.0,
            alarm=100.0,
        ),
        Values(
            Text("废气排口", "Stacks"),
            Points(
                quantities=("so2", "nox", "dust", "o2", "flue-flow", "treatment-state", "stack-operation"),
                kinds=("stack",),
            ),
        ),
        Trend(
            Text("折算浓度", "Converted concentrations"),
            Points(
                kinds=("stack",),
                names=("environment.so2-converted", "environment.nox-converted", "environment.dust-converted"),
            ),
        ),
        Trend(
            Text("小时均值", "Means of the hour"),
            Points(quantities=("so2-hour", "nox-hour", "dust-hour"), kinds=("stack",)),
            hours=48.0,
        ),
        Values(
            Text("排放速率", "Emission rates"),
            Points(
                quantities=("so2-rate", "nox-rate", "dust-rate", "so2-hour-mass", "nox-hour-mass", "dust-hour-mass"),
                kinds=("stack",),
            ),
        ),
        Values(
            Text("废水排口", "Outfalls"),
            Points(
                quantities=(
                    "wastewater-flow",
                    "cod",
                    "cod-limit-share",
                    "cod-rate",
                    "ammonia-nitrogen",
                    "ammonia-nitrogen-limit-share",
                    "ammonia-nitrogen-rate",
                    "ph",
                    "ph-deviation",
                ),
                kinds=("outfall",),
            ),
        ),
        Bars(
            Text("废水排放量", "Wastewater discharged"),
            Points(quantities=("wastewater-volume",), kinds=("outfall",)),
        ),
        Trend(
            Text("小时排放量", "Discharged in the hour"),
            Points(quantities=("cod-hour-mass", "ammonia-nitrogen-hour-mass"), kinds=("outfall",)),
            hours=48.0,
        ),
        Trend(Text("排口 pH", "pH of outfalls"), Points(quantities=("ph",), kinds=("outfall",))),
        Values(
            Text("环境空气", "Ambient air"),
            Points(
                quantities=(
                    "aqi",
                    "pm25",
                    "pm10",
                    "so2-ambient",
                    "no2-ambient",
                    "co-ambient",
                    "o3-ambient",
                ),
                kinds=("air-station",),
            ),
        ),
        RegisterTable(Text("排放限值", "Emission limits"), register="limits"),
        ReportForm(Text("现行限值", "Limits in force"), report="limits"),
    ),
)
