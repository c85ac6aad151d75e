"""Who may connect to the broker and what each may publish and read: chain.md section 2 as data.

Rights hang on the user, never on the client id. Topics are written as MQTT filters here and become NATS subjects in
the broker's configuration only.
"""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import bcrypt

from park_platform.files import explained, locked, make_folder, write_private
from park_platform.secrets import keep_password
from park_wire.errors import ServiceError
from park_wire.topics import LIVE_VALUES, UPWARD, VERSION, check_id, gateway_topic

# bcrypt is slow to make guessing slow; 128 random bits need no help, and a broker that comes back has to let 200
# gateways in at once: cost 4 is 2 ms each, the usual 11 is 120 ms.
_BCRYPT_COST: Final = 4
# A file name, and a word in the broker's configuration; longer than an id, which it is made from.
_USER: Final = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the broker and its MQTT topic filters; `keeps_session` allows subscriptions with QoS 1."""

    user: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    keeps_session: bool = False


def gateway_account(gateway: str) -> Account:
    """`gw-{gateway}`: its own hello, birth, data and status up, its own ack down (QoS 0, so no session)."""
    return Account(
        f"gw-{check_id(gateway, 'gateway')}",
        publish=tuple(gateway_topic(gateway, leaf) for leaf in UPWARD),
        subscribe=(gateway_topic(gateway, "ack"),),
    )


INGEST: Final = Account(
    "ingest",
    publish=(f"park/{VERSION}/gw/+/ack", LIVE_VALUES),
    subscribe=tuple(f"park/{VERSION}/gw/+/{leaf}" for leaf in UPWARD),
    keeps_session=True,
)
SERVE: Final = Account("serve", publish=(), subscribe=(LIVE_VALUES,))
PROCESSES: Final = (INGEST, SERVE)


@dataclass(frozen=True, slots=True)
class Credential:
    """An account as the broker knows it: with the hash of its password."""

    account: Account
    password_hash: str


class Accounts:
    """The accounts of one broker, in `folder`: `accounts.json` and one password file each, all mode 0600.

    Several processes may change them at once; the broker learns of a change by `Broker.reload`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "accounts.json"

    def add(self, *accounts: Account) -> None:
        """Keep `accounts`, with new random passwords for those that are new; rights of known ones are replaced."""
        with self._changing() as known:
            for account in accounts:
                password = keep_password(self._password_file(account.user))
                former = known.get(account.user)
                # The same hash again, or the broker would take it for a changed password and drop the connection.
                kept = former.password_hash if former is not None else hash_password(password)
                known[account.user] = Credential(account, kept)

    def remove(self, *users: str) -> None:
        """Forget `users` and their passwords; users that there are not are ignored."""
        with self._changing() as known:
            for user in users:
                known.pop(user, None)
                self._password_file(user).unlink(missing_ok=True)

    def password(self, user: str) -> str:
        """The password of `user`. Raises ServiceError when there is no such account."""
        known = self.credentials()
        if user not in known:
            raise ServiceError(f"the broker has no user {user!r}; it has {', '.join(known) or 'none'}")
        return keep_password(self._password_file(user))

    def credentials(self) -> dict[str, Credential]:
        """Every account by its user, in order of user. Raises ServiceError when the file is damaged."""
        try:
            content: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            return {user: _read(user, row) for user, row in sorted(content.items())}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(f"{self._file} is damaged ({error}); restore it from a backup") from error

    def _password_file(self, user: str) -> Path:
        if _USER.fullmatch(user) is None:
            raise ServiceError(f"{user[:80]!r} can't be a user of the broker; use 1 to 40 characters of a-z, 0-9 and -")
        return self._folder / "passwords" / user

    @contextmanager
    def _changing(self) -> Generator[dict[str, Credential]]:
        with explained("the broker's accounts"):
            make_folder(self._folder, 0o700)
            make_folder(self._folder / "passwords", 0o700)
            with locked(self._folder / "accounts.lock"):
                known = self.credentials()
                yield known
                rows = {user: _row(credential) for user, credential in known.items()}
                write_private(self._file, json.dumps(rows, indent=1))


def hash_password(password: str) -> str:
    """A bcrypt hash in the `$2a$` form that the broker recognises."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(_BCRYPT_COST, prefix=b"2a")).decode()


def _row(credential: Credential) -> dict[str, object]:
    account = credential.account
    return {
        "hash": credential.password_hash,
        "publish": account.publish,
        "subscribe": account.subscribe,
        "keeps_session": account.keeps_session,
    }


def _read(user: str, row: Any) -> Credential:
    # The file is our own, written by _row; the caller names what a wrong shape raises.
    publish, subscribe = cast("list[str]", row["publish"]), cast("list[str]", row["subscribe"])
    account = Account(user, tuple(publish), tuple(subscribe), bool(row["keeps_session"]))
    return Credential(account, str(row["hash"]))
