"""When the safety system alarms. The platform warns; it never trips anything (that stays with SIS and DCS)."""

from collections.abc import Sequence
from typing import Final

from park_sdk.alarm_rule import AlarmRule, DesignLimit, Selector
from park_sdk.rules import Priority
from park_systems.safety.settings import Settings
from park_wire.quantities import Text

_GAS: Final = {
    "gas-lel": Text("可燃气体", "Combustible gas"),
    "gas-h2s": Text("硫化氢", "Hydrogen sulphide"),
    "gas-co": Text("一氧化碳", "Carbon monoxide"),
    "gas-nh3": Text("氨气", "Ammonia"),
    "gas-cl2": Text("氯气", "Chlorine"),
    "gas-so2": Text("二氧化硫", "Sulphur dioxide"),
}
_GB50493: Final = "GB/T 50493-2019 石油化工可燃气体和有毒气体检测报警设计标准"
_OXYGEN: Final = (
    "too little at 19.5 %, too much at 23.5 %: practice of detectors; GB 30871-2022 has the same for work permits"
)
_OWN: Final = "unconfirmed: no standard gives it; the park confirms it in [system.safety] confirmed"
_VESSEL_CAUSE: Final = Text("进料过快、冷却失效或受热", "Overfilling, lost cooling or heating")
_VESSEL_EFFECT: Final = Text("安全阀起跳，可能泄漏", "The relief valve lifts; release possible")


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """The rules of a park with these settings."""
    return (*_vessels(settings), _imbalance(), *_gas(settings), *_oxygen(settings))


def _vessels(settings: Settings) -> Sequence[AlarmRule]:
    return (
        AlarmRule(
            id="pressure-ratio-hh",
            name=Text("压力接近设计压力（高高）", "Pressure near design pressure, high-high"),
            kind="HH",
            on=Selector(quantity="pressure-ratio"),
            limit=settings.ratio_high_high,
            deadband=0.03,
            latch=True,
            priority=Priority.CRITICAL,
            cause=_VESSEL_CAUSE,
            consequence=_VESSEL_EFFECT,
            action=Text("停止进料，开启喷淋，检查安全阀", "Stop feed, start cooling, check the relief valve"),
            respond_s=180,
            source=_OWN,
            enabled="pressure-ratio-hh" in settings.confirmed,
        ),
        AlarmRule(
            id="pressure-ratio-h",
            name=Text("压力接近设计压力（高）", "Pressure near design pressure, high"),
            kind="H",
            on=Selector(quantity="pressure-ratio"),
            limit=settings.ratio_high,
            deadband=0.03,
            on_delay_s=1.0,
            off_delay_s=5.0,
            priority=Priority.HIGH,
            cause=_VESSEL_CAUSE,
            consequence=_VESSEL_EFFECT,
            action=Text("减少进料，加强冷却", "Reduce feed, increase cooling"),
            respond_s=600,
            source=_OWN,
            enabled="pressure-ratio-h" in settings.confirmed,
        ),
        AlarmRule(
            id="time-to-limit",
            name=Text("压力即将到限", "Pressure will soon reach its limit"),
            kind="L",
            on=Selector(quantity="time-to-limit"),
            limit=settings.time_to_limit_min,
            deadband=2.0,
            on_delay_s=10.0,
            off_delay_s=30.0,
            priority=Priority.MEDIUM,
            cause=Text("压力持续上升", "Pressure keeps rising"),
            consequence=Text("按目前速度将达到设计压力", "At this rate it will reach the design pressure"),
            action=Text("查明升压原因，减少进料，加强冷却", "Find out why it rises, reduce feed, increase cooling"),
            respond_s=300,
            source=_OWN,
            enabled="time-to-limit" in settings.confirmed,
        ),
    )


