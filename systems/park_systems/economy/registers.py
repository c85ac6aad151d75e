"""The register of filings (企业月报): what an enterprise produced, earned and paid in a month."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from park_sdk.alarm_rule import Id, Strict
from park_sdk.days import MONTH_PATTERN
from park_sdk.register import Label, Register, Role, Row, Step
from park_systems.economy.months import month_begins, month_due, month_number
from park_wire.quantities import Text

REGISTER: Final = "economy.filings"
ACCEPTED: Final = "accepted"
"""Only what the park has accepted counts in any figure."""
WITH_THE_ENTERPRISE: Final = frozenset({"draft", "returned"})
"""States in which the enterprise has to act: it has not filed, or has to correct."""
PARK: Final[frozenset[Role]] = frozenset({"administrator", "operator"})
ENTERPRISE: Final[frozenset[Role]] = frozenset({"enterprise"})
READERS: Final[frozenset[Role]] = PARK | ENTERPRISE | frozenset[Role]({"regulator", "auditor"})
"""What an enterprise earns is its secret: who has no part in it doesn't see it."""

Money = Annotated[float, Field(ge=0, le=1e13)]


class Filing(Strict):
    """What an enterprise files of a month; money in yuan at current prices, of that month alone, not since January."""

    month: Annotated[str, Field(pattern=MONTH_PATTERN), Label("月份（如 2026-01）", "Month (like 2026-01)")]
    enterprise: Annotated[Id, Label("企业", "Enterprise")]
    output_value: Annotated[Money, Label("工业总产值（当月）", "Output value of the month", unit="yuan")]
    value_added: Annotated[
        float, Field(ge=-1e12, le=1e13), Label("工业增加值（当月）", "Value added of the month", unit="yuan")
    ]
    revenue: Annotated[Money, Label("营业收入（当月）", "Revenue of the month", unit="yuan")]
    tax: Annotated[
        float,
        Field(ge=-1e12, le=1e12),
        Label("实缴税金（当月，退税为负）", "Tax paid in the month (refunds negative)", unit="yuan"),
    ]
    employment: Annotated[int, Field(ge=0, le=10_000_000), Label("期末用工人数", "People employed at its end")]
    product_mass: Annotated[
        float | None, Field(ge=0, le=1e10), Label("主要产品产量", "Mass of main products", unit="t")
    ] = None
    land_area: Annotated[
        float | None,
        Field(gt=0, le=1e6),
        Label("实际用地面积（首次及变化时填写）", "Land in use (at first, and when it changes)", unit="mu"),
    ] = None


def _objections(filing: Any, now: datetime) -> Sequence[Text]:
    """What can't be so. A person can correct it before anybody else has to look at it."""
    found: list[Text] = []
    if now < month_begins(month_number(filing.month) + 1, now.tzinfo):
        found.append(Text("该月尚未结束，不能上报", "The month is not over: file it when it is"))
    if filing.value_added > filing.output_value:
        found.append(Text("工业增加值大于工业总产值，请核对", "Value added is above output value: check both"))
    if filing.output_value > 0 and filing.employment == 0:
        found.append(Text("有产值而用工人数为零，请核对", "There is output but nobody is employed: check both"))
    if filing.product_mass and filing.output_value == 0:
        found.append(Text("有产品产量而产值为零，请核对", "There are products but no output value: check both"))
    return found


def _due(row: Row, _settings: Any, zone: ZoneInfo) -> datetime | None:
    """When the enterprise has to have filed it; nothing is due once it lies with the park."""
    return month_due(month_number(row.record.month), zone) if row.state in WITH_THE_ENTERPRISE else None


FILINGS: Final = Register(
    id="filings",
    name=Text("企业月报", "Monthly filings"),
    model=Filing,
    key=("month", "enterprise"),
    enterprise="enterprise",
    readers=READERS,
    # Who checks figures doesn't write them: the park returns what is wrong.
    writers=ENTERPRISE,
    states=(
        ("draft", Text("草稿", "Draft")),
        ("submitted", Text("已上报", "Submitted")),
        (ACCEPTED, Text("已受理", "Accepted")),
        ("returned", Text("退回更正", "Returned for correction")),
    ),
    editable=WITH_THE_ENTERPRISE,
    steps=(
        Step("submit", Text("上报", "Submit"), ("draft", "returned"), "submitted", ENTERPRISE, check=_objections),
        Step("accept", Text("受理", "Accept"), ("submitted",), ACCEPTED, PARK, check=_objections),
        Step("return", Text("退回更正", "Return"), ("submitted", ACCEPTED), "returned", PARK, note=True),
    ),
    due=_due,
)
