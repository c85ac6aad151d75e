"""A real `park serve` on loopback over a database with two enterprises, for tests of access and the API.

    def test_list(served: Served) -> None:
        assert served.client("operator").get("/api/v1/points").status_code == 200

`seed_park` plants one thing of each kind for the enterprises alpha and beta and for the park itself. Everything that
belongs to one of them carries its canary in a name or text, so that a leak shows in any answer.
"""

import ssl
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from psycopg.types.json import Jsonb
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from park_platform.api.app import create_app
from park_platform.api.settings import ServeSettings
from park_platform.cli.serve import STUCK_MS, listen, uvicorn_config
from park_platform.embedded.broker import Broker
from park_platform.storage.alarms import Happening, record, store_chain
from park_platform.storage.connect import Connection
from park_platform.storage.journal import Chain
from park_platform.storage.latest import pack_image
from park_platform.storage.people import Role, add_person, grant_access, make_signin_link
from park_platform.storage.registers import seed_first
from park_sdk.frame import Image
from support.database import ParkDatabase
from support.ledger_system import LEDGER
from support.outlet import now_us
from support.trial_system import TRIAL

# A client would load every certificate of the machine otherwise: 50 ms each time.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OWNERS = ("alpha", "beta", "park")
INSTALLED = {"trial": TRIAL, "ledger": LEDGER}
"""Of these a park has enabled the first."""
CANARY = {owner: f"canary-{owner}" for owner in OWNERS}
NOW_US = now_us()
PEOPLE = {
    "administrator": (Role.ADMINISTRATOR, None),
    "operator": (Role.OPERATOR, None),
    "safety": (Role.SAFETY, None),
    "enterprise": (Role.ENTERPRISE, "alpha"),
    "regulator": (Role.REGULATOR, None),
    "auditor": (Role.AUDITOR, None),
}
"""One person a role, named like it. The enterprise's is of alpha, and the regulator has a grant for alpha."""


@dataclass(frozen=True, slots=True)
class Planted:
    """What `seed_park` made for one owner."""

    point: int
    alarm: int
    stream: str
    stream_id: int


