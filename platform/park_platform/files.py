"""Files and folders that must be right after a crash, private, or changed by one process at a time."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from park_wire.errors import ServiceError


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text`, readable by the owner only; a crash leaves the old content or the new, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk, after a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(who: str) -> Generator[None]:
    """Turn what the file system refuses to `who` ("postgres") into a ServiceError with the remedy."""
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"{who}: {error.filename or 'its folder'}: {error.strerror}; choose a data folder that can be written and "
            "has room"
        ) from error


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock file `path`, alone among all processes; waits for it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def make_folder(folder: Path, mode: int) -> None:
    """Make `folder` with `mode`; folders made on the way to it let root's children of another user pass through.

    Folders that exist are left as they are. Raises ServiceError when it can't be made.
    """
    with explained(f"{folder} can't be made"):
        missing = [parent for parent in folder.absolute().parents if not parent.exists()]
        for place, wanted in (*((parent, pass_through_mode()) for parent in reversed(missing)), (folder, mode)):
            # Another process may be making it, too.
            with suppress(FileExistsError):
                place.mkdir()
                place.chmod(wanted)


def pass_through_mode() -> int:
    """The mode of a folder on the way to PostgreSQL's data: closed, but open to pass when its user is not ours."""
    return 0o711 if os.geteuid() == 0 else 0o700
