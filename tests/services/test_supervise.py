"""The supervisor: order, restarts, signals, and nothing left behind."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psycopg
import pytest

from park_platform import supervise
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import INGEST
from park_platform.embedded.postgres import Postgres
from park_platform.program import Child, Program, launch, running_pid
from park_platform.supervise import ChildState, Ended, Event, NotRestarted, ParkCommand, Restarted, Supervisor
from park_wire.errors import ServiceError
from support.mqtt import MqttClient
from support.processes import end, is_alive, read_words, run_script, wait_until

# Appends "NAME started" and, on SIGTERM, "NAME stopped" to a file; ready once it has. It sleeps in small pieces:
# a signal that comes just before a sleep is handled after it.
STEADY = """
import signal, sys, time
def note(what):
    with open({journal!r}, "a") as file: file.write({name!r} + " " + what + "\\n")
def stop(*_):
    note("stopped"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
print("last words of", {name!r}, flush=True)
end = time.monotonic() + {life_s}
while time.monotonic() < end: time.sleep(0.02)
note("over"); sys.exit({exit_code})
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@dataclass(frozen=True)
class Script:
    """A service that is a few lines of Python."""

    name: str
    folder: Path
    code: str
    grace_s: float = 5.0
    gets_ready: bool = True

    def prepare(self) -> Program:
        return Program(
            name=self.name,
            argv=(sys.executable, "-c", self.code),
            pid_file=self.folder / "run" / f"{self.name}.pid",
            log_file=self.folder / "log" / f"{self.name}.log",
            grace_s=self.grace_s,
        )

    def is_ready(self, pid: int) -> bool:
        return self.gets_ready and is_alive(pid) and (self.folder / "log" / f"{self.name}.log").stat().st_size > 0

    def explain(self, last_lines: str) -> str:
        return f"{self.name}: {last_lines}"


def _steady(folder: Path, name: str, *, life_s: float = 60, exit_code: int = 0) -> Script:
    journal = str(folder / "journal")
    return Script(name, folder, STEADY.format(journal=journal, name=name, life_s=life_s, exit_code=exit_code))


def _journal(folder: Path) -> list[str]:
    return (folder / "journal").read_text().splitlines()


def _poll_until(supervisor: Supervisor, kind: type[Event], within_s: float = 10.0) -> list[Event]:
    events: list[Event] = []
    deadline = time.monotonic() + within_s
    while not any(isinstance(event, kind) for event in events):
        assert time.monotonic() < deadline, f"no {kind.__name__} among {events}"
        events += supervisor.poll()
        time.sleep(0.02)
    return events


def test_started_in_order_and_stopped_in_reverse(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        pids = [supervisor.start(_steady(tmp_path, name)) for name in ("one", "two", "three")]
        assert [child.pid for child in supervisor.children()] == pids
        (first, *_) = supervisor.children()
        log_file = tmp_path / "log" / "one.log"
        assert first == ChildState("one", pids[0], first.alive_s, restarts=0, given_up=False, log_file=log_file)
        assert 0 < first.alive_s < 10
        assert supervisor.poll() == ()
        assert [running_pid(tmp_path / "run" / f"{name}.pid") for name in ("one", "two", "three")] == pids
        assert all(os.getsid(pid) == pid for pid in pids)
    assert _journal(tmp_path) == [f"{name} started" for name in ("one", "two", "three")] + [
        f"{name} stopped" for name in ("three", "two", "one")
    ]
    assert not any(is_alive(pid) for pid in pids)
    assert supervisor.children() == ()


def test_a_killed_child_runs_again(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_steady(tmp_path, "other"))
        pid = supervisor.start(_steady(tmp_path, "child"))
        os.kill(pid, SIGKILL)
        began = time.monotonic()
        ended, restarted = _poll_until(supervisor, Restarted)
        assert 0.2 <= time.monotonic() - began < 2
        assert ended == Ended("child", -SIGKILL, 0.2, "last words of child")
        assert isinstance(restarted, Restarted)
        other, child = supervisor.children()
        assert (child.name, child.pid, child.restarts) == ("child", restarted.pid, 1)
        assert other.restarts == 0
        assert restarted.pid != pid
        wait_until(lambda: _journal(tmp_path).count("child started") == 2, "the second life")
    assert _journal(tmp_path)[-2:] == ["child stopped", "other stopped"]


def test_the_delay_grows_and_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LONGEST_DELAY_S", 0.4)
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_steady(tmp_path, "child", life_s=0.1, exit_code=1))
        delays = [_next_delay(supervisor) for _ in range(4)]
        assert delays == [0.2, 0.4, 0.4, 0.4]
        monkeypatch.setattr(supervise, "STEADY_AFTER_S", 0.05)
        assert _next_delay(supervisor) == 0.2


def _next_delay(supervisor: Supervisor) -> float | None:
    return next(event.restart_in_s for event in _poll_until(supervisor, Ended) if isinstance(event, Ended))


def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_steady(tmp_path, "child", life_s=0.1, exit_code=2))
        events = _poll_until(supervisor, Ended)
        assert events == [Ended("child", 2, None, "last words of child")]
        time.sleep(0.5)
        assert supervisor.poll() == ()
        (child,) = supervisor.children()
        assert (child.pid, child.given_up) == (None, True)


