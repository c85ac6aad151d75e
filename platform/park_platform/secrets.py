"""Passwords that Parkhub makes for itself: one file each, mode 0600, made once and read ever after."""

from pathlib import Path
from secrets import token_hex
from typing import Final

from park_platform.files import write_private
from park_wire.errors import ServiceError

PASSWORD_BYTES: Final = 16


def keep_password(path: Path) -> str:
    """The password in `path`; 128 random bits as 32 hexadecimal digits are written there if there is no such file.

    Raises ServiceError when the file is empty, so that an emptied file never means an empty password.
    """
    try:
        password = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        password = token_hex(PASSWORD_BYTES)
        write_private(path, password + "\n")
    if len(password) < 2 * PASSWORD_BYTES:
        raise ServiceError(f"{path}: the password in it has {len(password)} characters; restore the file from a backup")
    return password
