"""People: who may come in, in which role, for which enterprise; and the one-time links that let them in.

A token is 256 random bits; only its sha256 is stored. Whoever reads the database can't sign in with what it holds.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from park_platform.storage import audit
from park_platform.storage.connect import Connection, database_errors
from park_wire.errors import ConfigError, Fault
from park_wire.topics import ID_RULE, is_id

TOKEN_BYTES: Final = 32
MOST_LINK_MINUTES: Final = 24 * 60


class Role(StrEnum):
    """What a person is in the park. What a role may do stands in access/policy.py."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    SAFETY = "safety"
    ENTERPRISE = "enterprise"
    REGULATOR = "regulator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `enterprise_id` and `enterprise` are those of a person in role enterprise."""

    id: int
    name: str
    display_zh: str
    display_en: str
    role: Role
    enterprise_id: int | None
    enterprise: str | None
    disabled: bool


def token_digest(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """256 random bits, fit for a URL and a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


_PERSON: Final = """
    SELECT p.id, p.name, p.display_zh, p.display_en, p.role, p.enterprise_id, e.key, p.disabled_at IS NOT NULL
    FROM person p LEFT JOIN enterprise e ON e.id = p.enterprise_id
"""


def _person(row: tuple[Any, ...]) -> Person:
    id_, name, display_zh, display_en, role, enterprise_id, enterprise, disabled = row
    return Person(id_, name, display_zh, display_en, Role(role), enterprise_id, enterprise, disabled)


def people(connection: Connection) -> list[Person]:
    """Everybody, by name."""
    with database_errors():
        rows = connection.execute(_PERSON + "ORDER BY p.name").fetchall()
    return [_person(row) for row in rows]


def find_person(connection: Connection, name: str) -> Person:
    """The person of this name. Raises ConfigError when there is none."""
    with database_errors():
        row = connection.execute(_PERSON + "WHERE p.name = %s", (name,)).fetchone()
    if row is None:
        raise _fault(name, "there is no such person", "`park user list` shows all, `park user add` makes one")
    return _person(row)


def add_person(
    connection: Connection,
    name: str,
    role: Role,
    *,
    display_zh: str,
    display_en: str,
    enterprise: str | None = None,
    actor: str = "park user",
) -> Person:
    """Make a person; `enterprise` is the key that the role enterprise needs and no other role may have.

    Raises ConfigError when the name is taken or malformed, or when role and enterprise don't fit.
    """
    if not is_id(name):
        raise _fault(name, "this is not a name", f"use {ID_RULE}")
    if (role is Role.ENTERPRISE) != (enterprise is not None):
        raise _fault(name, f"role {role} and enterprise {enterprise!r} don't fit", "only role enterprise has one")
    with database_errors(), connection.transaction():
        enterprise_id = None if enterprise is None else _enterprise_id(connection, enterprise)
        row = connection.execute(
            """
            INSERT INTO person (name, display_zh, display_en, role, enterprise_id) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (name) DO NOTHING RETURNING id
            """,
            (name, display_zh, display_en, role.value, enterprise_id),
        ).fetchone()
        if row is None:
            raise _fault(name, "this name is taken", "choose another; a name is never given twice")
        after = {"role": role.value, "enterprise": enterprise}
        audit.append(connection, actor, "person-added", f"person/{name}", after=after)
    return Person(row[0], name, display_zh, display_en, role, enterprise_id, enterprise, disabled=False)


def disable_person(connection: Connection, name: str, actor: str = "park user") -> None:
    """End a person's sessions and links and let nobody in under this name again. Raises ConfigError."""
    with database_errors(), connection.transaction():
        person = find_person(connection, name)
        connection.execute("UPDATE person SET disabled_at = now() WHERE id = %s AND disabled_at IS NULL", (person.id,))
        connection.execute("DELETE FROM session WHERE person_id = %s", (person.id,))
        connection.execute("DELETE FROM signin_link WHERE person_id = %s", (person.id,))
        before, after = {"disabled": person.disabled}, {"disabled": True}
        audit.append(connection, actor, "person-disabled", f"person/{name}", before=before, after=after)


def grant_access(connection: Connection, name: str, enterprise: str, days: int, actor: str = "park user") -> None:
    """Let a regulator read what belongs to an enterprise for `days` from now; a grant that exists gets the new end.

    Raises ConfigError when there is no such person or enterprise, or when the person is no regulator.
    """
    with database_errors(), connection.transaction():
        person = find_person(connection, name)
        if person.role is not Role.REGULATOR:
            raise _fault(name, f"the role is {person.role}", "only regulators read by a grant")
        connection.execute(
            """
            INSERT INTO access_grant (person_id, enterprise_id, until)
            VALUES (%s, %s, now() + make_interval(days => %s))
            ON CONFLICT (person_id, enterprise_id) DO UPDATE SET until = EXCLUDED.until
            """,
            (person.id, _enterprise_id(connection, enterprise), days),
        )
        after = {"enterprise": enterprise, "days": days}
        audit.append(connection, actor, "access-granted", f"person/{name}", after=after)


def make_signin_link(connection: Connection, name: str, minutes: int, actor: str = "park user") -> str:
    """A token that signs this person in once within `minutes` (at most a day). Raises ConfigError.

    It is the last part of `{base}/signin/{token}`; it can't be shown again.
    """
    if not 1 <= minutes <= MOST_LINK_MINUTES:
        raise _fault(name, f"a link can't hold for {minutes} minutes", f"choose 1 to {MOST_LINK_MINUTES}")
    token = new_token()
    with database_errors(), connection.transaction():
        person = find_person(connection, name)
        if person.disabled:
            raise _fault(name, "this person is disabled", "add a new person")
        connection.execute("DELETE FROM signin_link WHERE expires_at < now() - interval '7 days'")
        connection.execute(
            """
            INSERT INTO signin_link (token_sha256, person_id, expires_at)
            VALUES (%s, %s, now() + make_interval(mins => %s))
            """,
            (token_digest(token), person.id, minutes),
        )
        audit.append(connection, actor, "link-made", f"person/{name}", after={"minutes": minutes})
    return token


def _enterprise_id(connection: Connection, key: str) -> int:
    row = connection.execute("SELECT id FROM enterprise WHERE key = %s", (key,)).fetchone()
    if row is None:
        raise _fault(key, "there is no such enterprise", "`park apply` brings enterprises from park.toml")
    return row[0]


def _fault(key: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError([Fault("people", key, problem, remedy)])
