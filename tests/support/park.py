"""A whole park for tests and benchmarks: what `park up` runs, looked after for as long as a test waits for something.

    with whole_park(folder) as park:                      # database, broker, field, gateway, intake, operate, API
        alarms = park.client("operator").get("/api/v1/alarms").json()["items"]
        park.sim("fault", "over-pressure", "tank-2")
        park.wait(lambda: …, "an alarm")                  # meanwhile the supervisor starts again what has ended

Children belong to the main thread, so everything here is called from it.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from park_platform.embedded.unix_user import choose_user
from park_platform.storage import connect as storage
from park_platform.supervise import ChildState, Ended, Event
from park_platform.up import Park, SigninLink
from park_platform.up_steps import Begun, Done, LeftOut, Waiting
from park_wire import cbor

_T = TypeVar("_T")
_TURN_S = 0.05
_NOTHING: dict[str, Any] = {}


class Away(Exception):
    """The API says that something it needs can't be reached at the moment."""


@dataclass(slots=True)
class WholePark:
    """A running park. `events` is what the supervisor has said since the start."""

    park: Park
    links: Mapping[str, SigninLink]
    stack: ExitStack
    events: list[Event] = field(default_factory=list[Event])
    _clients: dict[str, httpx.Client] = field(default_factory=dict[str, httpx.Client])

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.park.folder

    def wait(self, condition: Callable[[], _T | None], what: str, within_s: float = 20.0) -> _T:
        """Wait until `condition` gives something true and return it; fail with `what` when it does not in time.

        A service that can't be reached at the moment is waited for.
        """
        deadline = time.monotonic() + within_s
        reason = ""
        while True:
            self.events += self.park.poll()
            try:
                found = condition()
            except (httpx.TransportError, storage.StoreUnavailable, Away) as error:
                reason, found = f" ({error})", None
            if found:
                return found
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}{reason}{self._ends()}"
            time.sleep(_TURN_S)

    def _ends(self) -> str:
        """Which children have ended by themselves lately, and their last words."""
        ended = [event for event in self.events[-6:] if isinstance(event, Ended)]
        return "".join(
            f"\n{event.name} ended with code {event.exit_code}: {event.last_lines[-600:]}" for event in ended
        )

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.events += self.park.poll()
            time.sleep(min(_TURN_S, left))

    def client(self, person: str) -> httpx.Client:
        """A signed-in client of this person, made once; its one-time link is used up then."""
        if person not in self._clients:
            client = self.stranger()
            answer = client.post("/api/v1/session", json={"token": self.links[person].token})
            assert answer.status_code == 201, answer.text
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
            self._clients[person] = client
        return self._clients[person]

    def latest(self, key: str, person: str = "operator") -> dict[str, Any]:
        """The last reading of `gw-1/device/name` at the API; in the sample park assets are called like their device."""
        asset = key.split("/")[1]
        items = self._items(person, "/api/v1/latest", asset=asset)
        return next((item for item in items if item["key"] == key), _NOTHING)

    def alarms(self, rule: str, device: str, person: str = "operator") -> list[dict[str, Any]]:
        """The alarms of a rule on a device's points as the API lists them, newest first."""
        return [
            alarm
            for alarm in self._items(person, "/api/v1/alarms")
            if alarm["rule"]["key"] == rule and alarm["point"] and alarm["point"]["key"].split("/")[1] == device
        ]

    def _items(self, person: str, path: str, **asked: str) -> list[dict[str, Any]]:
        answer = self.client(person).get(path, params={"limit": "1000", **asked})
        if answer.status_code == 503:
            raise Away(answer.text)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    def stranger(self) -> httpx.Client:
        """A client without a session."""
        headers = {"Accept-Language": "en", "Origin": self.park.base_url}
        return self.stack.enter_context(httpx.Client(base_url=self.park.base_url, headers=headers, timeout=10.0))

    @contextmanager
    def live(self, person: str) -> Generator["LiveStream"]:
        """This person's live stream."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.client(person).cookies.items())
        with connect(
            f"{self.park.base_url.replace('http', 'ws', 1)}/api/v1/live",
            origin=Origin(self.park.base_url),
            additional_headers={"Cookie": cookies},
            max_size=8 << 20,
        ) as stream:
            yield LiveStream(stream)

    @contextmanager
    def database(self, role: str = "owner") -> Generator[storage.Connection]:
        """A connection of a role. Raises StoreUnavailable."""
        with (
            storage.connect(self.park.database_url(role), "test", timeout_s=2) as connection,
            storage.database_errors(),
        ):
            yield connection

    def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """What a query says, asked as the database's owner. Raises StoreUnavailable."""
        with self.database() as connection:
            return connection.execute(query, values or None).fetchall()

    def sim(self, *words: str) -> str:
        """Run `park sim WORDS …` on this park and return what it prints."""
        done = park_command("sim", *words, "--data", str(self.folder))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def child(self, name: str) -> ChildState:
        """A child as it is now; `gateway` is the sample park's only one."""
        return next(child for child in self.park.supervisor.children() if child.name.startswith(name))


@dataclass(slots=True)
class LiveStream:
    """The live stream of one client, decoded."""

    stream: ClientConnection
    messages: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])

    def take(self) -> bool:
        """Take what has come; whether there was anything."""
        try:
            message = self.stream.recv(0.05)
        except TimeoutError:
            return False
        assert isinstance(message, bytes)
        self.messages.append(cbor.decode(message))
        return True

    def lines(self, kind: str, rule: str) -> list[Mapping[str, Any]]:
        """The journal lines of this kind and rule that have come so far."""
        while self.take():
            pass
        heard = [line for message in self.messages if message["kind"] == "alarms" for line in message["lines"]]
        return [line for line in heard if line["kind"] == kind and line["rule"] == rule]


def park_command(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `park WORDS …` to its end."""
    argv = [sys.executable, "-m", "park_wire.command", *words]
    given = {**os.environ, **(environment or {})}
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, env=given)


@contextmanager
def whole_park(folder: Path, *, trace: bool = False, **options: Any) -> Generator[WholePark]:
    """Run the sample park in `folder` until the block ends; `options` are Park's."""
    with (
        Park(folder, progress=_say_nothing, trace=trace, **options) as park,
        ExitStack() as stack,
    ):
        links = {link.person: link for link in park.start()}
        yield WholePark(park, links, stack)


@contextmanager
def taken(port: int) -> Generator[None]:
    """Another program has this port of loopback: it hangs up on everybody who comes."""
    deadline = time.monotonic() + 5.0
    while True:
        try:
            server = socket.create_server(("127.0.0.1", port))
            break
        except OSError:
            # What a killed server has forked holds its port a moment longer.
            assert time.monotonic() < deadline, f"port {port} does not become free"
            time.sleep(0.01)

    def hang_up() -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=hang_up, name="taken")
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def _say_nothing(_news: Begun | Waiting | LeftOut | Done) -> None:
    return


@contextmanager
def park_folder(*, on_disk: bool = False) -> Generator[Path]:
    """A new data folder, removed afterwards: in memory where there is room, unless the disk's own behaviour counts."""
    memory = Path("/dev/shm")  # noqa: S108  # mkdtemp makes the name
    place = Path("/var/tmp") if on_disk or not memory.is_dir() else memory  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="parkhub-park-", dir=place))
    if choose_user(None) is not None:
        folder.chmod(0o711)  # PostgreSQL's user must pass through
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