def _imbalance() -> AlarmRule:
    return AlarmRule(
        id="pipeline-imbalance",
        name=Text("管道输差过大", "Pipeline imbalance too large"),
        kind="H",
        on=Selector(quantity="pipeline-imbalance"),
        # What is much depends on the line: its operator says so as a design value, and without one nothing is watched.
        design_limit=DesignLimit(quantity="pipeline-imbalance", times=1.0),
        on_delay_s=10.0,
        off_delay_s=30.0,
        priority=Priority.HIGH,
        cause=Text("管道泄漏，或流量计失准", "The line leaks, or a flow meter is wrong"),
        consequence=Text("介质外泄，可能着火、中毒或污染", "Release: fire, poisoning or pollution possible"),
        action=Text(
            "核对两端流量与压力，查看沿线气体探测器，巡线，必要时切断",
            "Compare flow and pressure at both ends, look at the gas detectors, walk the line, isolate if need be",
        ),
        respond_s=600,
        source="design value pipeline-imbalance of the asset: m3 in 5 minutes that the line's operator allows",
    )


def _gas(settings: Settings) -> Sequence[AlarmRule]:
    found: list[AlarmRule] = []
    for quantity, first in settings.first_level.by_quantity().items():
        name = _GAS[quantity]
        for level, suffix, kind in ((1, "h", "H"), (2, "hh", "HH")):
            limit = first * level
            found.append(
                AlarmRule(
                    id=f"{quantity}-{suffix}",
                    name=Text(f"{name.zh}{'一' if level == 1 else '二'}级报警", f"{name.en}, level {level}"),
                    kind="H" if kind == "H" else "HH",
                    on=Selector(quantity=quantity),
                    limit=limit,
                    deadband=0.08 * first,
                    # A cloud that drifts past must not take the alarm with it: it stays until somebody has looked.
                    latch=True,
                    priority=Priority.HIGH if level == 1 else Priority.CRITICAL,
                    cause=Text("法兰、阀门或管道泄漏", "Leak at a flange, valve or pipe"),
                    consequence=Text("可能着火、爆炸或中毒", "Fire, explosion or poisoning possible"),
                    action=Text("撤离，切断，通知应急", "Evacuate, isolate, call emergency response")
                    if level == 2
                    else Text(
                        "佩戴防护后查找漏点，通知应急值班", "With protection, find the leak; tell emergency duty"
                    ),
                    respond_s=180 if level == 1 else 60,
                    source=f"{_GB50493}: level {level} at most "
                    + (f"{25 * level} %LEL" if quantity == "gas-lel" else f"{100 * level} % OEL"),
                    enabled=settings.watch_gas,
                )
            )
    return found


def _oxygen(settings: Settings) -> Sequence[AlarmRule]:
    return (
        AlarmRule(
            id="gas-o2-l",
            name=Text("氧气浓度低", "Oxygen low"),
            kind="L",
            on=Selector(quantity="gas-o2"),
            limit=19.5,
            deadband=0.3,
            on_delay_s=2.0,
            latch=True,
            priority=Priority.CRITICAL,
            cause=Text("惰性气体聚集", "Inert gas has gathered"),
            consequence=Text("人员窒息", "People may suffocate"),
            action=Text("撤离，通风", "Evacuate, ventilate"),
            respond_s=60,
            source=_OXYGEN,
            enabled=settings.watch_gas,
        ),
        AlarmRule(
            id="gas-o2-h",
            name=Text("氧气浓度高", "Oxygen high"),
            kind="H",
            on=Selector(quantity="gas-o2"),
            limit=23.5,
            deadband=0.3,
            on_delay_s=2.0,
            latch=True,
            priority=Priority.CRITICAL,
            cause=Text("氧气泄漏", "Oxygen leaks"),
            consequence=Text("可燃物极易着火", "What can burn takes fire easily"),
            action=Text("禁止动火，通风，查找漏点", "No ignition sources, ventilate, find the leak"),
            respond_s=60,
            source=_OXYGEN,
            enabled=settings.watch_gas,
        ),
    )
