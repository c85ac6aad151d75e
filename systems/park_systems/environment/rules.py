"""When the environment system alarms.

What the standards ask for is on: an hour's mean above its limit, a pH outside its window. What warns before that is off
until the park wants it. Limits come from the register, so the rules watch shares of the limit.
"""

from collections.abc import Sequence
from typing import Final

from park_sdk.alarm_rule import AlarmRule, Selector
from park_sdk.rules import Priority
from park_systems.environment.settings import Settings
from park_wire.quantities import Text

_STACK: Final = {
    "so2": Text("二氧化硫", "SO2"),
    "nox": Text("氮氧化物", "NOx"),
    "dust": Text("烟尘", "Dust"),
}
_OUTFALL: Final = {"cod": Text("化学需氧量", "COD"), "ammonia-nitrogen": Text("氨氮", "Ammonia nitrogen")}
_EFFECT: Final = Text("超标排放，须报告并可能受罚", "Emission beyond the limit: to be reported, may be fined")
_STACK_CAUSE: Final = Text(
    "脱硫、脱硝或除尘设施异常，或负荷突变", "Scrubber, denitration or filter is disturbed, or the load jumped"
)
_STACK_ACTION: Final = Text(
    "检查治理设施与药剂，降低负荷，核对监测仪器", "Check treatment and reagents, reduce load, check the monitor"
)
_EARLY: Final = "early warning, wanted by the park in [system.environment] confirmed; limit from the limits register"


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """The rules of a park with these settings."""
    return (
        *_hours(),
        *_early(settings),
        _dilution(settings),
        _ph("H", Text("排口 pH 高", "Outfall pH high")),
        _ph("L", Text("排口 pH 低", "Outfall pH low")),
        AlarmRule(
            id="aqi",
            name=Text("空气重度污染", "Air heavily polluted"),
            kind="H",
            on=Selector(quantity="aqi"),
            limit=200.0,
            priority=Priority.LOW,
            cause=Text("不利气象条件，或园区无组织排放", "Weather that keeps pollution in, or fugitive emissions"),
            consequence=Text("危害健康，可能启动重污染天气应急", "Harms health; emergency measures may be called"),
            action=Text("停止露天扬尘作业，按预案减排", "Stop dusty work outdoors, reduce emissions by the plan"),
            respond_s=3600,
            source="HJ 633-2026: above 200 heavily polluted",
        ),
    )


def _hours() -> Sequence[AlarmRule]:
    return [
        AlarmRule(
            id=f"{pollutant}-hour",
            name=Text(f"{name.zh}小时均值超标", f"{name.en}, mean of the hour above its limit"),
            kind="H",
            on=Selector(quantity=f"{pollutant}-hour-limit-share"),
            limit=100.0,
            priority=Priority.HIGH,
            cause=_STACK_CAUSE,
            consequence=_EFFECT,
            action=_STACK_ACTION,
            respond_s=1800,
            source="HJ 76-2017, annex B: the mean of the converted values of an hour; limit from the limits register",
        )
        for pollutant, name in _STACK.items()
    ]


def _early(settings: Settings) -> Sequence[AlarmRule]:
    stacks = [
        AlarmRule(
            id=f"{pollutant}-share",
            name=Text(f"{name.zh}折算值高于限值", f"{name.en}, converted, above its limit"),
            kind="H",
            on=Selector(quantity=f"{pollutant}-limit-share"),
            limit=100.0,
            deadband=5.0,
            on_delay_s=300.0,
            off_delay_s=60.0,
            priority=Priority.MEDIUM,
            cause=_STACK_CAUSE,
            consequence=Text("若持续，小时均值将超标", "If it lasts the hour's mean will be above the limit"),
            action=_STACK_ACTION,
            respond_s=900,
            source=_EARLY,
            enabled="stack-share" in settings.confirmed,
        )
        for pollutant, name in _STACK.items()
    ]
    outfalls = [
        AlarmRule(
            id=f"{pollutant.split('-')[0]}-share",
            name=Text(f"排口{name.zh}高于限值", f"Outfall: {name.en} above its limit"),
            kind="H",
            on=Selector(quantity=f"{pollutant}-limit-share"),
            limit=100.0,
            deadband=5.0,
            on_delay_s=600.0,
            off_delay_s=60.0,
            priority=Priority.MEDIUM,
            cause=Text("进水超负荷，或处理设施异常", "Too much comes in, or treatment is disturbed"),
            consequence=Text("若持续，日均值将超标", "If it lasts the day's mean will be above the limit"),
            action=Text(
                "查明来水，调整处理，必要时关闸回流", "Find the source, adjust treatment, close the gate if need be"
            ),
            respond_s=1800,
            source=_EARLY,
            enabled="outfall-share" in settings.confirmed,
        )
        for pollutant, name in _OUTFALL.items()
    ]
    return [*stacks, *outfalls]


def _dilution(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="stack-dilution",
        name=Text("有流量但氧含量近于空气", "Flow with oxygen as in air"),
        kind="H",
        on=Selector(quantity="stack-operation"),
        limit=1.5,
        on_delay_s=600.0,
        off_delay_s=60.0,
        priority=Priority.MEDIUM,
        cause=Text("采样管路漏气、烟道漏风或掺入空气", "The sample line or the duct leaks, or air is mixed in"),
        consequence=Text("折算值失真，监测数据无效", "Converted values mean nothing; the data are void"),
        action=Text("检查采样管路与烟道，核对氧分析仪", "Check sample line and duct, check the oxygen analyser"),
        respond_s=3600,
        source="plausibility, limits from the settings; wanted by the park in [system.environment] confirmed",
        enabled="stack-dilution" in settings.confirmed,
    )


def _ph(kind: str, name: Text) -> AlarmRule:
    return AlarmRule(
        id="ph-high" if kind == "H" else "ph-low",
        name=name,
        kind="H" if kind == "H" else "L",
        on=Selector(quantity="ph-deviation"),
        limit=0.0,
        on_delay_s=60.0,
        off_delay_s=60.0,
        priority=Priority.HIGH,
        cause=Text("中和失控", "Neutralisation failed"),
        consequence=Text("超标排放", "Discharge beyond the limit"),
        action=Text("关闭闸门，回流处理", "Close the gate, return for treatment"),
        respond_s=900,
        source="GB 8978-1996, table 4: pH 6 to 9, or the limits register's own",
    )
