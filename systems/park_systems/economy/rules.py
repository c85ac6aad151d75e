"""When somebody has to ask an enterprise: it has not filed, or it uses far less electricity than it did."""

from collections.abc import Sequence

from park_sdk.alarm_rule import AlarmRule, Selector
from park_sdk.rules import Priority
from park_systems.economy.months import DUE_DAY
from park_systems.economy.settings import Settings
from park_wire.quantities import Text


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """The rules of a park with these settings."""
    return (
        AlarmRule(
            id="filing-overdue",
            name=Text("月报逾期未报", "Filing overdue"),
            kind="H",
            on=Selector(quantity="filing-overdue", asset_kind="site"),
            limit=0.0,
            priority=Priority.LOW,
            cause=Text("企业未按期上报月报，或退回后未更正", "A month was not filed in time, or not corrected"),
            consequence=Text("园区产值、税收和亩均指标缺数", "Output, tax and figures per mu of the park lack it"),
            action=Text("联系企业统计人员，督促上报", "Call the enterprise's statistician and have it filed"),
            respond_s=86_400,
            source=f"the park's own date: a month is filed by day {DUE_DAY} of the next; no standard sets it",
        ),
        AlarmRule(
            id="activity-low",
            name=Text("用电活跃度偏低", "Activity low"),
            kind="L",
            on=Selector(quantity="activity-index", asset_kind="site"),
            limit=settings.low,
            deadband=5.0,
            priority=Priority.LOW,
            cause=Text("停产、减产、检修或节假日", "Standstill, less production, maintenance or a holiday"),
            consequence=Text("当月产值可能下降", "The month's output may fall"),
            action=Text("向企业了解停减产原因和复产时间", "Ask the enterprise why, and when it goes on"),
            respond_s=86_400,
            source="limit from [system.economy] low, unconfirmed until the park sets watch_low; electricity is a proxy",
            enabled=settings.watch_low,
        ),
    )