@dataclass(slots=True)
class Served:
    """A running server, its database, and what was planted."""

    base_url: str
    app: FastAPI
    park: ParkDatabase
    planted: dict[str, Planted]
    _clients: dict[str, httpx.Client] = field(default_factory=dict[str, httpx.Client])

    def anonymous(self) -> httpx.Client:
        """A client without a session; the caller closes it."""
        return httpx.Client(base_url=self.base_url, headers={"Accept-Language": "en"}, verify=_NO_TLS)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET without a session."""
        with self.anonymous() as client:
            return client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """A POST without a session."""
        with self.anonymous() as client:
            return client.post(path, **options)

    def link(self, name: str, minutes: int = 15) -> str:
        """A one-time token."""
        with self.park.connection("api") as connection:
            return make_signin_link(connection, name, minutes, actor="test")

    @contextmanager
    def signed_in(self, name: str) -> Generator[httpx.Client]:
        """A client with a session of its own and its CSRF token."""
        with closing(self._sign_in(name)) as client:
            yield client

    def _sign_in(self, name: str) -> httpx.Client:
        client = self.anonymous()
        answer = client.post("/api/v1/session", json={"token": self.link(name)})
        assert answer.status_code == 201, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client

    def client(self, name: str) -> httpx.Client:
        """A signed-in client that all tests of the module share."""
        if name not in self._clients:
            self._clients[name] = self._sign_in(name)
        return self._clients[name]

    @contextmanager
    def live(self, name: str | None, *, origin: str | None = "", **options: Any) -> Generator[ClientConnection]:
        """A live stream with the session of the shared client; `origin` "" is our own page's."""
        cookies = self.client(name).cookies if name else httpx.Cookies()
        with connect(
            f"{self.base_url.replace('http', 'ws')}/api/v1/live",
            origin=None if origin is None else Origin(origin or self.base_url),
            additional_headers={"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())},
            compression=None,
            **options,
        ) as stream:  # pyright: ignore[reportUnknownVariableType]  # its overload with **kwargs
            yield stream

    def close(self) -> None:
        """Close the shared clients."""
        for client in self._clients.values():
            client.close()


@contextmanager
def running(app: FastAPI, port_socket: object) -> Generator[None]:
    """Run the application as `park serve` does, in a thread."""
    server = uvicorn.Server(uvicorn_config(app, proxied=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [port_socket]}, name="serve")
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server ended"
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "the server does not stop"


@contextmanager
def serving(
    park: ParkDatabase, broker_url: str, planted: dict[str, Planted], *, stuck_ms: int = STUCK_MS
) -> Generator[Served]:
    """A server over this database and broker."""
    with listen("127.0.0.1", 0, stuck_ms=stuck_ms) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(ServeSettings.of(park.url("api"), broker_url, base_url), installed=INSTALLED)
        with running(app, listener):
            served = Served(base_url, app, park, planted)
            yield served
            served.close()


def serve_park(park_database: ParkDatabase, broker: Broker) -> Generator[Served]:
    """The fixture `served`: a server over a park with two enterprises, once database and broker are known to be up."""
    with park_database.connection() as connection:
        planted = seed_park(connection)
    with serving(park_database, broker.url("serve"), planted) as server:
        wait_until(lambda: server.get("/health").status_code == 200, "health")
        yield server


def wait_until(condition: "object", what: str, within_s: float = 10.0) -> None:
    """Wait for a condition, at most `within_s`."""
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {within_s} s"
        time.sleep(0.02)


def enable_ledger(served: Served) -> None:
    """Let the park use the system with registers, while the server runs."""
    with served.park.connection() as connection:
        connection.execute("INSERT INTO system (key) VALUES ('ledger') ON CONFLICT DO NOTHING")
        connection.execute("UPDATE installation SET config_seq = config_seq + 1")
        seed_first(connection, LEDGER)
    path = "/api/v1/registers/ledger/factors/schema"
    wait_until(lambda: served.client("operator").get(path).status_code == 200, "register")


def seed_park(connection: Connection) -> dict[str, Planted]:
    """Two enterprises, the park, one person a role, and one thing of each kind for each owner."""
    for key in ("alpha", "beta"):
        connection.execute(
            "INSERT INTO enterprise (key, name_zh, name_en) VALUES (%s, %s, %s)", (key, f"企业{key}", CANARY[key])
        )
    rule = _id(
        connection,
        "INSERT INTO rule (key, kind, name_zh, name_en, limit_value, priority, on_quantity) "
        "VALUES ('too-high', 'H', '超压', 'Too high', 1.6, 'critical', 'pressure') RETURNING id",
    )
    for name, (role, enterprise) in PEOPLE.items():
        add_person(connection, name, role, display_zh=f"人员{name}", display_en=name, enterprise=enterprise)
    connection.execute("INSERT INTO system (key) VALUES ('trial') ON CONFLICT DO NOTHING")
    add_person(connection, "neighbour", Role.ENTERPRISE, display_zh="邻居", display_en="n", enterprise="beta")
    grant_access(connection, "regulator", "alpha", 30)
    return {owner: plant(connection, owner, rule) for owner in OWNERS}


def plant(connection: Connection, owner: str, rule: int) -> Planted:
    """One thing of each kind that belongs to `owner`."""
    canary = CANARY[owner]
    stream = _id(connection, "INSERT INTO stream (name, kind) VALUES (%s, 'gateway') RETURNING id", f"gw-{owner}")
    gateway = _id(
        connection,
        "INSERT INTO gateway (key, stream_id, name_zh, name_en, online) VALUES (%s, %s, '网关', %s, true) RETURNING id",
        *(owner, stream, canary),
    )
    asset = _id(
        connection,
        "INSERT INTO asset (key, kind, name_zh, name_en, enterprise_id) "
        "VALUES (%s, 'pressure-vessel', '储罐', %s, (SELECT id FROM enterprise WHERE key = %s)) RETURNING id",
        *(f"tank-{owner}", canary, owner),
    )
    device = f"plc-{canary}"
    connection.execute("INSERT INTO device (stream_id, key, asset_id) VALUES (%s, %s, %s)", (stream, device, asset))
    point = _id(
        connection,
        "INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, asset_id) "
        "VALUES (%s, %s, 'pressure', 'pressure', 'MPa', 0, 4, 1000, 3000, %s) RETURNING id",
        *(stream, device, asset),
    )
    image = Image(np.array([point], np.int32), np.array([NOW_US]), np.array([1.25]), np.array([0], np.int16))
    connection.execute(
        "INSERT INTO latest_pack (stream_id, packed, live_seq) VALUES (%s, %s, 0)",
        (stream, pack_image(image)),
    )
    connection.execute("SELECT make_partition('reading', at_us(%s))", (NOW_US - 3_600_000_000,))
    for seconds in range(60):
        connection.execute(
            "INSERT INTO reading (ts, value, point_id, quality) VALUES (at_us(%s), %s, %s, 0)",
            (NOW_US - (60 - seconds) * 1_000_000, 1.0 + seconds / 100, point),
        )
    connection.execute(
        "INSERT INTO event (stream_id, device, kind, ts, body, body_sha256) VALUES (%s, %s, 'notice', now(), %s, %s)",
        (stream, device, Jsonb({"text": canary}), b"1"),
    )
    connection.execute(
        "INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, n, reason) VALUES (%s, %s, 'live', 1, 2, 7, %s)",
        (gateway, bytes(16), canary),
    )
    connection.execute(
        "INSERT INTO dead_letter (stream_id, reason, payload) VALUES (%s, %s, %s)", (stream, canary, canary.encode())
    )
    connection.execute(
        "INSERT INTO quarantine (point_id, time_us, value, quality, reason) VALUES (%s, 1, 'NaN', 0, %s)",
        (point, canary),
    )
    connection.execute(
        "INSERT INTO reading_conflict (point_id, ts, kept, value, quality) VALUES (%s, now(), 1, 2, 0)", (point,)
    )
    alarm = raise_alarm(connection, stream, rule, point)
    return Planted(point, alarm, f"gw-{owner}", stream)


def raise_alarm(connection: Connection, stream: int, rule: int, point: int, *, latch: bool = False) -> int:
    """Raise the alarm of a rule on a point as the intake does, journal included; returns its id."""
    happening = Happening(now_us(), "raised", rule, "critical", point, value=1.7, limit=1.6, latch=latch)
    _happen(connection, stream, happening)
    return _id(connection, "SELECT max(id) FROM alarm WHERE point_id = %s", point)


def lower_alarm(connection: Connection, stream: int, rule: int, point: int, *, latch: bool = False) -> None:
    """End the condition of an open alarm."""
    happening = Happening(now_us(), "cleared", rule, "critical", point, value=1.5, limit=1.6, latch=latch)
    _happen(connection, stream, happening)


def _happen(connection: Connection, stream: int, happening: Happening) -> None:
    with connection.transaction():
        row = connection.execute(
            "SELECT journal_seq, journal_head FROM stream WHERE id = %s FOR UPDATE", (stream,)
        ).fetchone()
        assert row is not None
        store_chain(connection, stream, record(connection, stream, Chain(*row), [happening], happening.at))


def _id(connection: Connection, statement: str, *parameters: object) -> int:
    row = connection.execute(statement.encode(), parameters).fetchone()
    assert row is not None
    return row[0]
