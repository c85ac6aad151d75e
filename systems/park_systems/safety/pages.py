"""What the park sees of its vessels, pipelines and gas detectors."""

from typing import Final

from park_sdk.page import Alarms, Gauges, Page, Points, RegisterTable, ReportForm, Trend, Values
from park_systems.safety.vessels import VESSELS
from park_wire.quantities import Text

SAFETY: Final = Page(
    id="safety",
    name=Text("安全应急", "Safety"),
    widgets=(
        Alarms(
            Text("当前报警", "Open alarms"),
        ),
        Gauges(
            Text("压力与设计压力之比", "Pressure over design pressure"),
            Points(quantities=("pressure-ratio",), kinds=VESSELS),
            low=0.0,
            high=1.2,
            alarm=1.0,
        ),
        Values(
            Text("压力容器", "Vessels"),
            Points(
                quantities=("pressure", "temperature", "level", "relief-valve", "pressure-rate", "time-to-limit"),
                kinds=VESSELS,
            ),
        ),
        Trend(Text("容器压力比", "Pressure ratio of vessels"), Points(quantities=("pressure-ratio",), kinds=VESSELS)),
        Gauges(
            Text("气体浓度占一级报警值之比", "Gas over its first alarm level"),
            Points(quantities=("gas-alarm-share",), kinds=("gas-detector",)),
            low=0.0,
            high=250.0,
            warn=100.0,
            alarm=200.0,
        ),
        Values(
            Text("管道", "Pipelines"),
            Points(
                quantities=(
                    "pipeline-flow",
                    "pipeline-pressure",
                    "pipeline-imbalance",
                    "pipeline-imbalance-15m",
                    "pipeline-imbalance-1h",
                ),
                kinds=("pipeline",),
            ),
        ),
        Trend(
            Text("管道输差（5 分钟）", "Pipeline imbalance, 5 min"),
            Points(quantities=("pipeline-imbalance",), kinds=("pipeline",)),
        ),
        RegisterTable(Text("特种设备台账", "Special equipment"), register="special-equipment"),
        ReportForm(Text("检验到期", "Inspections due"), report="inspections"),
    ),
)
