"""When the energy system alarms: above the demand that an asset is designed for, and when meters do not balance."""

from collections.abc import Sequence

from park_sdk.alarm_rule import AlarmRule, DesignLimit, Selector
from park_sdk.rules import Priority
from park_systems.energy.settings import Settings
from park_wire.quantities import Text


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """The rules of a park with these settings."""
    return (_demand(), _lost(settings), _gained(settings))


def _demand() -> AlarmRule:
    return AlarmRule(
        id="demand",
        name=Text("需量超限", "Demand above its limit"),
        kind="H",
        on=Selector(quantity="demand", asset_kind="electricity-meter"),
        # The contract's demand or the transformer's capacity: the asset says so, and without it nothing is watched.
        design_limit=DesignLimit(quantity="demand", times=1.0),
        off_delay_s=60.0,
        priority=Priority.MEDIUM,
        cause=Text("同时投运的负荷过多", "Too many loads run at once"),
        consequence=Text(
            "超过约定最大需量须加价付费，变压器或进线可能过载",
            "Demand above the contract is charged extra; the transformer or the line may be overloaded",
        ),
        action=Text(
            "错开大负荷的启动，压减可中断负荷", "Stagger the start of large loads, shed what can be interrupted"
        ),
        respond_s=900,
        source="design value demand of the asset: kW of its supply contract or of its transformer",
    )


def _lost(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="imbalance-high",
        name=Text("分表合计低于总表", "Sub-meters count less than their meter"),
        kind="H",
        on=Selector(quantity="imbalance"),
        limit=settings.imbalance_limit,
        on_delay_s=900.0,
        priority=Priority.LOW,
        cause=Text(
            "有未装表的用能、泄漏或窃用，或分表失准", "Unmetered use, a leak or theft, or a sub-meter that is wrong"
        ),
        consequence=Text("能耗无法归属，结算有误", "Energy can be charged to nobody; bills are wrong"),
        action=Text(
            "核对分表清单与倍率，比对读数，查找未计量的支路",
            "Check the list of sub-meters and their ratios, compare readings, look for branches without a meter",
        ),
        respond_s=86_400,
        source=_source(settings),
        enabled="imbalance" in settings.confirmed,
    )


def _gained(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="imbalance-low",
        name=Text("分表合计高于总表", "Sub-meters count more than their meter"),
        kind="L",
        on=Selector(quantity="imbalance"),
        limit=-settings.imbalance_limit,
        on_delay_s=900.0,
        priority=Priority.LOW,
        cause=Text(
            "总表失准、倍率错误，或有未登记的进线",
            "The meter is wrong, a ratio is wrong, or a supply is not registered",
        ),
        consequence=Text("总用量少计，结算有误", "The total is counted too low; bills are wrong"),
        action=Text(
            "核对总表与互感器倍率，检查计量关系", "Check the meter, its transformers' ratios and the metering tree"
        ),
        respond_s=86_400,
        source=_source(settings),
        enabled="imbalance" in settings.confirmed,
    )


def _source(settings: Settings) -> str:
    return (
        f"setting imbalance_limit = {settings.imbalance_limit:g} %, the park's own, wanted by it in [system.energy] "
        "confirmed; GB/T 28749 was not read"
    )
