"""Who a program that refuses root runs as, and whether that user can reach its files."""

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Final

from park_platform.program import User
from park_wire.errors import ServiceError

# `park` is made by packages and images; `nobody` is on every system.
_NAMES: Final = ("park", "nobody")


def choose_user(owner: int | None) -> User | None:
    """The user for a program that refuses root; None when we aren't root and it runs as we do.

    `owner` is the user id that owns its data already, if there are any: that one goes on.
    """
    if os.geteuid() != 0:
        return None
    wanted = [entry for entry in pwd.getpwall() if entry.pw_uid == owner] if owner else []
    for name in _NAMES:
        try:
            wanted.append(pwd.getpwnam(name))
        except KeyError:
            continue
    for entry in wanted:
        if entry.pw_uid != 0:
            return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ServiceError("PostgreSQL can't run as root, and there is no user for it; make one: useradd --system park")


def can_reach(path: Path, user: User | None) -> bool:
    """Whether `user` may enter every folder on the way to `path` (`path` included when it is a folder)."""
    if user is None:
        return True
    real = path.resolve()
    return all(_may_enter(folder, user) for folder in (real, *real.parents) if folder.is_dir())


def check_room(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise ServiceError when the disk under `folder` has less than `needed_bytes` free."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise ServiceError(
            f"{what} needs {needed_bytes >> 20} MB in {folder}, and {free >> 20} MB are free; free some space, or "
            "choose a data folder on another disk"
        )


def _may_enter(folder: Path, user: User) -> bool:
    status = folder.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
