"""The register of requests: what an enterprise asks of the park, and how far it has come."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, field_validator

from park_sdk.alarm_rule import Id, Strict
from park_sdk.register import Label, Register, Role, Row, Step
from park_systems.services.clock import deadline, to_us
from park_systems.services.settings import Kind, Settings
from park_wire.quantities import Text

_PARK: Final[frozenset[Role]] = frozenset({"administrator", "operator"})
_ENTERPRISE: Final[frozenset[Role]] = frozenset({"enterprise"})
WITH_THE_PARK: Final = ("open", "accepted")
"""States in which the park has to act: its clock runs."""
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


class Request(Strict):
    """A request of an enterprise. Its clock starts at `asked_at`."""

    number: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,32}$"), Label("编号", "Number")]
    enterprise: Annotated[Id, Label("企业", "Enterprise")]
    title: Annotated[str, Field(min_length=1, max_length=100), Label("标题", "Title")]
    kind: Annotated[
        Kind,
        Label(
            "类别",
            "Kind",
            values=(
                ("utilities", "水电气热供应", "Water, power, gas, heat"),
                ("repair", "设施报修", "Repair"),
                ("approval", "审批代办", "Approval"),
                ("policy", "政策与融资", "Policy and financing"),
                ("complaint", "投诉", "Complaint"),
                ("other", "其他", "Other"),
            ),
        ),
    ]
    text: Annotated[str, Field(min_length=1, max_length=4_000), Label("内容", "Text")]
    contact: Annotated[str, Field(min_length=1, max_length=100), Label("联系人及电话", "Contact")]
    asked_at: Annotated[AwareDatetime, Label("提出时间", "Asked at")]

    @field_validator("asked_at")
    @classmethod
    def _lies_in_this_century(cls, at: datetime) -> datetime:
        if not _EARLIEST <= at < _LATEST:
            raise ValueError(Text("须在 2000 至 2099 年之间", "must lie in the years 2000 to 2099"))
        return at


def _was_asked(row: Any, now: datetime) -> Sequence[Text]:
    """Nobody gets more time by asking from the future."""
    if row.asked_at > now + timedelta(minutes=5):
        return (Text("提出时间晚于当前时间，请退回更正", "It was asked in the future: return it for correction"),)
    return ()


def _due(row: Row, settings: Settings, zone: ZoneInfo) -> datetime | None:
    """When its term ends, as long as the park has to act."""
    if row.state not in WITH_THE_PARK:
        return None
    at = deadline(to_us(row.record.asked_at), settings.term(row.record.kind), settings.working, zone)
    return None if at is None else datetime.fromtimestamp(at / 1e6, zone)


REQUESTS: Final = Register(
    id="requests",
    name=Text("企业诉求", "Requests"),
    model=Request,
    key=("number",),
    enterprise="enterprise",
    # A contact is a person's name and number: who has no part in a request doesn't see it.
    readers=_PARK | _ENTERPRISE,
    writers=_PARK | _ENTERPRISE,
    states=(
        ("open", Text("待受理", "Open")),
        ("accepted", Text("已受理", "Accepted")),
        ("answered", Text("已答复", "Answered")),
        ("closed", Text("已办结", "Closed")),
        ("returned", Text("已退回", "Returned")),
    ),
    editable=frozenset({"open", "returned"}),
    steps=(
        Step("accept", Text("受理", "Accept"), ("open",), "accepted", _PARK, check=_was_asked),
        Step("return", Text("退回", "Return"), ("open", "accepted"), "returned", _PARK, note=True),
        Step("resubmit", Text("重新提交", "Send again"), ("returned",), "open", _ENTERPRISE),
        Step("answer", Text("答复", "Answer"), ("accepted",), "answered", _PARK, note=True),
        Step("reject", Text("不认可答复", "Not answered"), ("answered",), "accepted", _ENTERPRISE, note=True),
        Step("close", Text("办结", "Close"), ("answered",), "closed", _PARK | _ENTERPRISE),
    ),
    due=_due,
)
