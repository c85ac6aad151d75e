"""The quality of a month's meter data, worked out by hand."""

import math
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from park_platform.reports.check import document_faults, need_fault
from park_sdk.derivation import AssetView
from park_sdk.frame import NEVER, Floats
from park_sdk.report import Counts, CountsNeed, Data, Document, PointView, Totals
from park_systems.energy.quality import QUALITY, boundary_offset_s, completeness, days_apart, meets
from park_systems.energy.reports import MonthParams
from park_systems.energy.settings import Settings
from park_wire.quantities import Text

CHINA, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
SECOND = 1_000_000
DAY = 86_400 * SECOND


def us(*clock: int, zone: ZoneInfo = CHINA) -> int:
    return round(datetime(*clock, tzinfo=zone).timestamp()) * SECOND


START = us(2026, 2, 1)
EDGES = START + DAY * np.arange(29)


def points(n: int) -> tuple[PointView, ...]:
    view = AssetView("main", "electricity-meter", enterprise="chem", fed_from=None)
    return tuple(PointView(i, f"gw/main/e-{i}", "active-energy", "kWh", view, Text("总表", "Main")) for i in range(n))


def counts(received: Sequence[float], *, before_s: float = 10.0, after_s: float = 10.0) -> Counts:
    """February: 1,440 readings a day are expected, the last is so long before midnight, the first so long after."""
    shape = (len(received), 28)
    came = np.broadcast_to(np.array(received)[:, None] * 1_440, shape)
    first = np.broadcast_to(EDGES[:-1] + round(after_s * SECOND), shape)
    last = np.broadcast_to(EDGES[1:] - round(before_s * SECOND), shape)
    return Counts(points(len(received)), EDGES, np.full(shape, 1_440.0), came, came * 0.5, first, last)


def totals(value: Floats) -> Totals:
    ones = np.ones_like(value)
    return Totals(points(len(value)), EDGES[: value.shape[1]], value, ones, ones * 0)


def test_needs_are_local_days() -> None:
    needs = QUALITY.needs(MonthParams(month="2026-10", enterprise="chem"), BERLIN)
    counted = needs["counts"]
    assert isinstance(counted, CountsNeed)
    # On 25 October 2026 the clock goes back.
    assert [round(hours) for hours in np.diff(counted.edges) / (3_600 * SECOND)] == [24] * 24 + [25] + [24] * 6
    assert (counted.start, counted.end) == (us(2026, 10, 1, zone=BERLIN), us(2026, 11, 1, zone=BERLIN))
    assert [need_fault(name, need) for name, need in needs.items()] == [None] * 3


def test_a_burst_does_not_fill_a_hole() -> None:
    found = counts([1.0, 0.5])
    received = found.received.copy()
    received[0, 0], received[0, 1] = 0, 2_880
    changed = Counts(found.points, EDGES, found.expected, received, found.good, found.first, found.last)
    assert completeness(changed).tolist() == [pytest.approx(27 / 28), 0.5]
    none = Counts(found.points, EDGES, found.expected * 0, received, found.good, found.first, found.last)
    assert np.isnan(completeness(none)).all()


def test_days_against_the_month() -> None:
    days, month = totals(np.full((3, 28), 10.0)), totals(np.array([[280.0], [300.0], [0.0]]))
    assert days_apart(days, month).tolist()[:2] == [0.0, pytest.approx(20 / 300)]
    assert math.isnan(days_apart(days, month)[2])


def test_the_stamp_of_a_day() -> None:
    now = int(EDGES[-1])
    assert boundary_offset_s(counts([1.0], before_s=70, after_s=20), now).tolist() == [70.0], "the month's end is alone"
    assert boundary_offset_s(counts([1.0], before_s=50, after_s=20), now).tolist() == [50.0]
    assert boundary_offset_s(counts([1.0], before_s=70, after_s=20), now - 1).tolist() == [20.0]
    assert np.isnan(boundary_offset_s(counts([1.0]), START)).all()
    silent = counts([1.0])
    nothing = np.full(silent.first.shape, NEVER)
    gone = Counts(silent.points, EDGES, silent.expected, silent.received, silent.good, nothing, nothing)
    assert boundary_offset_s(gone, now).tolist() == [math.inf]
    unborn = silent.expected.copy()
    unborn[:, :20] = 0
    born = Counts(silent.points, EDGES, unborn, silent.received, silent.good, silent.first, silent.last)
    assert boundary_offset_s(born, now).tolist() == [10.0]


@pytest.mark.parametrize(
    ("complete", "apart", "off_s", "met"),
    [
        *((0.9, 0.05, 60.0, True), (0.899, 0.0, 0.0, False), (1.0, 0.051, 0.0, False), (1.0, 0.0, 60.1, False)),
        *(
            (1.0, math.nan, 0.0, True),
            (math.nan, 0.0, 0.0, False),
            (1.0, 0.0, math.inf, False),
            (1.0, 0.0, math.nan, False),
        ),
    ],
)
def test_the_rules(complete: float, apart: float, off_s: float, met: bool) -> None:
    assert meets(np.array([complete]), np.array([apart]), np.array([off_s])).tolist() == [met]


def build(received: Sequence[float]) -> Document:
    n = len(received)
    data = Data(
        totals={"days": totals(np.full((n, 28), 10.0)), "month": totals(np.full((n, 1), 280.0))},
        registers={},
        alarms={},
        enterprises={"chem": Text("恒远化工", "Hengyuan")},
        park=Text("园区", "Park"),
        time_zone=CHINA,
        settings=Settings(),
        now=us(2026, 3, 5),
        counts={"counts": counts(received)},
    )
    found = QUALITY.build(MonthParams(month="2026-02", enterprise="chem"), data)
    assert document_faults(found) == []
    return found


def test_a_document() -> None:
    found = build([1.0, 0.5])
    assert {fact.id: fact.value for fact in found.facts} == {"meters": 2, "meeting": 1, "completeness": 75.0}
    [table] = found.tables
    assert [row[2:8] for row in table.rows] == [
        (40_320.0, 40_320.0, 100.0, 50.0, 0.0, 10.0),
        (40_320.0, 20_160.0, 50.0, 50.0, 0.0, 10.0),
    ]
    assert [row[8].en for row in table.rows if isinstance(row[8], Text)] == ["met", "not met"]
    assert "unconfirmed" in found.notes[0].en
    assert "未确认" in found.notes[0].zh


def test_a_document_of_nothing() -> None:
    found = build([])
    assert [fact.value for fact in found.facts] == [0, 0, None]
