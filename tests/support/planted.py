"""A park in the database without any process: streams, points, rules, and commits by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from park_platform.sensing.load import Source, StoredBirths
from park_platform.sensing.tick import arrange, tick
from park_platform.storage.commit import commit
from park_platform.storage.connect import Connection
from park_platform.storage.streams import GatewayRow, StreamConfig, config_of, gateway_of
from park_platform.storage.work import Committed, Work
from park_platform.storage.workers import Claim, db_incarnation, register_worker, stream_rows, take_stream
from park_sdk.frame import Frame, Image
from park_wire.clock import wall_us
from park_wire.messages import Birth
from support.database import ParkDatabase
from support.intake import Rule, apply, park_file
from support.outlet import now_us, points

BIRTH = Birth.of(points(4))


@dataclass
class Owner:
    """What a worker knows of one stream, and how it commits; `feed` is a commit and its installation."""

    connection: Connection
    claim: Claim
    gateway: GatewayRow
    incarnation: UUID
    births: StoredBirths
    config: StreamConfig
    image: Image
    points: list[int] = field(default_factory=list[int])
    check_alarms: bool = True
    admin: Connection | None = None

    def look(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query, as the superuser when a test gave one: a worker may not read all that it writes."""
        return table(self.admin or self.connection, query, *parameters)

    def work(self, readings: Sequence[tuple[int, int, float]] = (), **fields: Any) -> Work:
        """The work of readings (number of the point, time, value)."""
        frame = Frame(
            np.array([self.points[point] for point, _, _ in readings], np.int32),
            np.array([time for _, time, _ in readings], np.int64),
            np.array([value for _, _, value in readings], np.float64),
            np.zeros(len(readings), np.int16),
        )
        work = Work(self.claim, self.gateway.id, self.config.rules_seq, self.image, self.config.rules)
        arranged = arrange(frame, self.image, now_us() + 300_000_000)
        return replace(work, frame=arranged, check_alarms=self.check_alarms, **fields)

    def feed(
        self, readings: Sequence[tuple[int, int, float]] = (), *, now: int | None = None, **fields: Any
    ) -> Committed:
        """Commit and install; raises what `commit` raises."""
        work = self.work(readings, **fields)
        done = commit(self.connection, [work], incarnation=self.incarnation, tick=tick, now=now or now_us())
        [committed] = done.streams
        self.image.show(committed.ticked.shown)
        self.config.rules.state.apply(committed.ticked.changes)
        self.check_alarms = False
        return committed

    def reload(self) -> None:
        """Load points and rules again."""
        self.config = config_of(self.connection, self.claim.stream)
        image = Image.blank(self.config.points)
        slots = image.slots(self.image.point)
        image.time[slots], image.value[slots] = self.image.time, self.image.value
        self.image, self.check_alarms = image, True

    def journal(self) -> list[tuple[str, str, int, int]]:
        """Rule, kind, number of the point and time of each line."""
        rows = self.connection.execute(
            """
            SELECT r.key, j.kind, j.point_id, us_of(j.at) FROM journal j JOIN rule r ON r.id = j.rule_id
            WHERE j.stream_id = %s AND j.point_id IS NOT NULL ORDER BY j.seq
            """,
            (self.claim.stream,),
        ).fetchall()
        return [(rule, kind, self.points.index(point), at) for rule, kind, point, at in rows]

    def alarms(self) -> list[tuple[str, str, int]]:
        """Rule, state and times_raised of each alarm of a point, oldest first."""
        return self.connection.execute(
            """
            SELECT r.key, a.state, a.times_raised FROM alarm a JOIN rule r ON r.id = a.rule_id
            WHERE a.stream_id = %s AND a.point_id IS NOT NULL ORDER BY a.id
            """,
            (self.claim.stream,),
        ).fetchall()


def claim_stream(connection: Connection, gateway: str, worker: UUID | None = None) -> Claim:
    """Take a gateway's stream for a worker that is entered with this connection."""
    worker = worker or uuid4()
    register_worker(connection, worker)
    [row] = [row for row in stream_rows(connection) if row.name == f"gw-{gateway}"]
    claim = take_stream(connection, row, worker)
    assert claim is not None
    return claim


def own(connection: Connection, gateway: str, *, birth: Birth = BIRTH, worker: UUID | None = None) -> Owner:
    """Take a gateway's stream, with its points made by a birth."""
    claim = claim_stream(connection, gateway, worker)
    row = gateway_of(connection, claim.stream)
    assert row is not None
    incarnation = db_incarnation(connection)
    births = StoredBirths(Source(connection, incarnation, {}, wall_us), claim, row)
    config = births.save(birth, birth.encode())
    owner = Owner(connection, claim, row, incarnation, births, config, Image.blank(config.points))
    known = births.map_of(birth.config_version)
    assert known is not None
    owner.points = known.points.tolist()
    return owner


def plant(park: ParkDatabase, *gateways: str, rules: Sequence[Rule] = ()) -> None:
    """`park apply` of a park with these gateways."""
    apply(park, park_file(*gateways, rules=rules))


def table(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return connection.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType]
