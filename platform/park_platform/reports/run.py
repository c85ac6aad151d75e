"""Having a report built: its system's code runs here and nowhere else, and whatever it does, it ends in one error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from park_platform.reports.check import document_faults, need_fault, need_faults
from park_platform.reports.fetch import Fetched
from park_platform.reports.limit import call_within
from park_platform.storage.gateways import GapSpan
from park_sdk.report import Document, Need, ReportDef
from park_wire.quantities import Text

MOST_S: Final = 15.0
"""How long a report's own code may take, each of its two functions; as long as a statement of the API's role may."""
_MOST_GAPS: Final = 10
_Made = TypeVar("_Made")


@dataclass(eq=False)
class ReportFailed(Exception):
    """A report's code raised, or gave what the contract does not promise. `reason` is for the log only."""

    reason: str

    def __str__(self) -> str:
        return self.reason


class ReportTooLong(ReportFailed):
    """A report's code was stopped because it ran too long."""


def find_needs(report: ReportDef, params: BaseModel, zone: ZoneInfo) -> Mapping[str, Need]:
    """What a report asks for with these parameters. Raises ReportFailed."""
    needs = _guarded("needs", lambda: report.needs(params, zone))
    faults = need_faults(needs) or [fault for name, need in needs.items() if (fault := need_fault(name, need))]
    if faults:
        raise ReportFailed("; ".join(faults))
    return needs


def build_document(report: ReportDef, params: BaseModel, fetched: Fetched) -> Document:
    """The document of a report. Raises ReportFailed."""
    document = _guarded("build", lambda: report.build(params, fetched.data))
    if faults := document_faults(document):
        raise ReportFailed("; ".join(faults))
    notes = [_left_out(len(fetched.left_out))] if fetched.left_out else []
    notes += _gap_notes(fetched.gaps, fetched.data.time_zone)
    return replace(document, notes=(*document.notes, *notes)) if notes else document


def _gap_notes(gaps: Sequence[GapSpan], zone: ZoneInfo) -> list[Text]:
    """What is known to be missing, oldest first; of many only the first are named."""
    notes = [
        Text(
            f"数据缺口：网关 {gap.gateway}，{_moment(gap.from_time, zone)} 至 {_moment(gap.to_time, zone, '今')}，"
            f"{gap.reason.zh}。",
            f"Gap in the data: gateway {gap.gateway}, {_moment(gap.from_time, zone)} to "
            f"{_moment(gap.to_time, zone, 'now')}: {gap.reason.en}.",
        )
        for gap in gaps[:_MOST_GAPS]
    ]
    if more := len(gaps) - len(notes):
        notes.append(Text(f"另有 {more} 处数据缺口。", f"{more} more gaps in the data."))
    return notes


def _moment(time: int | None, zone: ZoneInfo, otherwise: str = "") -> str:
    return otherwise if time is None else f"{datetime.fromtimestamp(time / 1e6, zone):%Y-%m-%d %H:%M:%S}"


def _left_out(rows: int) -> Text:
    return Text(
        f"台账中有 {rows} 处内容不符合现行格式，相应的行未计入本报表。",
        f"{rows} entries of registers do not fit their present form; their rows are not part of this report.",
    )


def _guarded(what: str, call: Callable[[], _Made]) -> _Made:
    try:
        return call_within(MOST_S, lambda: _told(what, call))
    except TimeoutError as error:
        raise ReportTooLong(f"{what}: {error}") from None


def _told(what: str, call: Callable[[], _Made]) -> _Made:
    try:
        return call()
    except Exception as error:  # the boundary towards a system's code
        raise ReportFailed(f"{what} raises {type(error).__name__}: {error}") from error
