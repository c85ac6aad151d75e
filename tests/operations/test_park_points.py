"""Which points park derivations have: of a refused package those that it had, of a meter that feeds none none."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final, LiteralString

import numpy as np
import pytest

from park_platform.operations.park_stream import ParkStream
from park_platform.park_model import Asset, ParkFile
from park_platform.storage.connect import Connection
from park_platform.storage.park import apply_park, plan_park
from park_platform.storage.rollups import roll_all
from park_sdk.derivation import MINUTE_US, Derived, Figure, Grid, Of, Params, ParkDerivation, ParkInput
from support.database import ParkDatabase
from support.intake import apply, park_file
from support.outlet import now_us
from support.park_systems import SYSTEMS
from support.planted import own

START: Final = now_us() // 3_600_000_000 * 3_600_000_000 - 7_200_000_000
REST: Final = {"brittle": SYSTEMS["brittle"]}


@pytest.fixture
def connections(park_database: ParkDatabase) -> Generator[dict[str, Connection]]:
    with ExitStack() as stack:
        yield {
            role: stack.enter_context(park_database.connection(None if role == "admin" else role))
            for role in ("admin", "owner", "ingest", "operate")
        }


def content(*systems: str) -> ParkFile:
    park = park_file("north", system={id_: {} for id_ in systems})
    plant = Asset.model_validate({"id": "plant", "kind": "plant", "name": {"zh": "某", "en": "some"}})
    return park.model_copy(update={"asset": (*park.asset, plant)})


def test_its_alarms_stay_and_the_park_hears_of_it(
    park_database: ParkDatabase, connections: dict[str, Connection]
) -> None:
    apply(park_database, content("tree", "brittle"), SYSTEMS)
    owner, now = own(connections["ingest"], "north"), START + 4 * MINUTE_US
    for number in range(4):
        at = START + number * MINUTE_US + 1
        owner.feed([(0, at, 6.0)], until=at, now=now)

    def derive(stream: ParkStream) -> None:
        while any([roll_all(connections["operate"], now), stream.advance(), stream.renew()]):
            pass

    def look(query: LiteralString) -> list[tuple[object, ...]]:
        return connections["admin"].execute(query).fetchall()

    state = "SELECT r.key, a.state, a.subject FROM alarm a JOIN rule r ON r.id = a.rule_id ORDER BY a.id"
    derive(ParkStream(connections["operate"], SYSTEMS, lambda _: now))
    assert [row[:2] for row in look(state) if row[0] == "tree-much"] == [("tree-much", "unacknowledged")]

    # Its package breaks; the park goes on with what the database knows.
    lines = apply_park(connections["owner"], content("brittle"), REST, refused={"tree"})
    assert {(line.action, line.kind, line.key) for line in lines} >= {("kept", "system", "tree")}
    derive(ParkStream(connections["operate"], REST, lambda _: now))
    assert ("tree-much", "unacknowledged") in [row[:2] for row in look(state)]
    assert ("system-fenced", "tree/all") in [(key, subject) for key, _, subject in look(state)]
    ((reason,),) = look("SELECT reason FROM derivation_fault WHERE system = 'tree'")
    assert reason == "is not installed, or its package was refused; usable: brittle"
    assert look("SELECT count(*) FROM point WHERE system = 'tree' AND gone_at IS NULL") != [(0,)]

    # A park that no longer wants it takes it out.
    assert ("remove", "system", "tree") in {
        (line.action, line.kind, line.key) for line in plan_park(connections["owner"], content("brittle"), REST)
    }
    apply_park(connections["owner"], content("brittle"), REST)
    derive(ParkStream(connections["operate"], REST, lambda _: now))
    assert ("tree-much", "returned") in [row[:2] for row in look(state)]
    assert look("SELECT count(*) FROM point WHERE system = 'tree' AND gone_at IS NULL") == [(0,)]
    assert look("SELECT count(*) FROM derivation_fault WHERE system = 'tree'") == [(0,)]


def test_an_asset_that_feeds_none_gets_no_figure_about_what_it_feeds(
    park_database: ParkDatabase, connections: dict[str, Connection]
) -> None:
    fed = ParkInput("fed", "pressure", Figure.MEAN, Of.FED, ("vessel",))
    sub_meters = ParkDerivation("sum", ("vessel", "plant"), (fed,), ("imbalance",), _none)
    systems = {"tree": replace(SYSTEMS["tree"], derivations=(sub_meters,))}
    park = content("tree")
    park = park.model_copy(
        update={"asset": tuple(asset.model_copy(update={"fed_from": "plant"}) if asset.id != "plant" else asset
                               for asset in park.asset)}
    )  # fmt: skip
    apply(park_database, park, systems)
    own(connections["ingest"], "north")
    ParkStream(connections["operate"], systems, lambda _: START).advance()
    points = "SELECT a.key FROM point p JOIN asset a ON a.id = p.asset_id WHERE p.system = 'tree' AND p.gone_at IS NULL"
    assert connections["admin"].execute(points).fetchall() == [("plant",)]


def _none(grid: Grid, params: Params) -> Derived:
    nothing = np.empty(0, np.int64)
    return Derived(nothing, nothing, {"imbalance": np.empty(0)})
