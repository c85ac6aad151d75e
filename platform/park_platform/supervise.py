"""The supervisor of `park up`: starts child processes in order, restarts those that end, stops them in reverse order.

    with Supervisor(data) as supervisor:       # takes the data folder; SIGINT and SIGTERM are heeded from here on
        supervisor.start(postgres)             # waits until it is ready
        supervisor.start(broker)
        supervisor.start(ParkCommand("ingest", ("ingest",), {"PARK_DB_URL": …}))
        while not supervisor.stopping:
            for event in supervisor.poll(): print(event)
            time.sleep(0.2)
                                               # leaving stops all children

It has no thread: everything happens in the calls of its owner, which are made from the main thread. It knows nothing of
what the children do: whether they are well is asked of the services themselves.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

import structlog

from park_platform.files import explained, make_folder, pass_through_mode
from park_platform.program import Child, Program, Service, launch
from park_wire.errors import EXIT_CONFIGURATION, ServiceError

FIRST_DELAY_S: Final = 0.2
LONGEST_DELAY_S: Final = 10.0
STEADY_AFTER_S: Final = 30.0
LOG_BYTES: Final = 10 << 20
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ParkCommand:
    """One of Parkhub's own processes: `park ARGUMENTS …` by the same interpreter, with `environment` added to ours.

    `is_up` tells when it does its work; by default from its first moment.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    is_up: Callable[[], bool] = lambda: True
    grace_s: float = 10.0

    def prepare(self) -> Program:
        """How to run it."""
        return Program(
            name=self.name,
            argv=(sys.executable, "-m", "park_wire.command", *self.arguments),
            pid_file=self.folder / "run" / f"{self.name}.pid",
            log_file=self.folder / "log" / f"{self.name}.log",
            environment={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            folder=Path.cwd(),
            grace_s=self.grace_s,
        )

    def is_ready(self, pid: int) -> bool:
        """Whether it does its work."""
        del pid
        return self.is_up()

    def explain(self, last_lines: str) -> str:
        """Its own last words."""
        return f"park {' '.join(self.arguments)} ended:\n{last_lines}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended by itself. `restart_in_s` None: it stays down, and `last_lines` say why."""

    name: str
    exit_code: int
    restart_in_s: float | None
    last_lines: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """A child runs again."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class NotRestarted:
    """A child could not be started again; it is tried again in `retry_in_s`."""

    name: str
    reason: str
    retry_in_s: float


Event = Ended | Restarted | NotRestarted


@dataclass(frozen=True, slots=True)
class ChildState:
    """A child as it is now. `pid` None: it does not run; `given_up`: and will not be started again."""

    name: str
    pid: int | None
    alive_s: float
    restarts: int
    given_up: bool
    log_file: Path


@dataclass(slots=True)
class _Post:
    """A child's place: who fills it now, and when it is filled again."""

    service: Service
    child: Child
    restarts: int = 0
    delay_s: float = FIRST_DELAY_S
    due: float | None = None
    given_up: bool = False

    def next_delay(self) -> float:
        """The delay for this failure; the next one is twice as long."""
        delay = self.delay_s
        self.delay_s = min(2 * delay, LONGEST_DELAY_S)
        return delay


class Supervisor:
    """The children of one data folder. Only one supervisor at a time may have a folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` gets `run/` (process ids) and `log/` when the supervisor is entered."""
        self.folder = folder.absolute()
        self.stopping = False
        self._posts: list[_Post] = []
        self._lock: int | None = None
        self._former: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        """Take the folder and heed SIGINT and SIGTERM. Raises ServiceError when another supervisor has the folder."""
        make_folder(self.folder, pass_through_mode())
        make_folder(self.folder / "run", 0o700)
        make_folder(self.folder / "log", 0o700)
        with explained("park"):
            self._lock = self._take_folder()
        self._former = {number: signal.signal(number, self._heed) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all children and give the folder and the signals back."""
        self.stop()
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def start(self, service: Service, *, ready_within_s: float = 60.0) -> int:
        """Start `service` as the next child and return its process id once it is ready.

        Raises ServiceError when it does not become ready, and KeyboardInterrupt when a signal asks to stop meanwhile.
        """
        _bound_log(self.folder / "log" / f"{service.name}.log")
        child = launch(service, ready_within_s=ready_within_s, given_up=lambda: self.stopping)
        self._posts.append(_Post(service, child))
        _log.info("child_started", child=service.name, pid=child.pid)
        return child.pid

    def poll(self) -> tuple[Event, ...]:
        """Look after every child: note who ended, start again who is due. Call it every 0.2 s or so."""
        if self.stopping:
            return ()
        events: list[Event] = []
        for post in self._posts:
            event = self._look_after(post)
            if event is not None:
                events.append(event)
        return tuple(events)

    def stop(self) -> None:
        """Stop all children, the last started first; each gets its stop signal and, after its grace, SIGKILL."""
        self.stopping = True
        while self._posts:
            post = self._posts.pop()
            exit_code = post.child.stop()
            _log.info("child_stopped", child=post.service.name, exit_code=exit_code)

    def retire(self, name: str) -> None:
        """Stop one child for good."""
        post = next(post for post in self._posts if post.service.name == name)
        post.given_up = True
        _log.info("child_stopped", child=name, exit_code=post.child.stop())

    def children(self) -> tuple[ChildState, ...]:
        """All children in the order of their start."""
        return tuple(
            ChildState(
                name=post.service.name,
                pid=post.child.pid if post.child.exit_code is None else None,
                alive_s=post.child.alive_s if post.child.exit_code is None else 0.0,
                restarts=post.restarts,
                given_up=post.given_up,
                log_file=post.child.program.log_file,
            )
            for post in self._posts
        )

    def _look_after(self, post: _Post) -> Event | None:
        if post.given_up:
            return None
        if post.due is None:
            return self._note_end(post)
        return self._start_again(post) if time.monotonic() >= post.due else None

    def _note_end(self, post: _Post) -> Event | None:
        child, name = post.child, post.service.name
        exit_code = child.exit_code
        if exit_code is None:
            _bound_log(child.program.log_file)
            return None
        if child.alive_s >= STEADY_AFTER_S:
            post.delay_s = FIRST_DELAY_S
        delay = None
        if exit_code == EXIT_CONFIGURATION:
            post.given_up = True
        else:
            delay = post.next_delay()
            post.due = time.monotonic() + delay
        _log.warning("child_ended", child=name, exit_code=exit_code, restart_in_s=delay)
        return Ended(name, exit_code, delay, child.last_lines())

    def _start_again(self, post: _Post) -> Event:
        name = post.service.name
        try:
            post.child = Child(post.service.prepare(), wait_s=0.0)
        except ServiceError as error:
            delay = post.next_delay()
            post.due = time.monotonic() + delay
            return NotRestarted(name, str(error), delay)
        post.due = None
        post.restarts += 1
        _log.info("child_restarted", child=name, pid=post.child.pid, restarts=post.restarts)
        return Restarted(name, post.child.pid)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = True

    def _take_folder(self) -> int:
        path = self.folder / "run" / "supervisor.pid"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise ServiceError(
                f"Parkhub already runs on {self.folder} as process {owner}; stop that one (kill {owner}), or choose "
                "another data folder"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock


def _bound_log(log_file: Path) -> None:
    """Move a log of more than LOG_BYTES to `.1`. The file stays the same one, because the child has it open."""
    try:
        if log_file.stat().st_size > LOG_BYTES:
            # What is written between the two calls is lost; it is a log.
            shutil.copyfile(log_file, log_file.with_name(f"{log_file.name}.1"))
            os.truncate(log_file, 0)
    except OSError:
        # A full disk must not take down those who could free it.
        return
