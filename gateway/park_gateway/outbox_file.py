"""The SQLite file under the outbox: one connection, every commit on disk, a hard quota, a ballast for a full disk.

Knows nothing of batches. What it raises: StoreFull when there is no room, StoreError when the disk failed; after a
failed disk nothing works any more, because a file whose fsync failed once can't be trusted to say the truth later.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from park_wire.errors import StoreError, StoreFull

NAME: Final = "outbox.db"
MOST_TRANSACTION_BYTES: Final = 512 * 1024
"""Whoever writes more splits it, so that the WAL stays below `_WAL_BYTES`."""

_APPLICATION_ID: Final = 0x5041_524B
_LAYOUT: Final = 1
_PAGE_BYTES: Final = 4_096
_WAL_BYTES: Final = 2 * 1024 * 1024
_BALLAST_BYTES: Final = 2 * _WAL_BYTES
# Reading every page at the start is worth it only while it takes less than a second on an SD card.
_QUICK_CHECK_BYTES: Final = 16 * 1024 * 1024
_VACUUM_FROM_PAGES: Final = 1_024
_VACUUM_STEP_PAGES: Final = 128

_log = structlog.get_logger()
_T = TypeVar("_T")


class Damaged(StoreError):
    """The file is no outbox, or not a whole one. The next `open` moves it aside."""


class OutboxFile:
    """An open file. Its methods may be called from any thread, but from one at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._failed: StoreError | None = None

    @classmethod
    def open(cls, folder: Path, schema: str, quota_bytes: int) -> "OutboxFile":
        """Open or make the file in `folder`. A damaged one is moved aside and replaced by a new one.

        Raises StoreError when another process has it open, a newer release made it, or the folder can't be used.
        """
        path = folder / NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _damage_note(path).exists():
                _move_aside(path, "damage was found while it was in use")
            try:
                connection = _connect(path, schema, quota_bytes)
            except Damaged as damage:
                _move_aside(path, str(damage))
                connection = _connect(path, schema, quota_bytes)
            except StoreFull:
                # A gateway that could not start on a full disk could not drain either.
                if not _release_ballast(path):
                    raise
                connection = _connect(path, schema, quota_bytes)
        except OSError as error:
            raise StoreError(f"outbox folder {folder}: {error}; check that it exists and may be written to") from error
        opened = cls(path, connection)
        opened.tidy()
        return opened

    def read(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a query."""
        return self._guard(lambda: self._connection.execute(sql, values).fetchall())

    def write(self, change: Callable[[sqlite3.Connection], None], *, must_fit: bool = False) -> None:
        """Run `change` in one transaction that is on disk when this returns.

        A change that must fit may use the ballast and as much beyond the quota: on a full disk even a deletion needs
        some space first, and without a birth nothing could be sent that would make room.
        """
        try:
            self._guard(lambda: self._commit(change))
        except StoreFull:
            if not must_fit:
                raise
            if _disk_free(self.path) < 2 * _BALLAST_BYTES:
                _release_ballast(self.path)
            most = int(self.read("PRAGMA max_page_count")[0][0])
            self.read(f"PRAGMA max_page_count={most + _BALLAST_BYTES // _PAGE_BYTES}")
            try:
                self._guard(lambda: self._commit(change))
            finally:
                # What is in use already stays so.
                self.read(f"PRAGMA max_page_count={most}")

    def _commit(self, change: Callable[[sqlite3.Connection], None]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            change(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _guard(self, work: Callable[[], _T]) -> _T:
        if self._failed is not None:
            raise self._failed
        try:
            return work()
        except sqlite3.Error as error:
            translated = _translate(error, self.path)
            if isinstance(translated, Damaged):
                with contextlib.suppress(OSError):
                    _damage_note(self.path).touch()
            if not isinstance(translated, StoreFull):
                self._failed = translated
            raise translated from error

    def tidy(self) -> None:
        """Give freed pages back to the disk in a small step, and take the ballast back when there is room again."""
        if _disk_free(self.path) <= 2 * _BALLAST_BYTES:
            return
        if int(self.read("PRAGMA freelist_count")[0][0]) > _VACUUM_FROM_PAGES:
            self.read(f"PRAGMA incremental_vacuum({_VACUUM_STEP_PAGES})")
        if not _ballast(self.path).exists():
            _take_ballast(self.path)

    def free_bytes(self) -> int:
        """How much more fits: below the quota and on the disk."""
        used = int(self.read("PRAGMA page_count")[0][0]) - int(self.read("PRAGMA freelist_count")[0][0])
        most = int(self.read("PRAGMA max_page_count")[0][0])
        grown = max(0, self.path.stat().st_size - used * _PAGE_BYTES)
        return min((most - used) * _PAGE_BYTES, _disk_free(self.path) + grown)

    def close(self) -> None:
        """Close the connection; nothing that was committed depends on it."""
        self._connection.close()


def _connect(path: Path, schema: str, quota_bytes: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # Exclusive before WAL: no second connection, here or in another process, and no shared-memory file.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=32")
        # Debian's build overwrites what it deletes, which costs a deletion as much log as the data had.
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        connection.execute(f"PRAGMA max_page_count={quota_bytes // _PAGE_BYTES}")
        _check_layout(connection, path, schema)
    except sqlite3.Error as error:
        connection.close()
        raise _translate(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check_layout(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    layout = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if layout > _LAYOUT:
        raise StoreError(f"outbox {path} has layout {layout}; this release reads {_LAYOUT}: install the newer release")
    if layout == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(
            f"BEGIN; {schema}; PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={_LAYOUT}; COMMIT"
        )
        return
    if int(connection.execute("PRAGMA application_id").fetchone()[0]) != _APPLICATION_ID:
        raise Damaged(f"outbox {path} is a database of something else")
    if path.stat().st_size <= _QUICK_CHECK_BYTES:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if found != "ok":
            raise Damaged(f"outbox {path}: {found}")


def _translate(error: sqlite3.Error, path: Path) -> StoreError:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StoreFull(_why_full(path))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f"outbox {path} is in use by another process; stop the other gateway first")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(f"outbox {path}: {error}; start the gateway again, it will move the file aside")
        case _:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            return StoreError(f"outbox {path}: {error} ({name}); check the disk, then start the gateway again")


def _why_full(path: Path) -> str:
    free = _disk_free(path)
    if free < 2 * _BALLAST_BYTES:
        return (
            f"outbox {path}: its disk is full, {free / 1e6:.1f} MB are left; "
            "free some space there, then the gateway goes on by itself"
        )
    return (
        f"outbox {path} holds all that it may, {path.stat().st_size / 1e6:.1f} MB; bring the link to the centre back. "
        "Its share of the disk under gateway.data is taken at the start: after making room there, start it again"
    )


def _ballast(path: Path) -> Path:
    return path.with_name("ballast")


def _take_ballast(path: Path) -> None:
    try:
        descriptor = os.open(_ballast(path), os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _BALLAST_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        # Somebody else was quicker to fill the disk; half a ballast would pass for a whole one.
        _ballast(path).unlink(missing_ok=True)


def _release_ballast(path: Path) -> bool:
    """Make room on a full disk; whether there was any ballast."""
    if not _ballast(path).exists():
        return False
    _ballast(path).unlink()
    _log.warning("outbox_ballast_released", path=str(_ballast(path)))
    return True


def _damage_note(path: Path) -> Path:
    return path.with_name("outbox.damaged")


def _move_aside(path: Path, reason: str) -> None:
    # One damaged file is kept for whoever wants to look; more would fill the disk.
    aside = path.with_name("outbox.damaged.db")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        target = aside.with_name(aside.name + suffix)
        target.unlink(missing_ok=True)
        if source.exists():
            source.replace(target)
    _damage_note(path).unlink(missing_ok=True)
    _log.error("outbox_damaged", path=str(path), moved_to=str(aside), reason=reason)


def _disk_free(path: Path) -> int:
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize
