"""The first two packets of MQTT 3.1.1, to see whether the broker lets a user in: a client library has threads."""

import contextlib
import socket
import struct
from enum import IntEnum

from park_platform.embedded.ports import LOOPBACK


class Answer(IntEnum):
    """What CONNACK says, or that none came."""

    SILENT = -1
    WELCOME = 0
    BAD_VERSION = 1
    BAD_CLIENT_ID = 2
    UNAVAILABLE = 3
    BAD_PASSWORD = 4
    NOT_AUTHORISED = 5


def knock(
    port: int, user: str | None, password: str | None, client_id: str, *, host: str = LOOPBACK, timeout_s: float = 1.0
) -> Answer:
    """Connect as `user` (None: without a name) with a clean session, read the answer and leave."""
    flags = 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    fields = [text for text in (client_id, user, password) if text is not None]
    body = b"\x00\x04MQTT\x04" + struct.pack(">BH", flags, 10) + b"".join(map(_text, fields))
    try:
        with socket.create_connection((host, port), timeout_s) as link:
            link.sendall(b"\x10" + _length(len(body)) + body)
            answer = link.recv(4, socket.MSG_WAITALL)
            with contextlib.suppress(OSError):
                link.sendall(b"\xe0\x00")
    except OSError:
        return Answer.SILENT
    if len(answer) == 4 and answer[:2] == b"\x20\x02" and answer[3] <= Answer.NOT_AUTHORISED:
        return Answer(answer[3])
    return Answer.SILENT


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _length(size: int) -> bytes:
    return bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
