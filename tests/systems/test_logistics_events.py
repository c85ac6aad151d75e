"""Weigh tickets and gate passes, worked out by hand; and bodies that no scale or gate would send."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_sdk.derivation import AssetView, Grid, Happened, Params
from park_sdk.register import Row
from park_systems.logistics.derive import PRESENCE, REGISTER, count_vehicles, read_tickets
from park_systems.logistics.registers import Vehicle
from park_systems.logistics.settings import Settings

MINUTE = 60_000_000
START = 1_795_665_600_000_000
DANGEROUS = {"dangerous": True, "licence": "1", "licence_until": "2027-06-30"}
REGISTERED: list[dict[str, Any]] = [
    {"plate": "蒙B·T2001", "kind": "train", "axles": 6},
    {"plate": "蒙B·T3001", "kind": "truck", "axles": 3},
    {"plate": "蒙B·T1001", "kind": "train", "axles": 6, "rated_load": 28.0, **DANGEROUS},
    {"plate": "蒙B·T1002", "kind": "truck", "axles": 4, **DANGEROUS},
]
VEHICLES = [Row(Vehicle.model_validate(each)) for each in REGISTERED]
Body = Mapping[str, Any]


def params(kind: str, count: int = 1) -> Params:
    """What a derivation over `count` assets is given."""
    assets = tuple(AssetView(f"{kind}-{number}", kind) for number in range(count))
    return Params(assets, Settings(), {REGISTER: VEHICLES}, (), ZoneInfo("Asia/Shanghai"))


def grid(name: str, events: Sequence[tuple[float, Body]], minutes: int = 1, owner: int = 0) -> Grid:
    """A grid of `minutes` steps; events at minutes after its first step's begin."""
    time = np.array([START + round(at * MINUTE) for at, _ in events], np.int64)
    happened = Happened(np.full(len(events), owner, np.intp), time, tuple(body for _, body in events))
    ends = START + np.arange(1, minutes + 1, dtype=np.int64) * MINUTE
    return Grid(START, minutes, ends, {}, {name: happened})


def ticket(gross: object, tare: object, net: object, plate: object = "蒙B·T2001") -> Body:
    """A weigh ticket."""
    return {"gross_t": gross, "tare_t": tare, "net_t": net, "plate": plate}


def weigh(*bodies: Body) -> dict[str, list[float]]:
    """What becomes of tickets that come one second after the other."""
    events = [((number + 1) / 60, body) for number, body in enumerate(bodies)]
    found = read_tickets(grid("tickets", events), params("weighbridge"))
    assert len(found.time) == len(bodies)
    return {name: column.tolist() for name, column in found.columns.items()}


# tickets


def test_a_sound_ticket() -> None:
    # 44.10 - 14.30 = 29.80 as printed; a train of six axles may weigh 49 t: 100 (44.10 / 49 - 1) = -10 %.
    found = weigh(ticket(44.1, 14.3, 29.8))
    assert found["net-weight"] == pytest.approx([29.8])
    assert found["net-mismatch"] == pytest.approx([0.0], abs=1e-9)
    assert found["overload"] == pytest.approx([-10.0])


def test_an_overloaded_truck_and_a_changed_ticket() -> None:
    # 30.00 t on three axles: 100 (30 / 25 - 1) = 20 %. 30.00 - 12.00 = 18.00, but 16.50 is printed: 1.5 t less.
    found = weigh(ticket(30.0, 12.0, 16.5, "蒙B·T3001"))
    assert found["overload"] == pytest.approx([20.0])
    assert found["net-weight"] == pytest.approx([18.0])
    assert found["net-mismatch"] == pytest.approx([1.5])


def test_a_plate_is_the_same_however_it_is_written() -> None:
    assert weigh(ticket(49.0, 14, 35, " 蒙b-T2001 "))["overload"] == pytest.approx([0.0])


def test_an_unknown_vehicle_has_no_overload() -> None:
    for plate in ("京A12345", "", "··", None, 7, "x" * 1_000):
        found = weigh(ticket(44.1, 14.3, 29.8, plate))
        assert found["net-weight"] == pytest.approx([29.8])
        assert np.isnan(found["overload"]).all(), plate


@pytest.mark.parametrize(
    ("gross", "tare"),
    [("44", 14), (None, 14), (True, 0), (float("nan"), 14), (float("inf"), 14), (-4, 14), (0, 0), (44, -1), (14, 44),
     (501, 14), (10**400, 14), ([44], 14), (44, "")],
)  # fmt: skip
def test_masses_that_are_none_give_no_values(gross: object, tare: object) -> None:
    found = weigh(ticket(gross, tare, 29.8))
    assert all(np.isnan(column).all() for column in found.values())


def test_a_ticket_without_a_printed_net_mass_has_no_mismatch() -> None:
    found = weigh({"gross_t": 44.1, "tare_t": 14.3, "plate": "蒙B·T2001"}, ticket(44.1, 14.3, "much"))
    assert found["net-weight"] == pytest.approx([29.8, 29.8])
    assert np.isnan(found["net-mismatch"]).all()


