"""The park stream on a real database: two gateways' minutes, late data, events, fences and owners."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from park_platform.operations.duties import Duty
from park_platform.operations.park_stream import PATIENCE_US, ParkStream
from park_platform.park_model import Asset, ParkFile
from park_platform.storage.connect import Connection
from park_platform.storage.rollups import roll_all
from park_sdk.derivation import MINUTE_US
from park_sdk.frame import NEVER
from park_wire.batch import Event
from park_wire.errors import OwnershipLost
from support.database import ParkDatabase
from support.intake import apply, park_file
from support.outlet import now_us
from support.park_systems import SYSTEMS, by_hand
from support.planted import Owner, own

SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
# Two hours ago: a whole hour, so that every step begins there, and no reading is in the future.
START: Final = now_us() // HOUR * HOUR - 2 * HOUR
GATEWAYS: Final = ("north", "south")


def minute(n: float) -> int:
    """Begin of the n-th minute."""
    return START + round(n * MINUTE_US)


def content(*systems: str) -> ParkFile:
    """Two vessels with a gateway each, and a plant."""
    park = park_file(*GATEWAYS, system={id_: {} for id_ in systems})
    plant = Asset.model_validate({"id": "plant", "kind": "plant", "name": {"zh": "某", "en": "some"}})
    return park.model_copy(update={"asset": (*park.asset, plant)})


@dataclass
class Park:
    """Two gateways' streams, who derives, and the clock that they all go by."""

    database: ParkDatabase
    admin: Connection
    ingest: Connection
    operate: Connection
    stream: ParkStream
    now: int = START
    owners: dict[str, Owner] = field(default_factory=dict[str, Owner])

    def feed(
        self, gateway: str, readings: Sequence[tuple[float, float]], until: float, events: Sequence[Event] = ()
    ) -> None:
        """Commit readings (minute, value) of a gateway, and that nothing before minute `until` follows live."""
        rows = [(0, minute(at), value) for at, value in readings]
        self.now = max([self.now, minute(until), *(row[1] for row in rows)])
        self.owners[gateway].feed(rows, until=minute(until), now=self.now, events=list(events))

    def feed_both(self, readings: Sequence[tuple[float, float]], until: float) -> None:
        for gateway in GATEWAYS:
            self.feed(gateway, readings, until)

    def derive(self) -> None:
        """What `park operate` does until there is no more to do."""
        for _ in range(1_000):
            # Not `or`: each has its turn.
            if not any([roll_all(self.operate, self.now), self.stream.advance(), self.stream.renew()]):
                roll_all(self.operate, self.now)
                return
        raise AssertionError("there is always more to do")

    def look(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.admin.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType]

    def series(self, asset: str, name: str) -> dict[float, float]:
        """The values of a derived point by minute."""
        rows = self.look(
            """
            SELECT us_of(r.ts), r.value FROM reading r JOIN point p ON p.id = r.point_id
            WHERE p.device = %s AND p.name = %s ORDER BY r.ts
            """,
            asset,
            name,
        )
        return {(at - START) / MINUTE_US: value for at, value in rows}

    def total(self) -> dict[float, float]:
        return self.series("plant", "tree.imbalance")

    def highest(self, gateway: str = "north") -> dict[float, float]:
        return self.series(f"vessel-{gateway}", "tree.pressure-ratio")

    def begin_anew(self) -> None:
        """Another `park operate`."""
        self.stream = ParkStream(self.operate, SYSTEMS, lambda _: self.now)

    def empty(self) -> None:
        """A park in which nothing has happened yet."""
        with self.admin.transaction():
            # The journal is append-only for everybody else.
            self.admin.execute("SET LOCAL session_replication_role = replica")
            self.admin.execute(
                """
                TRUNCATE reading, rollup_1m, rollup_progress, dirty, derive_again, derived_until, derivation_fault,
                         latest_pack, event, reading_conflict, rule_state, alarm, journal CASCADE
                """
            )
            self.admin.execute(
                "UPDATE stream SET event_until = NULL, journal_seq = 0, journal_head = decode(repeat('00', 32), 'hex')"
            )
        for owner in self.owners.values():
            owner.image.time[:] = NEVER
        self.now = START
        self.begin_anew()


