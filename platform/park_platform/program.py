"""One foreign or own program as a child process: started so that it can't outlive us, stopped in bounded time.

Nothing here restarts anything (supervise.py) or knows a particular program (embedded/).
"""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import IO, Final, Protocol

from park_platform import become
from park_platform.files import explained
from park_wire.errors import ServiceError

KILL_WAIT_S: Final = 10.0
_POLL_S: Final = 0.01
_TAIL_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class User:
    """An entry of the password database, as which a child runs when the parent is root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to start and how to end it.

    `pid_file` holds process id and start time, and is locked for as long as the process or one that it forked lives:
    so two can never run on one folder, and a start waits for what is left of the last run. `environment` None means
    ours. `stop_signal` is also what the child gets when its parent ends; after `grace_s` it is killed.
    """

    name: str
    argv: tuple[str, ...]
    pid_file: Path
    log_file: Path
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    folder: Path = Path("/")
    user: User | None = None
    stop_signal: Signals = SIGTERM
    grace_s: float = 10.0


class Service(Protocol):
    """Something that runs as one child process."""

    @property
    def name(self) -> str:
        """Names it in logs, and its files in `log` and `run`."""
        ...

    def prepare(self) -> Program:
        """Make its folder and files ready and say what to start; called again before each restart.

        Raises ServiceError when it can't be started, with the remedy.
        """
        ...

    def is_ready(self, pid: int) -> bool:
        """Whether process `pid`, which is alive, does its work."""
        ...

    def explain(self, last_lines: str) -> str:
        """One sentence, with the remedy, on why it ended, from the last lines of its log."""
        ...


class Child:
    """A started program. Only the thread that started it may outlive it: PR_SET_PDEATHSIG follows that thread."""

    def __init__(self, program: Program, *, wait_s: float = 30.0, stdin: IO[bytes] | None = None) -> None:
        """Start `program`; waits at most `wait_s` for what is left of its last run.

        Raises ServiceError when a former one still runs, or when the files can't be written.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{program.name} must be started from the main thread: it ends with the thread")
        self.program = program
        self.started = time.monotonic()
        user = program.user
        identity = ("-1", "-1") if user is None else (str(user.uid), str(user.gid))
        script = (sys.executable, "-I", "-S", become.__file__, str(os.getpid()), str(int(program.stop_signal)))
        with explained(program.name):
            program.log_file.parent.mkdir(parents=True, exist_ok=True)
            program.pid_file.parent.mkdir(parents=True, exist_ok=True)
            lock = _lock(program, wait_s)
            try:
                with program.log_file.open("ab") as log:
                    self._log_start = log.tell()
                    self._process = subprocess.Popen(
                        (*script, *identity, *program.argv),
                        stdin=subprocess.DEVNULL if stdin is None else stdin,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        cwd=program.folder,
                        env=program.environment,
                        start_new_session=True,
                        pass_fds=(lock,),
                    )
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"{_identify(self.pid)}\n{_identify(os.getpid())}\n".encode(), 0)
            finally:
                # Our copy only: the child's keeps the lock.
                os.close(lock)

    @property
    def pid(self) -> int:
        """The process id; it was the child's also before `become.py` became the program."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives, the exit status after it, minus the signal's number when one ended it."""
        return self._process.poll()

    @property
    def alive_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def last_lines(self, count: int = 10) -> str:
        """The last lines that it has written to its log since it was started."""
        try:
            with self.program.log_file.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_start, size), size - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-count:])

    def wait(self, within_s: float) -> int:
        """Wait until it ends by itself and return its exit code; after `within_s` it is stopped."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return self.stop()

    def stop(self) -> int:
        """End it: its stop signal, then SIGKILL after its grace. Returns the exit code."""
        if self.exit_code is None:
            self._process.send_signal(self.program.stop_signal)
        try:
            return self._process.wait(self.program.grace_s)
        except subprocess.TimeoutExpired:
            self._process.send_signal(SIGKILL)
        try:
            return self._process.wait(KILL_WAIT_S)
        except subprocess.TimeoutExpired:
            # It hangs inside the kernel, on a dead disk for example, and ends when it comes out of there.
            return -SIGKILL


def launch(service: Service, *, ready_within_s: float = 30.0, given_up: Callable[[], bool] = lambda: False) -> Child:
    """Start `service` and wait until it is ready.

    Raises ServiceError when it ends before or isn't ready in time, and KeyboardInterrupt once `given_up` says so; it
    does not run then.
    """
    child = Child(service.prepare())
    try:
        _wait_ready(service, child, ready_within_s, given_up)
    except BaseException:
        child.stop()
        raise
    return child


def _wait_ready(service: Service, child: Child, within_s: float, given_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + within_s
    while not service.is_ready(child.pid):
        if child.exit_code is not None:
            raise ServiceError(service.explain(child.last_lines()))
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{service.name} was not ready within {within_s:g} s; see {child.program.log_file}:\n"
                f"{child.last_lines()}"
            )
        if given_up():
            raise KeyboardInterrupt
        time.sleep(_POLL_S)


def running_pid(pid_file: Path) -> int | None:
    """The process that a pid file names, if exactly that one still lives."""
    try:
        own, _, _ = pid_file.read_text(encoding="ascii").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return _alive(own)


def _identify(pid: int) -> str:
    """`pid start-time`: a number alone may be another process's by now."""
    return f"{pid} {_start_time(pid)}"


def _start_time(pid: int) -> str | None:
    try:
        # The name in parentheses may hold anything; state is the first field after it, the start time the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]


def _alive(identity: str) -> int | None:
    pid, _, start = identity.partition(" ")
    return int(pid) if pid.isdigit() and start and _start_time(int(pid)) == start else None


def _lock(program: Program, wait_s: float) -> int:
    """An open, locked descriptor of the pid file. Raises ServiceError when another owner's process holds it."""
    lock = os.open(program.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            own, _, parent = os.pread(lock, 200, 0).decode("ascii", "replace").strip().partition("\n")
            pid, owner = _alive(own), _alive(parent)
            over = time.monotonic() > deadline
            if over and owner is None and pid is not None:
                # Its parent is gone and it had its time: nobody else will end it.
                os.kill(pid, SIGKILL)
                deadline += KILL_WAIT_S
            elif over or (owner is not None and pid is not None):
                os.close(lock)
                raise ServiceError(_running_problem(program, pid, owner)) from None
            time.sleep(_POLL_S)
        else:
            return lock


def _running_problem(program: Program, pid: int | None, owner: int | None) -> str:
    if pid is None:
        return f"{program.name}: processes of its last run still hold {program.pid_file}; it is tried again"
    return (
        f"{program.name} already runs on {program.pid_file.parent} as process {pid}, started by process {owner}; "
        "stop that one first, or use another folder"
    )
