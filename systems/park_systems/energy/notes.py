"""What a reader of the monthly report has to know of gaps, doubts and what is left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from park_systems.energy.account import CARRIERS, Converted, Meters
from park_systems.energy.words import figure_name, quantity_name
from park_wire.quantities import Text

_COMPLETE: Final = 0.9
"""Share of the time below which a meter's figures are said to be incomplete."""


@dataclass(frozen=True, slots=True)
class Account:
    """A month's figures. over: whether the month has ended. of_park: whether it is the park's own account."""

    meters: Meters
    coal: Converted
    co2: Converted
    over: bool
    of_park: bool


def notes_on(account: Account) -> tuple[Text, ...]:
    """The notes, the most general first."""
    return tuple(_notes(account))


def _notes(account: Account) -> Iterator[Text]:
    meters = account.meters
    yield Text(
        "合计只计各计量树顶端的表；分表已含在上级表中，不另相加。倒送电量未扣减，水不折标准煤。",
        "Sums count the meters at the top of each tree; sub-meters are in the meter that feeds them. "
        "Electricity fed back is not taken off; water has no coal equivalent.",
    )
    if not account.over:
        yield Text("本月尚未结束：数字截至生成时。", "The month is not over: figures are up to when this was made.")
    if not meters.top.any():
        yield _no_top(of_park=account.of_park)
    if meters.unclear:
        names = [(key, quantity_name(quantity)) for key, quantity in meters.unclear]
        yield Text(
            f"{'、'.join(f'{key}（{name.zh}）' for key, name in names)} 有多个同类计数测点而无一以计量项目命名，"
            "未计入；请核对测点名称。",
            f"{', '.join(f'{key} ({name.en})' for key, name in names)}: of several counters none is called like what "
            "it counts, so none is in the sums; check the names of the points.",
        )
    yield from _gaps(meters)
    yield from _factors(account)
    if keys := meters.without_heat():
        yield Text(
            f"{'、'.join(keys)} 只计质量不计热量：折标准煤与二氧化碳无值。",
            f"{', '.join(keys)} counts mass and no heat: coal equivalent and CO2 have no value.",
        )
    # Who sees no meter of the park does not see either what feeds an enterprise's.
    if account.of_park and meters.top.any() and (keys := _beside(meters)):
        yield Text(
            f"{'、'.join(keys)} 不由园区总表供给，未计入园区合计。",
            f"{', '.join(keys)}: fed from no meter of the park, and so not in the park's sums.",
        )


def _no_top(*, of_park: bool) -> Text:
    if of_park:
        return Text(
            "没有可见的园区总表，无合计；请选择企业。",
            "No meter of the park is visible: there are no sums. Name an enterprise.",
        )
    return Text("没有可见的顶端表计，无合计。", "No top meter is visible: there are no sums.")


def _gaps(meters: Meters) -> Iterator[Text]:
    coverage = meters.coverage()
    thin = meters.top & (coverage < _COMPLETE)
    names = sorted({point.asset.key for point, one in zip(meters.points, thin.tolist(), strict=True) if one})
    if names:
        yield Text(
            f"数据覆盖率低于 90 %：{'、'.join(names)}。中断期间的用量记在恢复后的首次读数当日；"
            "月末仍中断的用量不在合计中，空白表示未知，不是零。",
            f"Covered for less than 90 %: {', '.join(names)}. What was used in a gap is booked on the day of the first "
            "reading after it; where the gap lasts to the end, it is not in the sums. A blank is not known, not zero.",
        )
    if (np.nan_to_num(meters.assumed()[meters.top]) > 0).any():
        yield Text(
            "部分用量含换表或清零，按假定计入，见估算占比。",
            "Some amounts hold a reset or an exchange of the meter: see the estimated share.",
        )


def _factors(account: Account) -> Iterator[Text]:
    missing = [*account.coal.missing, *account.co2.missing]
    if missing:
        words = [figure_name("carrier", carrier) for carrier in dict.fromkeys(missing)]
        yield Text(
            f"部分日期没有生效的系数：{'、'.join(each.zh for each in words)}；相应合计无值。",
            f"On some days no factor is in force for {', '.join(each.en for each in words)}: their sums have no value.",
        )
    doubtful = [row for each in (account.coal, account.co2) for row in each.used if not row.confirmed]
    if doubtful:
        words = [(figure_name("carrier", row.carrier), figure_name("figure", row.figure)) for row in doubtful]
        yield Text(
            f"采用了未确认的系数：{'、'.join(f'{carrier.zh}{figure.zh}' for carrier, figure in words)}。",
            f"Factors that nobody has confirmed were used: "
            f"{', '.join(f'{carrier.en} ({figure.en})' for carrier, figure in words)}.",
        )


def _beside(meters: Meters) -> list[str]:
    """Enterprises' energy meters that no meter feeds: the park's own account does not see them."""
    return sorted(
        {
            point.asset.key
            for point in meters.points
            if point.quantity in CARRIERS and point.asset.enterprise is not None and point.asset.fed_from is None
        }
    )
