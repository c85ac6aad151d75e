"""What the park sees of its traffic."""

from typing import Final

from park_sdk.page import Alarms, Events, Map, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_wire.quantities import Text

_PLATE: Final = ("plate", Text("车牌号", "Plate"))
_DIRECTION: Final = ("direction", Text("方向", "Direction"))

TRAFFIC: Final = Page(
    id="traffic",
    name=Text("交通物流", "Traffic and logistics"),
    widgets=(
        Map(Text("车辆位置", "Where vehicles are"), kinds=("truck",)),
        Alarms(Text("当前报警", "Open alarms")),
        Values(
            Text("车辆", "Vehicles"),
            Points(quantities=("speed", "speed-limit", "speed-excess", "geofence"), kinds=("truck",)),
        ),
        Values(
            Text("在园情况", "In the park"), Points(quantities=("vehicle-count", "dangerous-load"), kinds=("park",))
        ),
        Values(
            Text("地磅", "Weighbridge"),
            Points(quantities=("gross-weight", "net-weight", "net-mismatch", "overload"), kinds=("weighbridge",)),
        ),
        Trend(Text("超速值", "Speed above the limit"), Points(quantities=("speed-excess",), kinds=("truck",))),
        Events(
            Text("最近磅单", "Last weigh tickets"),
            event="weigh-ticket",
            columns=(
                ("ticket", Text("磅单号", "Ticket")),
                _PLATE,
                _DIRECTION,
                ("material", Text("货物", "Material")),
                ("gross_t", Text("毛重 (t)", "Gross (t)")),
                ("tare_t", Text("皮重 (t)", "Tare (t)")),
                ("net_t", Text("净重 (t)", "Net (t)")),
            ),
        ),
        Events(
            Text("最近过闸", "Last gate passes"),
            event="gate-pass",
            columns=(
                ("gate", Text("门岗", "Gate")),
                _PLATE,
                _DIRECTION,
                ("vehicle_class", Text("车型", "Class")),
                ("dangerous", Text("危险货物", "Dangerous goods")),
            ),
        ),
        RegisterTable(Text("车辆台账", "Vehicles"), register="vehicles"),
        ReportForm(Text("证照到期", "Licences that end"), report="licences"),
    ),
)
