"""`park up`: a whole park on one machine, from an empty folder or from what a former start left in it.

    database ── schema ── park.toml ── broker ── field ── gateway ── intake ── operate ── API

Each step says what it does before it does it. PARK_DB_URL and PARK_MQTT_URL in the environment put a real database
server or broker into the place of the embedded one.
"""

import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from park_platform.access.caller import FIRST_LINK_MINUTES
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import PROCESSES, gateway_account
from park_platform.embedded.ports import LOOPBACK, demand_port, keep_port
from park_platform.embedded.postgres import Postgres
from park_platform.files import make_folder
from park_platform.park_file import ParkFile, load_park
from park_platform.secrets import keep_password
from park_platform.settings import read_broker_url
from park_platform.storage.connect import ROLES, connect, role_name
from park_platform.storage.migrate import database_url, migrate, prepare
from park_platform.storage.park import apply_park
from park_platform.storage.people import make_signin_link
from park_platform.supervise import Event, ParkCommand, Supervisor
from park_wire.errors import ConfigError, Fault, ServiceError

DATABASE: Final = "park"
_ENDPOINT: Final = re.compile(r'(?m)^endpoint = "[a-z.-]+://([^:/"]+):(\d+)')
_PARTS: Final = ("sim", "gateway", "ingest", "operate", "serve")
# Nothing could be prepared without them, so who leaves them out has them stopped at the end of the start.
_SERVERS: Final = {"postgres": "PARK_DB_URL", "broker": "PARK_MQTT_URL"}

Progress = Callable[[str, str, float], None]
"""Called with a step's name, a sentence and the seconds it took (negative: it begins)."""


@dataclass(frozen=True, slots=True)
class SigninLink:
    """A link that signs somebody in once."""

    person: str
    role: str
    name_zh: str
    name_en: str
    url: str
    token: str