def test_a_start_that_fails_later_is_reported_and_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Supervisor(tmp_path) as supervisor:
        pid = supervisor.start(_steady(tmp_path, "child"))

        def refuse(_: Script) -> Program:
            raise ServiceError("its port is in use")

        with monkeypatch.context() as patch:
            patch.setattr(Script, "prepare", refuse)
            os.kill(pid, SIGKILL)
            events = _poll_until(supervisor, NotRestarted)
            assert events[-1] == NotRestarted("child", "its port is in use", 0.4)
        assert isinstance(_poll_until(supervisor, Restarted)[-1], Restarted)


def test_a_park_command_is_a_process_of_its_own(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(ParkCommand("wrong", ("no-such-command",), tmp_path))
        (ended,) = _poll_until(supervisor, Ended)
        assert isinstance(ended, Ended)
        assert ended.exit_code == 2
        assert ended.restart_in_s is None
        assert "park has no command 'no-such-command'" in ended.last_lines
        secret = ParkCommand("x", ("serve",), tmp_path, {"PARK_DB_URL": "postgresql://park:hidden@h/d"})
        assert "hidden" not in repr(secret)
        assert "hidden" not in repr(secret.prepare())
        program = secret.prepare()
        assert program.argv == (sys.executable, "-m", "park_wire.command", "serve")
        assert program.environment is not None
        assert program.environment["PARK_DB_URL"] == "postgresql://park:hidden@h/d"


def test_a_child_that_does_not_get_ready(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ServiceError, match=r"child: Traceback(?s:.*)ZeroDivisionError"):
            supervisor.start(Script("child", tmp_path, "1/0", gets_ready=False))
        with pytest.raises(ServiceError, match=r"never was not ready within 0.3 s; see .*never.log"):
            supervisor.start(
                Script("never", tmp_path, "import time; time.sleep(60)", gets_ready=False), ready_within_s=0.3
            )
        never = ParkCommand("never-up", ("up", "--help"), tmp_path, is_up=lambda: False)
        with pytest.raises(ServiceError, match=r"park up --help ended:"):
            supervisor.start(never)
        assert supervisor.children() == ()
    assert running_pid(tmp_path / "run" / "never.pid") is None


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    program = Program("ghost", ("/nonexistent/ghost",), tmp_path / "pid", tmp_path / "log")
    child = Child(program)
    assert child.wait(5) == 1
    assert child.last_lines() == "/nonexistent/ghost can't be started: No such file or directory"


def test_a_stubborn_child_is_killed(tmp_path: Path) -> None:
    child = launch(Script("stubborn", tmp_path, STUBBORN, grace_s=0.3))
    began = time.monotonic()
    assert child.stop() == -SIGKILL
    assert 0.3 <= time.monotonic() - began < 5


def test_one_folder_has_one_supervisor(tmp_path: Path) -> None:
    with (
        Supervisor(tmp_path),
        pytest.raises(ServiceError, match=rf"already runs on .* as process {os.getpid()}; stop that one"),
        Supervisor(tmp_path),
    ):
        pass
    with Supervisor(tmp_path):
        pass


def test_signals_ask_to_stop_and_are_given_back(tmp_path: Path) -> None:
    former = signal.getsignal(SIGTERM), signal.getsignal(signal.SIGINT)
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_steady(tmp_path, "child"))
        assert not supervisor.stopping
        os.kill(os.getpid(), SIGTERM)
        assert supervisor.stopping
        assert supervisor.poll() == ()
        with pytest.raises(KeyboardInterrupt):
            supervisor.start(ParkCommand("late", ("--help",), tmp_path, is_up=lambda: False))
        assert len(supervisor.children()) == 1
    assert (signal.getsignal(SIGTERM), signal.getsignal(signal.SIGINT)) == former
    assert _journal(tmp_path) == ["child started", "child stopped"]


