"""`park up`: a whole park on one machine, from an empty folder or from what a former start left in it.

    database ── schema ── park.toml ── broker ── field ── gateway ── intake ── operate ── API

Each step says what it does before it does it. PARK_DB_URL and PARK_MQTT_URL in the environment put a real database
server or broker into the place of the embedded one; one of these that is away is waited for.
"""

import json
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
from secrets import token_hex
from typing import Final, Self, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from park_platform import up_steps
from park_platform.access.caller import FIRST_LINK_MINUTES
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import PROCESSES, gateway_account
from park_platform.embedded.handshake import Answer, knock
from park_platform.embedded.ports import LOOPBACK, demand_port, keep_port
from park_platform.embedded.postgres import Postgres
from park_platform.files import make_folder
from park_platform.park_file import ParkFile, load_park
from park_platform.secrets import keep_password
from park_platform.settings import given, place_of, read_broker_url
from park_platform.storage.connect import ROLES, connect, role_name
from park_platform.storage.migrate import database_url, migrate, prepare
from park_platform.storage.park import apply_park
from park_platform.storage.people import make_signin_link
from park_platform.supervise import Event, ParkCommand, Supervisor
from park_platform.systems import find_systems
from park_platform.up_steps import Begun, Done, LeftOut, Progress, StepName, Waiting
from park_wire.errors import ConfigError, Fault, ParkError, ServiceError, StoreUnavailable
from park_wire.quantities import Text

DATABASE: Final = "park"
_ENDPOINT: Final = re.compile(r'(?m)^endpoint = "[a-z.-]+://([^:/"]+):(\d+)')
_PARTS: Final = ("sim", "gateway", "ingest", "operate", "serve")
# Nothing could be prepared without them, so who leaves them out has them stopped at the end of the start.
_SERVERS: Final = {"postgres": "PARK_DB_URL", "broker": "PARK_MQTT_URL"}

# A first answer comes before the API has reached its database and broker.
_SETTLE_S: Final = 5.0
_AGAIN_S: Final = 1.0

