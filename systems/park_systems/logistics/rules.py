"""When traffic alarms: too fast, where it may not be, too heavy, a ticket that can't be right, too much at once."""

from collections.abc import Sequence

from park_sdk.alarm_rule import AlarmRule, Selector
from park_sdk.rules import Priority
from park_systems.logistics.registers import ORDER_62
from park_systems.logistics.settings import Settings
from park_wire.quantities import Text


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """The rules of a park with these settings."""
    return (
        _overspeed(settings),
        _forbidden_zone(settings),
        _overload(),
        _net_mismatch(settings),
        _ticket_unclear(),
        _dangerous_load(settings),
    )


def _overspeed(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="overspeed",
        name=Text("车辆超速", "Vehicle over the speed limit"),
        kind="H",
        on=Selector(quantity="speed-excess", asset_kind="truck"),
        limit=0.0,
        deadband=1.0,
        on_delay_s=settings.overspeed_delay_s,
        off_delay_s=5.0,
        priority=Priority.MEDIUM,
        cause=Text("驾驶员超过所在区域限速行驶", "The driver goes faster than the zone allows"),
        consequence=Text("碰撞行人、管架或其他车辆", "It may hit people, pipe racks or other vehicles"),
        action=Text("联系驾驶员减速，必要时在门岗拦停", "Call the driver to slow down; stop it at the gate if need be"),
        respond_s=300,
        source="GB 4387-2008, 交通运输部令2019年第29号第四十六条, and the park's own signs (settings)",
    )


def _forbidden_zone(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="forbidden-zone",
        name=Text("危险货物车辆进入禁入区", "Dangerous goods in a forbidden zone"),
        kind="H",
        on=Selector(quantity="geofence", asset_kind="truck"),
        limit=1.5,
        on_delay_s=settings.forbidden_delay_s,
        priority=Priority.HIGH,
        cause=Text("危险货物车辆偏离规定路线", "The vehicle has left its prescribed route"),
        consequence=Text("泄漏或火灾时危及人员密集区", "A leak or fire there endangers many people"),
        action=Text(
            "联系驾驶员驶离，疏散周边，通知应急值班",
            "Call the driver out of it, clear the area, tell emergency duty",
        ),
        respond_s=180,
        source="the park's own zones (settings), after 交通运输部令2019年第29号第四十九条",
    )


def _overload() -> AlarmRule:
    return AlarmRule(
        id="overload",
        name=Text("车辆超限", "Vehicle over its legal mass"),
        kind="H",
        on=Selector(quantity="overload", asset_kind="weighbridge"),
        limit=0.0,
        priority=Priority.MEDIUM,
        cause=Text(
            "车货总质量超过轴数对应限值或行驶证核定总质量",
            "Vehicle and load weigh more than axles or licence allow",
        ),
        consequence=Text("制动距离增加、道路受损，上路即违法", "Longer braking, damaged roads, illegal on the road"),
        action=Text("禁止出园，卸载至限值以内后复磅", "Don't let it out; unload to the limit and weigh again"),
        respond_s=600,
        source=ORDER_62,
    )


def _net_mismatch(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="net-mismatch",
        name=Text("磅单净重不符", "Printed net mass is wrong"),
        kind="H",
        on=Selector(quantity="net-mismatch", asset_kind="weighbridge"),
        limit=settings.net_tolerance,
        priority=Priority.LOW,
        cause=Text("磅单被改动，或衡器软件计算有误", "The ticket was changed, or the scale's software is wrong"),
        consequence=Text("结算数量错误", "The wrong quantity is paid for"),
        action=Text("作废该磅单并复磅，检查衡器", "Cancel the ticket, weigh again, check the scale"),
        respond_s=3600,
        source="arithmetic: net = gross - tare; tolerance from the settings",
    )


def _ticket_unclear() -> AlarmRule:
    return AlarmRule(
        id="ticket-unclear",
        name=Text("磅单无法核对", "Weigh ticket can't be checked"),
        kind="BAD_QUALITY",
        on=Selector(quantity="overload", asset_kind="weighbridge"),
        priority=Priority.LOW,
        cause=Text("车牌未登记，或磅单数据缺失、不合理", "The plate is not registered, or the ticket makes no sense"),
        consequence=Text("未做超限检查", "Nobody checked it for overload"),
        action=Text("补登车辆台账或复磅", "Register the vehicle, or weigh it again"),
        respond_s=3600,
        source="the park's own rule: every vehicle on the weighbridge is in the register",
    )


def _dangerous_load(settings: Settings) -> AlarmRule:
    return AlarmRule(
        id="dangerous-load",
        name=Text("在园危险货物量过大", "Too much dangerous goods in the park"),
        kind="H",
        on=Selector(quantity="dangerous-load", asset_kind="park"),
        limit=settings.dangerous_load_limit,
        priority=Priority.MEDIUM,
        cause=Text("同时在园的危险货物车辆过多", "Too many dangerous goods vehicles at once"),
        consequence=Text("事故后果叠加", "One accident leads to the next"),
        action=Text("暂停放行危险货物车辆入园", "Let no more of them in"),
        respond_s=900,
        source="unconfirmed: the park sets dangerous_load_limit and watch_dangerous_load itself",
        enabled=settings.watch_dangerous_load,
    )
