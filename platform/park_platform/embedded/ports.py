"""Ports on 127.0.0.1 that stay the same from start to start, so that clients find a restarted service again."""

import errno
import random
import socket
from pathlib import Path
from typing import Final

import structlog

from park_platform.files import write_private
from park_wire.errors import ServiceError

LOOPBACK: Final = "127.0.0.1"
# Below the kernel's range for outgoing connections (32768 up), so that none takes the port while its owner restarts.
_LOWEST: Final = 20_000
_HIGHEST: Final = 32_000
_TRIES: Final = 200
_log = structlog.get_logger(__name__)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: connections of a former server that are still closing are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def choose_port() -> int:
    """A free port. Raises ServiceError when none is found."""
    candidates = random.SystemRandom().sample(range(_LOWEST, _HIGHEST), _TRIES)
    for port in candidates:
        if is_free(port):
            return port
    raise ServiceError(f"no free port on {LOOPBACK} between {_LOWEST} and {_HIGHEST}; end some of the programs there")


def keep_port(file: Path, name: str, asked: int | None = None) -> int:
    """The port for service `name`: the one `asked` for, else the one that `file` remembers, else a free one.

    `file` remembers it. A remembered port that was taken meanwhile is replaced, and the log says so. Raises
    ServiceError when the port asked for is in use.
    """
    former = read_port(file)
    if asked is not None:
        port = demand_port(asked, name)
    elif former is not None and is_free(former):
        port = former
    else:
        port = choose_port()
    if port != former:
        write_private(file, f"{port}\n")
    if former is not None and asked is None and port != former:
        _log.warning("port_changed", service=name, former=former, port=port, reason="another program uses it")
    return port


def demand_port(port: int, name: str) -> int:
    """`port` itself. Raises ServiceError when it is in use."""
    if not is_free(port):
        raise ServiceError(
            f"{name}: port {port} on {LOOPBACK} is in use or reserved; end the program that uses it "
            f"(`ss -ltnp 'sport = :{port}'` names it), or choose another port"
        )
    return port


def read_port(file: Path) -> int | None:
    """The port that `file` remembers."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else None