PARENT = f"""
import time
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parent)]!r} + {[str(Path(__file__).parents[1])]!r}
from test_supervise import STUBBORN, Script, Supervisor, _steady
folder = Path(sys.argv[1])
with Supervisor(folder) as supervisor:
    pids = [supervisor.start(_steady(folder, name)) for name in ("one", "two")]
    if sys.argv[2] == "stubborn":
        pids.append(supervisor.start(Script("stubborn", folder, STUBBORN)))
    print(">", *pids)
    while not supervisor.stopping:
        supervisor.poll()
        time.sleep(0.05)
print("> over")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, SIGTERM])
def test_ctrl_c_stops_in_order(tmp_path: Path, number: signal.Signals) -> None:
    parent = run_script(PARENT, tmp_path, "plain")
    try:
        pids = [int(pid) for pid in read_words(parent)]
        parent.send_signal(number)
        assert read_words(parent) == ["over"]
        assert parent.wait(5) == 0
        assert _journal(tmp_path)[2:] == ["two stopped", "one stopped"]
        assert not any(is_alive(pid) for pid in pids)
    finally:
        end([parent])


def test_kill_9_leaves_no_orphan(tmp_path: Path) -> None:
    parent = run_script(PARENT, tmp_path, "plain")
    try:
        pids = [int(pid) for pid in read_words(parent)]
        parent.kill()
        parent.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in pids), "no orphan", 5)
        assert sorted(_journal(tmp_path)[2:]) == ["one stopped", "two stopped"]
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(_steady(tmp_path, "one"))
    finally:
        end([parent])


def test_an_orphan_that_ignores_its_signal_is_killed_by_the_next_start(tmp_path: Path) -> None:
    parent = run_script(PARENT, tmp_path, "stubborn")
    try:
        *_, stubborn = [int(pid) for pid in read_words(parent)]
        parent.kill()
        parent.wait()
        child = Child(Script("stubborn", tmp_path, STUBBORN, grace_s=0.1).prepare(), wait_s=0.3)
        assert not is_alive(stubborn)
        assert running_pid(tmp_path / "run" / "stubborn.pid") == child.pid
        child.stop()
    finally:
        end([parent])


def test_a_child_whose_parent_is_gone_does_not_begin() -> None:
    # In a process of its own, because it changes itself.
    script = run_script("from park_platform.become import become; become(1, 15, -1, -1, ['/bin/echo', '> began'])")
    output, _ = script.communicate(timeout=5)
    assert output == "the process that wanted this program is gone\n"
    assert script.returncode == 1


def test_only_the_main_thread_starts_children(tmp_path: Path) -> None:
    code = (
        "import threading\nfrom pathlib import Path\nfrom park_platform.program import Child, Program\n"
        "def start():\n"
        "    try: Child(Program('x', ('/bin/true',), Path(sys.argv[1], 'pid'), Path(sys.argv[1], 'log')))\n"
        "    except RuntimeError as error: print('>', error)\n"
        "thread = threading.Thread(target=start); thread.start(); thread.join()"
    )
    script = run_script(code, tmp_path)
    assert " ".join(read_words(script)) == "x must be started from the main thread: it ends with the thread"
    end([script])


def test_a_large_log_is_moved_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LOG_BYTES", 1000)
    log = tmp_path / "log" / "child.log"
    with Supervisor(tmp_path) as supervisor:
        log.write_text("former\n" * 200)
        pid = supervisor.start(_steady(tmp_path, "child"))
        assert log.read_text() == "last words of child\n"
        assert log.with_name("child.log.1").read_text().startswith("former\n")
        with log.open("a") as file:
            file.write("x" * 2000)
        supervisor.poll()
        assert log.with_name("child.log.1").read_text().startswith("last words")
        assert log.stat().st_size == 0
        os.kill(pid, SIGKILL)
        _poll_until(supervisor, Restarted)
        wait_until(lambda: log.read_text() == "last words of child\n", "the second life")


def test_a_database_and_a_broker_come_back(service_folder: Path) -> None:
    postgres = Postgres(service_folder / "postgres", log_file=service_folder / "log" / "postgres.log")
    broker = Broker(service_folder / "broker", log_file=service_folder / "log" / "broker.log")
    broker.accounts.add(INGEST)
    with Supervisor(service_folder) as supervisor:
        database_pid, broker_pid = supervisor.start(postgres), supervisor.start(broker)
        database_url, broker_url = postgres.url(), broker.url("ingest")
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        for pid in (database_pid, broker_pid):
            os.kill(pid, SIGKILL)
            _poll_until(supervisor, Restarted)
        children = supervisor.children()
        wait_until(lambda: postgres.is_ready(children[0].pid or 0), "the database is ready")
        wait_until(lambda: broker.is_ready(children[1].pid or 0), "the broker is ready")
        with psycopg.connect(database_url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
        with MqttClient(broker_url) as client:
            assert client.connected
    assert postgres.pid is None
    assert broker.pid is None
    assert (service_folder / "log").stat().st_mode & 0o077 == 0
