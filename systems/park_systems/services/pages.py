"""What the park and an enterprise see of requests."""

from typing import Final

from park_sdk.page import Alarms, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_systems.services.registers import REQUESTS
from park_wire.quantities import Text

SERVICES: Final = Page(
    id="requests",
    name=Text("综合服务", "Services"),
    widgets=(
        Values(
            Text("办理情况", "How it stands"),
            Points(quantities=("ticket-count", "ticket-overdue", "sla-remaining"), kinds=("park",)),
        ),
        Alarms(Text("当前报警", "Open alarms")),
        RegisterTable(Text("企业诉求", "Requests"), register="requests"),
        Trend(
            Text("在办与超期", "With the park, and overdue"),
            Points(quantities=("ticket-count", "ticket-overdue"), kinds=("park",)),
            hours=24.0,
        ),
        ReportForm(Text("月报", "Monthly report"), report="month"),
    ),
    readers=REQUESTS.readers,
)