class Park:
    """Everything that `park up` runs. Used as a context: leaving it stops all children in reverse order."""

    def __init__(
        self,
        folder: Path,
        *,
        progress: Progress,
        site: Path | None = None,
        port: int | None = None,
        without: Collection[str] = (),
        trace: bool = False,
    ) -> None:
        """`site`: a folder with park.toml and gateway.toml (None: the sample park). `without`: parts that do not run.

        Raises ConfigError for a part that there is not.
        """
        embedded = [server for server, url in _SERVERS.items() if not os.environ.get(url)]
        parts = (*embedded, *_PARTS)
        if unknown := sorted(set(without).difference(parts)):
            problem = f"no part {', '.join(unknown)} runs here"
            raise ConfigError([Fault("park up", "--without", problem, f"choose from {', '.join(parts)}")])
        self.folder = folder.absolute()
        self.supervisor = Supervisor(self.folder)
        self._progress = progress
        self._site = site
        self._asked_port = port
        self._without = frozenset(without)
        self._trace = trace
        self._postgres: Postgres | None = None
        self._broker: Broker | None = None
        self._admin_url = ""
        self.base_url = ""

    def __enter__(self) -> Self:
        """Take the data folder."""
        self.supervisor.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop everything."""
        self.supervisor.stop()
        self.supervisor.__exit__(None, None, None)

    @property
    def site_folder(self) -> Path:
        """Where the site's files are while it runs."""
        return self.folder / "site"

    @property
    def trace_file(self) -> Path:
        """What the gateway has accepted, when tracing is on."""
        return self.folder / "trace.jsonl"

    def start(self) -> list[SigninLink]:
        """Start everything, in order. Raises ServiceError or StoreError with the remedy."""
        if self._asked_port is not None:
            # Before anything runs: it is needed last, and whoever asked for it waits.
            demand_port(self._asked_port, "serve")
        with self._step("site", "copies the site's files"):
            park = self._prepare_site()
            gateway = self._gateway_of(park)
        with self._step("database", "starts PostgreSQL"):
            self._start_database()
        with self._step("schema", "prepares roles and tables"):
            prepare(self._admin_url, DATABASE, {role: self._password(role) for role in ROLES})
            migrate(database_url(self._admin_url, database=DATABASE))
        counts = f"{len(park.asset)} assets, {len(park.rule)} rules"
        with (
            self._step("park", f"applies {park.park.id}: {counts}"),
            connect(self.database_url("owner"), "park up") as connection,
        ):
            apply_park(connection, park)
        with self._step("broker", "starts the message broker"):
            self._start_broker(park)
        with self._step("field", "starts the simulated meters and controllers"):
            self._start_field()
        with self._step("gateway", f"starts gateway {gateway}"):
            self._start_gateway(gateway)
        with self._step("intake", "starts the intake"):
            self._start_centre("ingest", "ingest")
        with self._step("operate", "starts rollups, partitions and watches"):
            self._start_centre("operate", "operate")
        with self._step("serve", "starts the API"):
            self._start_serve()
        links = self._signin_links(park)
        for server in sorted(self._without.intersection(_SERVERS)):
            self.supervisor.retire(server)
        return links

    def poll(self) -> tuple[Event, ...]:
        """Look after the children; call it every 0.2 s or so."""
        return self.supervisor.poll()

    def database_url(self, role: str) -> str:
        """How a process of this role reaches the database."""
        return database_url(self._admin_url, database=DATABASE, role=role, password=self._password(role))

    def signin_token(self, person: str) -> str:
        """A token that signs this person in once within a day."""
        with connect(self.database_url("owner"), "park up") as connection:
            return make_signin_link(connection, person, FIRST_LINK_MINUTES, actor="park up")

    def broker_url(self, user: str) -> str:
        """How a process or gateway reaches the broker."""
        return os.environ["PARK_MQTT_URL"] if self._broker is None else self._broker.url(user)

    def broker_answers(self) -> bool:
        """Whether the broker lets a user in; an external one is asked for a connection only."""
        if self._broker is not None:
            pid = self._broker.pid
            return pid is not None and self._broker.is_ready(pid)
        address = read_broker_url(os.environ["PARK_MQTT_URL"])
        with socket.create_connection((address.host, address.port), timeout=2):
            return True

    # steps ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _step(self, name: str, sentence: str) -> Generator[None]:
        self._progress(name, sentence, -1.0)
        began = time.monotonic()
        yield
        self._progress(name, sentence, time.monotonic() - began)

    def _prepare_site(self) -> ParkFile:
        make_folder(self.site_folder, 0o755)
        source = [] if self._site is None else ["--site", str(self._site)]
        # The simulator brings the sample park; it is asked by its command, because nothing here may import it.
        argv = [sys.executable, "-m", "park_wire.command", "sim", "site", str(self.site_folder), *source]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise ServiceError(f"the site's files could not be copied to {self.site_folder}: {done.stderr.strip()}")
        return load_park(self.site_folder / "park.toml")

    def _gateway_of(self, park: ParkFile) -> str:
        """The gateway of this site; a park's other gateways run on boxes of their own."""
        path = self.site_folder / "gateway.toml"
        try:
            gateway = tomllib.loads(path.read_text("utf-8"))["gateway"]["id"]
        except (KeyError, TypeError, ValueError, OSError) as error:
            reason = f"has no [gateway] with an id ({error})"
            raise ConfigError([Fault("gateway.toml", "gateway.id", reason, "see docs/gateway.md")]) from error
        known = [each.id for each in park.gateway]
        if gateway not in known:
            raise ConfigError(
                [
                    Fault(
                        "gateway.toml",
                        "gateway.id",
                        f"{gateway!r} is not among the gateways of park.toml: {', '.join(known) or 'none'}",
                        "use one id in both files",
                    )
                ]
            )
        return gateway

    def _start_database(self) -> None:
        if url := os.environ.get("PARK_DB_URL"):
            self._admin_url = url
            return
        self._postgres = Postgres(self.folder / "postgres", log_file=self.folder / "log" / "postgres.log")
        self.supervisor.start(self._postgres)
        self._admin_url = self._postgres.url()

    def _start_broker(self, park: ParkFile) -> None:
        if os.environ.get("PARK_MQTT_URL"):
            return
        self._broker = Broker(self.folder / "broker", log_file=self.folder / "log" / "broker.log")
        self._broker.accounts.add(*PROCESSES, *(gateway_account(gateway.id) for gateway in park.gateway))
        self.supervisor.start(self._broker)

    def _start_centre(self, part: str, *arguments: str, **environment: str) -> None:
        if part in self._without:
            return
        urls = {"PARK_DB_URL": self.database_url(_ROLE_OF[part])}
        if part != "operate":
            urls["PARK_MQTT_URL"] = self.broker_url(part)
        self.supervisor.start(ParkCommand(part, arguments, self.folder, {**environment, **urls}))

    def _start_field(self) -> None:
        """The field answers when this returns: a gateway that finds nobody says so, and healthy vessels would alarm."""
        site = self.site_folder / "gateway.toml"
        silent = set(_ENDPOINT.findall(site.read_text("utf-8")))

        def answers() -> bool:
            for host, port in tuple(silent):
                try:
                    socket.create_connection((host, int(port)), timeout=1).close()
                except OSError:
                    return False
                silent.discard((host, port))
            return True

        if "sim" not in self._without:
            arguments = ("sim", "run", str(site), "--data", str(self.folder))
            self.supervisor.start(ParkCommand("sim", arguments, self.folder, is_up=answers))

    def _start_gateway(self, gateway: str) -> None:
        if "gateway" in self._without:
            return
        environment = {"PARK_MQTT_URL": self.broker_url(f"gw-{gateway}")}
        if self._trace:
            environment["PARK_TRACE"] = str(self.trace_file)
        arguments = ("gateway", "run", str(self.site_folder / "gateway.toml"))
        self.supervisor.start(ParkCommand(f"gateway-{gateway}", arguments, self.folder, environment))

    def _start_serve(self) -> None:
        port = keep_port(self.folder / "serve.port", "serve", self._asked_port)
        self.base_url = f"http://{LOOPBACK}:{port}"
        self._start_centre("serve", "serve", "--port", str(port), PARK_BASE_URL=self.base_url)
        if "serve" not in self._without:
            self._wait_for_api()

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not self.supervisor.stopping:
            try:
                with urlopen(f"{self.base_url}/health", timeout=2):  # noqa: S310  # our own loopback address
                    return
            except (URLError, OSError):
                time.sleep(0.1)
        raise ServiceError(f"the API at {self.base_url} does not answer; see {self.folder / 'log' / 'serve.log'}")

    def _signin_links(self, park: ParkFile) -> list[SigninLink]:
        links: list[SigninLink] = []
        for person in park.person:
            token = self.signin_token(person.id)
            url = f"{self.base_url}/signin/{token}"
            links.append(SigninLink(person.id, person.role, person.name.zh, person.name.en, url, token))
        return links

    def _password(self, role: str) -> str:
        make_folder(self.folder / "passwords", 0o700)
        return keep_password(self.folder / "passwords" / role_name(role))


_ROLE_OF: Final = {"ingest": "ingest", "operate": "operate", "serve": "api"}