_T = TypeVar("_T")


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
        patience_s: float | None = None,
    ) -> None:
        """`site`: a folder with park.toml and gateway.toml (None: the sample park). `without`: parts that do not run.

        `patience_s`: how long a database or broker of the park's own is waited for; None: until it is there. Raises
        ConfigError for a part that there is not, and for an address of these servers that can't be one.
        """
        urls = given(*_SERVERS.values())
        self._installed = find_systems()
        self._own_database, self._own_broker = (urls.get(url) for url in _SERVERS.values())
        embedded = [server for server, url in _SERVERS.items() if url not in urls]
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
        self._patience_s = patience_s
        self.step: StepName = "site"
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
        """Start everything, in order; `step` is the one at hand.

        Raises ServiceError or StoreError with the remedy, and KeyboardInterrupt when a signal asks to stop meanwhile.
        """
        if self._asked_port is not None:
            # Before anything runs: it is needed last, and whoever asked for it waits.
            demand_port(self._asked_port, "serve")
        with self._step("site", up_steps.SITE):
            for fault in self._installed.faults:
                self._progress(LeftOut("site", up_steps.WITHOUT_PACKAGE, str(fault)))
            park = self._prepare_site()
            gateway = self._gateway_of(park)
        with self._step("database", up_steps.database_step(self._own_database and place_of(self._own_database))):
            self._start_database()
        with self._step("schema", up_steps.SCHEMA):
            self._with_database(self._make_schema)
        with self._step("park", up_steps.park_step(park.park.id, len(park.asset), len(park.rule))):
            self._with_database(lambda: self._apply(park))
        with self._step("broker", up_steps.broker_step(self._own_broker and place_of(self._own_broker))):
            self._start_broker(park)
        with self._step("field", up_steps.FIELD):
            self._start_field()
        with self._step("gateway", up_steps.gateway_step(gateway)):
            self._start_gateway(gateway)
        with self._step("intake", up_steps.INTAKE):
            self._start_centre("ingest", "ingest")
        with self._step("operate", up_steps.OPERATE):
            self._start_centre("operate", "operate")
        with self._step("serve", up_steps.SERVE):
            self._start_serve()
            links = self._with_database(lambda: self._signin_links(park))
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
        return self._own_broker or self._embedded_broker().url(user)

    def ask_broker(self) -> None:
        """See whether the broker lets a user in. Raises ServiceError when it does not."""
        if self._own_broker is None:
            broker = self._embedded_broker()
            pid = broker.pid
            if pid is None or not broker.is_ready(pid):
                raise ServiceError("the broker does not answer")
            return
        address = read_broker_url(self._own_broker)
        answer = knock(
            address.port, address.user, address.password, f"park-up-{token_hex(16)}", host=address.host, timeout_s=2.0
        )
        place = place_of(self._own_broker)
        if answer is Answer.SILENT:
            raise ServiceError(f"the broker at {place} does not answer")
        if answer is not Answer.WELCOME:
            problem = answer.name.lower().replace("_", " ")
            raise ServiceError(f"the broker at {place} refuses the user of PARK_MQTT_URL: {problem}")

    # steps ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _step(self, step: StepName, what: Text) -> Generator[None]:
        self.step = step
        self._progress(Begun(step, what))
        began = time.monotonic()
        try:
            yield
        except ParkError:
            # What a Ctrl-C has ended did not fail.
            self._heed_stop()
            raise
        self._heed_stop()
        self._progress(Done(step, what, time.monotonic() - began))

    def _heed_stop(self) -> None:
        if self.supervisor.stopping:
            raise KeyboardInterrupt

    def _wait_for(self, server: Text, act: Callable[[], _T]) -> _T:
        """Do `act` until it does not fail for a server that is away. Raises what it raised when patience ends."""
        began = time.monotonic()
        told = ""
        while True:
            try:
                return act()
            except (StoreUnavailable, ServiceError) as error:
                self._heed_stop()
                if self._patience_s is not None and time.monotonic() - began > self._patience_s:
                    raise
                reason = " ".join(str(error).split())
            if reason != told:
                self._progress(Waiting(self.step, up_steps.waits_for(server), reason))
                told = reason
            again = time.monotonic() + _AGAIN_S
            while time.monotonic() < again:
                self._heed_stop()
                self.supervisor.poll()
                time.sleep(0.05)

    def _with_database(self, act: Callable[[], _T]) -> _T:
        return act() if self._own_database is None else self._wait_for(up_steps.DATABASE, act)

    def _prepare_site(self) -> ParkFile:
        make_folder(self.site_folder, 0o755)
        source = [] if self._site is None else ["--site", str(self._site)]
        # The simulator brings the sample park; it is asked by its command, because nothing here may import it.
        argv = [sys.executable, "-m", "park_wire.command", "sim", "site", str(self.site_folder), *source]
        # In a session of its own, like all children: a Ctrl-C is for us.
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, start_new_session=True)
        if done.returncode != 0:
            raise ServiceError(f"the site's files could not be copied to {self.site_folder}: {done.stderr.strip()}")
        return load_park(self.site_folder / "park.toml", self._installed.systems, self._installed.refused)

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
        if self._own_database is not None:
            # The park's own database may not be there yet.
            self._admin_url = database_url(self._own_database, database="postgres")
            self._wait_for(up_steps.DATABASE, lambda: connect(self._admin_url, "park up", timeout_s=2).close())
            return
        self._postgres = Postgres(self.folder / "postgres", log_file=self.folder / "log" / "postgres.log")
        self.supervisor.start(self._postgres)
        self._admin_url = self._postgres.url()

    def _make_schema(self) -> None:
        prepare(self._admin_url, DATABASE, {role: self._password(role) for role in ROLES})
        migrate(database_url(self._admin_url, database=DATABASE))

    def _apply(self, park: ParkFile) -> None:
        with connect(self.database_url("owner"), "park up") as connection:
            apply_park(connection, park, self._installed.systems, self._installed.refused)

    def _embedded_broker(self) -> Broker:
        if self._broker is None:
            raise ServiceError("the broker was not started yet")
        return self._broker

    def _start_broker(self, park: ParkFile) -> None:
        if self._own_broker is not None:
            self._wait_for(up_steps.BROKER, self.ask_broker)
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
        """Returns when it is well, or has answered for a while and says what it misses: it goes on by itself then."""
        deadline = time.monotonic() + 30
        answered: float | None = None
        while time.monotonic() < deadline:
            self._heed_stop()
            try:
                with urlopen(f"{self.base_url}/health", timeout=2):  # noqa: S310  # our own loopback address
                    return
            except HTTPError as error:
                with error:
                    missing: list[str] = json.load(error)["missing"] if error.code == 503 else []
                answered = answered or time.monotonic()
                if missing and time.monotonic() - answered > _SETTLE_S:
                    for each in missing:
                        reason = f"the API at {self.base_url} answers, and does not reach it"
                        self._progress(Waiting("serve", up_steps.waits_for(up_steps.MISSING[each]), reason))
                    return
            except (URLError, OSError):
                answered = None
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