@pytest.fixture(scope="module")
def planted(park_database: ParkDatabase) -> Generator[Park]:
    apply(park_database, content("tree", "brittle"), SYSTEMS)
    with ExitStack() as stack:
        admin, ingest, operate = (
            stack.enter_context(park_database.connection(role)) for role in (None, "ingest", "operate")
        )
        park = Park(park_database, admin, ingest, operate, ParkStream(operate, SYSTEMS, lambda _: START))
        park.owners = {gateway: own(ingest, gateway) for gateway in GATEWAYS}
        yield park


@pytest.fixture
def park(planted: Park) -> Park:
    planted.empty()
    if apply(planted.database, content("tree", "brittle"), SYSTEMS):
        for owner in planted.owners.values():
            owner.reload()
    return planted


def test_streams_of_two_gateways_are_added_up(park: Park) -> None:
    park.feed("north", [(n + 0.5, 1.0 + n) for n in range(4)], 4)
    park.feed("south", [(0.1, 10.0), (0.4, 20.0), (3.2, 5.0)], 4)
    park.derive()
    # north 1 and 2, south the mean of 10 and 20; then north 3 and 4, south 5.
    assert park.total() == {2: 18.0, 4: 12.0}
    assert park.highest() == {1: 1, 2: 2, 3: 3, 4: 4}
    assert park.highest("south") == {1: 20, 2: 20, 3: 20, 4: 20}
    [(at, value)] = park.look(
        "SELECT us_of(j.at), j.value FROM journal j JOIN rule r ON r.id = j.rule_id WHERE r.key = 'tree-much'"
    )
    assert (at, value) == (minute(2), 18.0)


def test_a_step_is_computed_once_its_minutes_are_there(park: Park) -> None:
    park.feed_both([(0.5, 1.0)], 1.5)
    park.derive()
    assert (park.total(), park.highest()) == ({}, {1: 1.0})
    park.feed_both([(1.6, 2.0), (2.6, 1.0)], 5)
    park.derive()
    assert park.total() == {2: 6.0, 4: 2.0}
    park.derive()
    assert park.look("SELECT count(*) FROM reading_conflict") == [(0,)]


def test_a_silent_gateway_is_waited_for_and_then_counted(park: Park) -> None:
    park.feed_both([(n + 0.5, 1.0) for n in range(2)], 2)
    park.feed("north", [(n + 0.5, 1.0) for n in range(2, 10)], 10)
    park.now = minute(2) + PATIENCE_US - SECOND
    park.derive()
    assert list(park.total()) == [2]
    park.now = minute(4) + PATIENCE_US
    park.derive()
    assert park.total() == {2: 4.0, 4: 2.0}
    park.now = minute(8) + PATIENCE_US
    park.derive()
    before = park.highest()
    rows = """
        SELECT r.point_id, r.ts, r.xmin::text AS xmin FROM reading r JOIN point p ON p.id = r.point_id
        WHERE p.system = 'tree'
        """
    first = set(park.look(rows))
    # What was silent comes back, with what it read between minutes 4 and 6.
    park.feed("south", [(n + 0.5, 2.0) for n in range(4, 6)], 10)
    park.derive()
    assert park.total() == {2: 4.0, 4: 2.0, 6: 6.0, 8: 2.0, 10: 2.0}
    assert park.highest() == {**before, 9: 1.0, 10: 1.0}
    changed = park.look(
        f"""
        SELECT p.device, p.name, (us_of(r.ts) - %s) / 60000000 FROM ({rows}) AS r JOIN point p ON p.id = r.point_id
        WHERE (r.point_id, r.ts, r.xmin) <> ALL (SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::text[]))
          AND us_of(r.ts) <= %s ORDER BY 1, 3
        """,
        START,
        *(list(column) for column in zip(*first, strict=True)),
        minute(8),
    )
    # Nothing else was written again: only the step that changed, and that gateway's own maxima.
    assert changed == [("plant", "tree.imbalance", 6)] + [
        ("vessel-south", "tree.pressure-ratio", n) for n in range(5, 9)
    ]


