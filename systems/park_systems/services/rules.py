"""When the park's own promise is about to be broken, and when it is."""

from collections.abc import Sequence

from park_sdk.alarm_rule import AlarmRule, Selector
from park_sdk.rules import Priority
from park_systems.services.settings import Settings
from park_wire.quantities import Text

_SOURCE = "the park's own service promise (settings); no law sets these terms"
_CAUSE = Text("诉求未在承诺时限内答复", "A request was not answered within the promised time")


def rules(settings: Settings) -> Sequence[AlarmRule]:
    """The rules of a park with these settings."""
    return (
        AlarmRule(
            id="overdue",
            name=Text("诉求超期", "Request overdue"),
            kind="H",
            on=Selector(quantity="ticket-overdue", asset_kind="park"),
            limit=0.0,
            priority=Priority.MEDIUM,
            cause=_CAUSE,
            consequence=Text("企业问题得不到解决，考核扣分", "The enterprise is left alone; the park's score suffers"),
            action=Text("督办责任部门，向企业说明", "Press whoever has it, and explain it to the enterprise"),
            respond_s=3_600,
            source=_SOURCE,
        ),
        AlarmRule(
            id="due-soon",
            name=Text("诉求即将超期", "Request due soon"),
            kind="L",
            on=Selector(quantity="sla-remaining", asset_kind="park"),
            limit=settings.warn,
            priority=Priority.LOW,
            cause=Text("诉求尚未答复，时限将至", "A request is not answered and its time runs out"),
            consequence=Text("将超出承诺时限", "The promise will be broken"),
            action=Text("优先办理剩余时间最短的诉求", "Answer the one with the least time left"),
            respond_s=3_600,
            source=_SOURCE,
        ),
    )
