"""Sessions: opaque tokens whose sha256 is stored here, with the person, a CSRF token and two ends.

A session ends at `expires_at`, or when it was not used for the idle time, or with its person.
"""

import secrets
from dataclasses import dataclass

from park_platform.storage import audit
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.people import Person, Role, new_token, token_digest


@dataclass(frozen=True, slots=True)
class Session:
    """A living session. `grants` are the enterprises that a regulator may read now; `expires_at` in µs UTC."""

    token_sha256: bytes
    person: Person
    grants: frozenset[int]
    csrf: str
    expires_at: int


def open_session(
    connection: Connection, link_token: str, *, hours: int, idle_minutes: int, source: str | None
) -> str | None:
    """Use a sign-in link up and return the token of a new session. None when the link is used, expired or unknown."""
    session_token = new_token()
    with database_errors(), connection.transaction():
        # One statement decides, so that of two uses at once only one gets in.
        row = connection.execute(
            """
            UPDATE signin_link l SET used_at = now() FROM person p
            WHERE l.token_sha256 = %s AND l.used_at IS NULL AND l.expires_at > now()
              AND p.id = l.person_id AND p.disabled_at IS NULL
            RETURNING p.id, p.name
            """,
            (token_digest(link_token),),
        ).fetchone()
        if row is None:
            return None
        person, name = row
        connection.execute(
            "DELETE FROM session WHERE expires_at < now() OR seen_at < now() - make_interval(mins => %s)",
            (idle_minutes,),
        )
        connection.execute(
            """
            INSERT INTO session (token_sha256, person_id, csrf, expires_at)
            VALUES (%s, %s, %s, now() + make_interval(hours => %s))
            """,
            (token_digest(session_token), person, secrets.token_urlsafe(32), hours),
        )
        audit.append(connection, name, "signed-in", f"person/{name}", source=source)
    return session_token


def find_session(connection: Connection, token: str, *, idle_minutes: int) -> Session | None:
    """The session of a token, or None. Being found counts as use."""
    digest = token_digest(token)
    with database_errors():
        row = connection.execute(
            """
            SELECT p.id, p.name, p.display_zh, p.display_en, p.role, p.enterprise_id, e.key, s.csrf,
                   us_of(s.expires_at),
                   ARRAY(SELECT g.enterprise_id FROM access_grant g WHERE g.person_id = p.id AND g.until > now()),
                   s.seen_at < now() - interval '1 minute'
            FROM session s JOIN person p ON p.id = s.person_id LEFT JOIN enterprise e ON e.id = p.enterprise_id
            WHERE s.token_sha256 = %s AND s.expires_at > now() AND p.disabled_at IS NULL
              AND s.seen_at > now() - make_interval(mins => %s)
            """,
            (digest, idle_minutes),
        ).fetchone()
        if row is None:
            return None
        id_, name, zh, en, role, enterprise_id, enterprise, csrf, expires_at, grants, is_due = row
        if is_due:
            connection.execute("UPDATE session SET seen_at = now() WHERE token_sha256 = %s", (digest,))
    person = Person(id_, name, zh, en, Role(role), enterprise_id, enterprise, disabled=False)
    return Session(digest, person, frozenset(grants), csrf, expires_at)


def end_session(connection: Connection, session: Session, source: str | None) -> None:
    """Sign out."""
    with database_errors(), connection.transaction():
        connection.execute("DELETE FROM session WHERE token_sha256 = %s", (session.token_sha256,))
        name = session.person.name
        audit.append(connection, name, "signed-out", f"person/{name}", source=source)
