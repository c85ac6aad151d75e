"""The files with secrets that a site names: passwords, and the keys of secured OPC UA channels.

A secret stands in a file of its own that nobody else may read, never in the site file, and no error shows it.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from park_gateway.site import Credential, Security, SecurityMode, SecurityPolicy
from park_gateway.tables import Faults

_FILES: Final = {
    "certificate_file": "name the file with our certificate, PEM or DER",
    "key_file": "name the file with the key of our certificate, mode 0600",
    # Without it whoever sits in between would be taken for the server.
    "server_certificate_file": "name a file with the server's own certificate, PEM or DER, exported at the server",
}
_OPEN: Final = "None"


def read_credential(path: Path, key: str, faults: Faults) -> Credential | None:
    """The user and the password in a file; what is wrong with it is noted under `key`."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        faults.add(key, f"{path} can't be read: {reason}", 'make it, mode 0600, with "user:password" in it')
        return None
    _check_mode(path, key, faults)
    user, colon, password = text.partition(":")
    if not user or not colon or not password or "\n" in text:
        faults.add(key, f'{path} does not hold "user:password"', "write both in one line, with a colon between them")
        return None
    return Credential(user, password)


def read_security(
    policy: str | None, mode: str | None, files: Mapping[str, Path], key: str, faults: Faults
) -> Security | None:
    """The secured channel that a device's keys describe; None for an open one, or when faults were noted.

    `files` are those that are named, by their keys. The certificates are opened, so a wrong one is found here.
    """
    if policy is None or policy == _OPEN:
        for name in [*files, *(["security_mode"] if mode else [])]:
            faults.add(f"{key}.{name}", "has no meaning on an open channel", "add a security_policy, or remove it")
        return None
    missing = [name for name in _FILES if name not in files]
    for name in missing:
        faults.add(f"{key}.{name}", f"is missing, security_policy is {policy}", _FILES[name])
    if missing:
        return None
    # Its library takes 20 MB, which a site with open channels need not have.
    from park_gateway.certificate import load_identity  # noqa: PLC0415

    security = Security(SecurityPolicy(policy), SecurityMode(mode or SecurityMode.SIGN_AND_ENCRYPT), **files)
    _check_mode(security.key_file, f"{key}.key_file", faults)
    return security if load_identity(security, key, faults) else None


def _check_mode(path: Path, key: str, faults: Faults) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        # Whoever reads it says that it is not there.
        return
    if mode & 0o077:
        faults.add(key, f"{path} can be read by others, mode {mode:04o}", f"chmod 600 {path}")
