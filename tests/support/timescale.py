"""PostgreSQL with TimescaleDB for the storage tests: where it is, or a sentence how to get it.

PARK_TIMESCALE_URL: a superuser's address of a server that has loaded the extension; or PARK_TIMESCALE_BIN: the folder
with the programs of a PostgreSQL that has it installed, for a throw-away cluster. Need `timescale`.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Generator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from park_platform.embedded.ports import choose_port
from park_platform.embedded.unix_user import choose_user
from park_platform.storage.connect import ROLES
from park_platform.storage.migrate import database_url, migrate, prepare
from support.database import ParkDatabase
from support.needs import skip_or_fail
from support.services import make_service_folder

_HOW = "no TimescaleDB: run .ci/timescale.sh as root, or set PARK_TIMESCALE_URL to a server that has loaded it"
_SETTINGS = (
    "shared_preload_libraries=timescaledb",
    "timescaledb.telemetry_level=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_wal_size=512MB",
)
_START_S = 30.0
_numbers = count(1)


class Cluster:
    """A throw-away cluster of the PostgreSQL whose programs lie in `programs`, in a temporary folder."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = make_service_folder()
        self._user = choose_user(None)
        self._server: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Make and start it."""
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        account: dict[str, int | list[int]] = {}
        if self._user is not None:
            os.chown(data, self._user.uid, self._user.gid)
            account = {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        initdb = (self._programs / "initdb", "-D", data, "-U", "park", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-A")
        subprocess.run((*initdb, "trust"), check=True, capture_output=True, cwd="/", **account)  # pyright: ignore[reportArgumentType, reportCallIssue]
        port = choose_port()
        settings = [part for setting in (*_SETTINGS, f"port={port}") for part in ("-c", setting)]
        with (self._folder / "postgres.log").open("wb") as log:
            self._server = subprocess.Popen(  # pyright: ignore[reportCallIssue]
                (self._programs / "postgres", "-D", data, *settings),
                stdout=log,
                stderr=log,
                cwd="/",
                **account,  # pyright: ignore[reportArgumentType]
            )
        self.url = f"postgresql://park:none@127.0.0.1:{port}/postgres"
        end = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                if time.monotonic() > end or self._server.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it and remove its folder."""
        if self._server is not None:
            # Fast shutdown.
            self._server.send_signal(2)
            self._server.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def timescale_server() -> Generator[str]:
    """A superuser's address of a server with TimescaleDB."""
    if url := os.environ.get("PARK_TIMESCALE_URL"):
        yield url
        return
    programs = os.environ.get("PARK_TIMESCALE_BIN")
    if not programs:
        skip_or_fail("timescale", _HOW)
    cluster = Cluster(Path(programs))
    try:
        cluster.start()
        yield cluster.url
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def timescale_park_database(timescale_server: str) -> Generator[ParkDatabase]:
    """A migrated park database on TimescaleDB for one test module."""
    # No template: the extension's own workers connect to it.
    name = f"park_test_{os.getpid()}_{next(_numbers)}"
    passwords: dict[str, str] = dict.fromkeys(ROLES, "for-tests-only")
    prepare(timescale_server, name, passwords)
    url = database_url(timescale_server, database=name)
    migrate(url, "timescale")
    yield ParkDatabase(url, passwords)
    with psycopg.connect(timescale_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # pyright: ignore[reportArgumentType, reportCallIssue]