def test_only_tickets_of_the_steps_count_and_two_at_once_are_one() -> None:
    body = ticket(44.1, 14.3, 29.8)
    again = ticket(45.0, 14.3, 30.7)
    events = [(0.0, body), (0.5, body), (0.5, again), (1.0, body), (1.1, body)]
    found = read_tickets(grid("tickets", events), params("weighbridge"))
    assert found.time.tolist() == [START + MINUTE // 2, START + MINUTE]
    assert found.columns["net-weight"] == pytest.approx([30.7, 29.8])


def test_no_ticket_gives_no_rows() -> None:
    found = read_tickets(grid("tickets", []), params("weighbridge"))
    assert len(found.time) == 0
    assert [column.shape for column in found.columns.values()] == [(0,)] * 3


# gate passes


def gate(plate: object, direction: object, dangerous: object = False) -> Body:
    """A gate pass."""
    return {"gate": "gate-north", "plate": plate, "direction": direction, "dangerous": dangerous}


def count(events: Sequence[tuple[float, Body]], minutes: int) -> tuple[list[float], list[float]]:
    """Vehicles and dangerous goods (t) at the end of each minute."""
    found = count_vehicles(grid("passes", events, minutes), params("park"))
    assert found.time.tolist() == [START + minute * MINUTE for minute in range(1, minutes + 1)]
    return found.columns["vehicle-count"].tolist(), found.columns["dangerous-load"].tolist()


def test_vehicles_come_and_go() -> None:
    # Minute 1: T2001 in. 2: the LPG tanker T1001 (28 t by the register) too. 3: T2001 out. 4: tanker out.
    events = [
        (0.5, gate("蒙B·T2001", "in")),
        (1.5, gate("蒙B·T1001", "in", dangerous=True)),
        (3.0, gate("蒙BT2001", "out")),
        (3.5, gate("蒙B·T1001", "out", dangerous=True)),
    ]
    assert count(events, 4) == ([1.0, 2.0, 1.0, 0.0], [0.0, 28.0, 28.0, 0.0])


def test_who_comes_in_twice_is_there_once() -> None:
    assert count([(0.2, gate("A1", "in")), (0.4, gate("A1", "in")), (1.5, gate("A1", "out"))], 2)[0] == [1.0, 0.0]


def test_who_only_goes_out_was_not_seen() -> None:
    assert count([(0.2, gate("A1", "out"))], 1)[0] == [0.0]


def test_an_unknown_dangerous_load_is_taken_as_the_settings_say() -> None:
    # 30 t for a tanker that nobody registered, 30 t for one that is registered without its load, none for a truck; and
    # 28 t for one that the register calls dangerous though the gate does not.
    events = [
        (0.1, gate("X1", "in", dangerous=True)),
        (1.1, gate("蒙B·T1002", "in")),
        (2.1, gate("X2", "in", dangerous="yes")),
        (3.1, gate("蒙B·T1001", "in")),
    ]
    assert count(events, 4)[1] == [30.0, 60.0, 60.0, 88.0]


def test_who_was_not_seen_to_leave_is_gone_after_three_days() -> None:
    stay = PRESENCE.window_s / 60
    assert count([(-stay + 1.5, gate("A1", "in"))], 3)[0] == [1.0, 0.0, 0.0]


def test_passes_of_another_park_do_not_count() -> None:
    found = count_vehicles(grid("passes", [(0.5, gate("A1", "in"))], 1, owner=1), params("park", 2))
    assert found.asset.tolist() == [0, 1]
    assert found.columns["vehicle-count"].tolist() == [0.0, 1.0]


JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers()))


@given(
    st.lists(
        st.tuples(
            st.floats(-5, 5),
            st.dictionaries(
                st.sampled_from(["plate", "direction", "dangerous", "gross_t", "tare_t", "net_t"]),
                st.one_of(JUNK, st.sampled_from(["in", "out", "A1", "A2"])),
            ),
        ),
        max_size=20,
    )
)
def test_no_body_breaks_it(events: list[tuple[float, Body]]) -> None:
    events.sort(key=lambda event: event[0])
    found = count_vehicles(grid("passes", events, 3), params("park"))
    assert (found.columns["vehicle-count"] <= len(events)).all()
    assert (found.columns["vehicle-count"] >= 0).all()
    tickets = read_tickets(grid("tickets", events, 3), params("weighbridge"))
    assert (np.abs(tickets.columns["net-weight"][np.isfinite(tickets.columns["net-weight"])]) <= 500).all()


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("ABC"), st.booleans()), max_size=30))
def test_the_count_is_what_a_gatekeeper_would_count(passes: list[tuple[int, str, bool]]) -> None:
    passes.sort(key=lambda each: each[0])
    events = [(at / 60, gate(plate, "in" if enters else "out")) for at, plate, enters in passes]
    expected: list[float] = []
    for minute in range(1, 6):
        inside: set[str] = set()
        for at, plate, enters in passes:
            if at <= minute * 60:
                (inside.add if enters else inside.discard)(plate)
        expected.append(float(len(inside)))
    assert count(events, 5)[0] == expected
