"""What the embedded PostgreSQL says when it can't start: ports, damaged data, folders and disks."""

import os
import pwd
import shutil
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_platform.embedded.ports import LOOPBACK, choose_port, is_free, keep_port, read_port
from park_platform.embedded.postgres import Postgres
from park_platform.embedded.unix_user import check_room, choose_user
from park_platform.program import User
from park_wire.errors import ServiceError
from support.failing_disk import small_disk

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root's case; run the tests as root, too")


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


def test_a_folder_that_can_not_be_written(folder: Path) -> None:
    (folder / "port").mkdir()
    with pytest.raises(
        ServiceError, match=r"postgres: .*port: Is a directory; choose a data folder that can be written"
    ):
        Postgres(folder).start()


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(
        ServiceError, match=r"PostgreSQL needs 1048576000 MB in .*, and \d+ MB are free; free some space"
    ):
        check_room(tmp_path, 1000 << 40, "PostgreSQL")


def test_a_full_disk(service_folder: Path) -> None:
    with small_disk(service_folder / "disk", 160) as disk:
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
