"""What the park sees of its energy."""

from typing import Final

from park_sdk.page import Alarms, Bars, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_wire.quantities import Text

_SITES: Final = ("site", "park")

ENERGY: Final = Page(
    id="energy",
    name=Text("能源消耗", "Energy"),
    widgets=(
        Alarms(Text("当前报警", "Open alarms")),
        Values(
            Text("实时功率与需量", "Power and demand now"),
            Points(
                kinds=("electricity-meter",),
                names=("active-power", "energy.demand", "energy.imbalance", "power-factor"),
            ),
        ),
        Values(
            Text("水、气、热瞬时量", "Water, gas and heat now"),
            Points(
                quantities=("water-flow", "reclaimed-water-flow", "gas-flow", "steam-flow", "heat-power"),
                kinds=("water-meter", "reclaimed-water-meter", "gas-meter", "steam-meter"),
            ),
        ),
        Values(
            Text("上一小时综合能耗", "Energy in the last hour"),
            Points(quantities=("energy-hour", "coal-equivalent-hour", "co2-hour"), kinds=_SITES),
        ),
        Bars(
            Text("用电量（含分表，不可相加）", "Electricity (with sub-meters: not to be added)"),
            Points(quantities=("active-energy",), kinds=("electricity-meter",)),
        ),
        Bars(
            Text("用气量（含分表，不可相加）", "Gas (with sub-meters: not to be added)"),
            Points(quantities=("gas-volume",), kinds=("gas-meter",)),
        ),
        Bars(
            Text("用热量（含分表，不可相加）", "Heat (with sub-meters: not to be added)"),
            Points(quantities=("heat-energy",), kinds=("steam-meter",)),
        ),
        Trend(
            Text("需量（15 分钟）", "Demand, 15 min"),
            Points(quantities=("demand",), kinds=("electricity-meter",)),
            hours=24.0,
        ),
        Trend(
            Text("小时折标准煤量", "Coal equivalent by the hour"),
            Points(quantities=("coal-equivalent-hour",), kinds=_SITES),
            hours=48.0,
        ),
        Trend(
            Text("计量不平衡率", "Metering imbalance"),
            Points(quantities=("imbalance",)),
            hours=24.0,
        ),
        RegisterTable(Text("折标系数与排放因子", "Conversion factors"), register="factors"),
        RegisterTable(Text("分时电价", "Time-of-use tariffs"), register="tariffs"),
        ReportForm(Text("能耗月报", "Energy of a month"), report="monthly"),
    ),
)