def test_late_readings_that_take_rows_away_take_their_minutes_away(park: Park) -> None:
    park.feed_both([(n + 0.5, 1.0) for n in range(12)], 12)
    park.derive()
    with park.admin.transaction():
        # As if what had been read were found to be nonsense: minutes 3 to 9 of north are empty now.
        park.admin.execute(
            """
            DELETE FROM reading r USING point p, stream s WHERE p.id = r.point_id AND s.id = p.stream_id
              AND s.name = 'gw-north' AND r.ts >= at_us(%s) AND r.ts < at_us(%s)
            """,
            (minute(3), minute(9)),
        )
        park.admin.execute(
            """
            DELETE FROM rollup_1m b USING point p, stream s WHERE p.id = b.point_id AND s.id = p.stream_id
              AND s.name = 'gw-north' AND b.bucket >= at_us(%s) AND b.bucket < at_us(%s)
            """,
            (minute(3), minute(9)),
        )
        park.admin.execute(
            "INSERT INTO derive_again (from_ts, to_ts) VALUES (at_us(%s), at_us(%s))", (minute(3), minute(9))
        )
    park.derive()
    assert sorted(park.highest()) == [1, 2, 3, 4, 5, 6, 7, 10, 11, 12]
    check_rollups(park)


def check_rollups(park: Park) -> None:
    """The minutes of the park stream's points are those that their readings make."""
    kept = """
        SELECT b.point_id, b.bucket, b.count, b.last, b.good_seconds FROM rollup_1m b JOIN point p ON p.id = b.point_id
        WHERE p.system IS NOT NULL ORDER BY 1, 2
        """
    found = park.look(kept)
    park.admin.execute("DELETE FROM rollup_1m b USING point p WHERE p.id = b.point_id AND p.system IS NOT NULL")
    park.admin.execute(
        "UPDATE rollup_progress SET done = '-infinity' WHERE stream_id = (SELECT id FROM stream WHERE kind = 'park')"
    )
    for _ in range(100):
        if not roll_all(park.operate, park.now):
            break
    assert found == park.look(kept)


@dataclass(frozen=True)
class Move:
    """Something that happens: readings (minute, second, value) of a gateway and its promise, and time that passes."""

    gateway: str
    readings: tuple[tuple[int, int, int], ...]
    until: int
    waits_s: int


