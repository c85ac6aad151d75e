"""Room in the broker's store that no message can take, so that a full store still lets people in to empty it.

The broker keeps sessions in the same store as messages and refuses every connection when a session can't be written:
unlimited, a store filled with pushes locks out the intake that would drain it, also after a restart (a test shows it).
Beyond its limit a stream refuses what is new; the broker's own setting would delete the oldest instead.
"""

import json
import socket
from io import BufferedRWPair
from secrets import token_hex
from typing import Any, Final

from park_platform.embedded.ports import LOOPBACK
from park_wire.errors import ServiceError

# The streams of MQTT and their shares of the store: queued messages, retained ones, sessions, both ways of QoS 2.
_SHARES: Final = {
    "$MQTT_msgs": 3 / 4,
    "$MQTT_rmsgs": 1 / 32,
    "$MQTT_sess": 1 / 16,
    "$MQTT_out": 1 / 64,
    "$MQTT_qos2in": 1 / 64,
}
INBOX: Final = "_INBOX.keeper"
SUBJECTS: Final = tuple(f"$JS.API.STREAM.{verb}.{stream}" for stream in _SHARES for verb in ("INFO", "UPDATE"))
_TIMEOUT_S: Final = 5.0


def limit_store(port: int, user: str, password: str, store_bytes: int) -> None:
    """Give each stream its share of `store_bytes`, by the broker's own protocol on `port`.

    `user` may publish SUBJECTS and read below INBOX. Raises ServiceError when the broker does not agree, and
    ConnectionRefusedError when nobody listens.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S) as link, link.makefile("rwb") as stream:
            _greet(stream, user, password)
            for name, share in _SHARES.items():
                settings = _ask(stream, f"$JS.API.STREAM.INFO.{name}", b"")["config"]
                wanted = {"max_bytes": int(store_bytes * share), "discard": "new"}
                if any(settings[key] != value for key, value in wanted.items()):
                    _ask(stream, f"$JS.API.STREAM.UPDATE.{name}", json.dumps({**settings, **wanted}).encode())
    except ConnectionRefusedError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise ServiceError(f"the broker's store can't be limited: {error!r}; see its log") from error


def _greet(stream: BufferedRWPair, user: str, password: str) -> None:
    stream.readline()
    options = {"user": user, "pass": password, "verbose": False, "pedantic": False, "lang": "python", "version": "1"}
    stream.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
    stream.write(f"SUB {INBOX}.* 1\r\n".encode())


def _ask(stream: BufferedRWPair, subject: str, body: bytes) -> dict[str, Any]:
    stream.write(f"PUB {subject} {INBOX}.{token_hex(8)} {len(body)}\r\n".encode() + body + b"\r\n")
    stream.flush()
    while line := stream.readline():
        match line.split():
            case [b"MSG", *_, size]:
                answer: dict[str, Any] = json.loads(stream.read(int(size)))
                stream.readline()
                if "error" in answer:
                    raise ServiceError(f"the broker's store can't be limited: {subject}: {answer['error']}")
                return answer
            case [b"PING"]:
                stream.write(b"PONG\r\n")
                stream.flush()
            case [b"-ERR", *_]:
                raise ServiceError(f"the broker's store can't be limited: {line.decode('utf-8', 'replace').strip()}")
            case _:
                continue
    raise ServiceError("the broker's store can't be limited: it ended the connection; see its log")
