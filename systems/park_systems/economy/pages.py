"""What the park and an enterprise see of its economy."""

from typing import Final

from park_sdk.page import Alarms, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_systems.economy.registers import READERS
from park_wire.quantities import Text

ECONOMY: Final = Page(
    id="economy",
    name=Text("经济运行", "Economy"),
    widgets=(
        Alarms(Text("当前报警", "Open alarms")),
        Values(
            Text("企业指标", "Enterprises"),
            Points(
                quantities=(
                    "activity-index",
                    "output-per-mu",
                    "tax-per-mu",
                    "growth",
                    "filing-months",
                    "filing-overdue",
                ),
                kinds=("site",),
            ),
        ),
        Trend(
            Text("用电活跃度（非产值）", "Activity by electricity (not output)"),
            Points(quantities=("activity-index",), kinds=("site",)),
            hours=168.0,
        ),
        Trend(
            Text("用电负荷", "Electric load"),
            Points(names=("active-power",), kinds=("electricity-meter",)),
            hours=24.0,
        ),
        RegisterTable(Text("企业月报", "Monthly filings"), register="filings"),
        ReportForm(Text("亩均效益", "Output and tax per mu"), report="per-mu"),
    ),
    readers=READERS,
)