LAST = 9
moves = st.lists(
    st.builds(
        Move,
        st.sampled_from(GATEWAYS),
        st.lists(st.tuples(st.integers(0, LAST - 1), st.sampled_from([5, 30]), st.integers(0, 3)), max_size=4).map(
            tuple
        ),
        st.integers(0, LAST),
        st.sampled_from([0, 0, 200]),
    ),
    max_size=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_whatever_comes_when_ends_as_if_it_had_come_in_time(planted: Park, story: list[Move]) -> None:
    park = planted
    park.empty()
    read: dict[tuple[str, int], dict[int, float]] = {}
    for move in story:
        readings: dict[float, float] = {}
        for at, second, value in move.readings:
            if second not in read.setdefault((move.gateway, minute(at)), {}):
                read[move.gateway, minute(at)][second] = value
                readings[at + second / 60] = value
        park.feed(move.gateway, sorted(readings.items()), move.until)
        park.now += move.waits_s * SECOND
        park.derive()
    park.feed_both([], LAST)
    park.derive()
    # A clock that ran on lets it go beyond the last minute that gateways know of.
    end = max(minute(LAST), (park.now - PATIENCE_US) // MINUTE_US * MINUTE_US)
    expected = by_hand(
        {(f"vessel-{gateway}", at): list(values.values()) for (gateway, at), values in read.items()}, end
    )
    found = {
        (asset, quantity): {minute(at): value for at, value in park.series(asset, f"tree.{quantity}").items()}
        for asset, quantity in [
            ("plant", "imbalance"),
            *((f"vessel-{gateway}", "pressure-ratio") for gateway in GATEWAYS),
        ]
    }
    assert {key: values for key, values in found.items() if values} == {
        key: pytest.approx(values) for key, values in expected.items()
    }
    assert park.look("SELECT count(*) FROM reading_conflict") == [(0,)]
    assert park.look("SELECT count(*) FROM derive_again") == [(0,)]
    check_rollups(park)


def ticket(at: float, tons: float) -> Event:
    return Event("plc-1", minute(at), "ticket", {"tons": tons})


def loaded(park: Park) -> dict[float, float]:
    return park.series("vessel-north", "tree.level")


def test_events_belong_to_their_step(park: Park) -> None:
    park.feed_both([(0.5, 1.0)], 1)
    park.feed("north", [], 3, [ticket(1.0, 1.0), ticket(1.5, 2.0), ticket(2.0, 4.0)])
    park.feed("south", [], 3)
    park.derive()
    assert loaded(park) == {1: 1.0, 2: 6.0}


@pytest.mark.parametrize("at", [1.5, 2.0])
def test_an_event_that_comes_late_changes_its_step(park: Park, at: float) -> None:
    park.feed_both([(0.5, 1.0)], 3)
    park.derive()
    assert loaded(park) == {}
    park.feed("north", [], 5, [ticket(at, 2.0)])
    park.derive()
    assert loaded(park) == {2: 2.0}


def test_an_event_that_comes_while_its_step_is_computed(park: Park) -> None:
    park.feed_both([(0.5, 1.0)], 1)
    park.derive()
    park.feed("south", [], 6)
    with park.database.connection("ingest") as other:
        # north was silent too long; what it sends now is not visible yet when the others are counted.
        owner = park.owners["north"]
        owner.connection = other
        with other.transaction():
            park.now = minute(6)
            owner.feed([], until=minute(1), now=park.now, events=[ticket(2.5, 3.0)])
            park.derive()
            assert loaded(park) == {}
        owner.connection = park.ingest
    park.derive()
    assert loaded(park) == {3: 3.0}


def test_one_that_raises_is_fenced_and_the_others_go_on(park: Park) -> None:
    park.feed_both([(0.5, 1.0)], 2)
    park.derive()
    assert list(park.series("plant", "brittle.stirrer-speed")) == [1, 2]
    park.feed_both([(2.5, 4.0)], 4)
    park.derive()
    park.feed_both([(4.5, 1.0)], 6)
    park.derive()
    assert list(park.series("plant", "brittle.stirrer-speed")) == [1, 2]
    assert list(park.total()) == [2, 4, 6]
    assert park.look("SELECT system, derivation, reason FROM derivation_fault") == [
        ("brittle", "speed", "OverflowError: more than 3.5")
    ]
    fenced = (
        "SELECT a.subject, a.times_raised FROM alarm a JOIN rule r ON r.id = a.rule_id WHERE r.key = 'system-fenced'"
    )
    assert park.look(fenced) == [("brittle/speed", 1)]
    # What it gave stays, also where late data would change it.
    park.feed("north", [(0.2, 2.0)], 7)
    park.derive()
    assert list(park.series("plant", "brittle.stirrer-speed")) == [1, 2]


def test_one_that_raises_on_late_data_alone_is_said_too(park: Park) -> None:
    apply(park.database, content("brittle"), SYSTEMS)
    for owner in park.owners.values():
        owner.reload()
    park.feed_both([(n + 0.5, 1.0) for n in range(4)], 4)
    park.derive()
    park.feed("north", [(1.2, 9.0)], 4)
    park.derive()
    assert list(park.series("plant", "brittle.stirrer-speed")) == [1, 2, 3, 4]
    assert park.look("SELECT system FROM derivation_fault") == [("brittle",)]
    assert park.look("SELECT subject FROM alarm") == [("brittle/speed",)]


def test_what_raised_is_computed_once_it_is_mended(park: Park) -> None:
    park.feed_both([(0.5, 4.0)], 2)
    park.feed_both([(n + 0.5, 1.0) for n in range(2, 4)], 4)
    park.derive()
    assert park.look("SELECT count(*) FROM derivation_fault") == [(1,)]
    park.admin.execute("UPDATE rollup_1m SET mean = 1, min = 1, max = 1, first = 1, last = 1")
    park.begin_anew()
    park.derive()
    assert list(park.series("plant", "brittle.stirrer-speed")) == [1, 2, 3, 4]
    assert park.look("SELECT count(*) FROM derivation_fault") == [(0,)]


def test_a_long_backlog_is_history_which_no_rule_judges(park: Park, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Duty, "most_steps", property(lambda _: 3))
    park.feed_both([(n + 0.5, 4.0 if n < 10 else 1.0) for n in range(20)], 20)
    park.derive()
    assert park.total() == {at: 16.0 if at <= 10 else 4.0 for at in range(2, 21, 2)}
    assert len(park.highest()) == 20
    assert park.look("SELECT * FROM journal j JOIN rule r ON r.id = j.rule_id WHERE r.key = 'tree-much'") == []
    check_rollups(park)


def test_a_system_that_is_disabled_leaves_no_alarm_open(park: Park) -> None:
    park.feed_both([(n + 0.5, 3.0) for n in range(2)], 2)
    park.derive()
    alarms = "SELECT a.state FROM alarm a JOIN rule r ON r.id = a.rule_id WHERE r.key = 'tree-much'"
    assert park.look(alarms) == [("unacknowledged",)]
    apply(park.database, content(), SYSTEMS)
    park.derive()
    assert park.look(alarms) == [("returned",)]
    assert park.look("SELECT count(*) FROM point WHERE system = 'tree' AND gone_at IS NULL") == [(0,)]
    apply(park.database, content("tree"), SYSTEMS)
    for owner in park.owners.values():
        owner.reload()
    park.feed_both([(n + 0.5, 3.0) for n in range(2, 4)], 4)
    park.derive()
    assert park.total() == {2: 12.0, 4: 12.0}


def test_of_two_owners_one_commits(park: Park) -> None:
    park.feed_both([(0.5, 1.0)], 2)
    park.derive()
    former = park.stream
    with park.database.connection("operate") as other:
        park.stream = ParkStream(other, SYSTEMS, lambda _: park.now)
        park.feed_both([(2.5, 1.0)], 4)
        park.derive()
        assert list(park.total()) == [2, 4]
        park.feed_both([(4.5, 1.0)], 6)
        roll_all(park.operate, park.now)
        with pytest.raises(OwnershipLost):
            former.advance()
        assert list(park.total()) == [2, 4]
        park.feed("north", [(0.1, 3.0)], 6)
        roll_all(park.operate, park.now)
        with pytest.raises(OwnershipLost):
            former.renew()
        park.derive()
    assert park.total() == {2: 3.0, 4: 2.0, 6: 2.0}


def test_a_restored_database_ends_the_ownership(park: Park) -> None:
    park.feed_both([(0.5, 1.0)], 2)
    park.derive()
    park.feed_both([(2.5, 1.0)], 4)
    roll_all(park.operate, park.now)
    [(before,)] = park.look("SELECT db_incarnation FROM installation")
    park.admin.execute("UPDATE installation SET db_incarnation = gen_random_uuid()")
    try:
        with pytest.raises(OwnershipLost, match="restored"):
            park.stream.advance()
    finally:
        park.admin.execute("UPDATE installation SET db_incarnation = %s", (before,))
