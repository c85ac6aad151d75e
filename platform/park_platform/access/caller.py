"""Who calls: sign-in by a one-time link, the session behind a cookie, and what the caller sees on a route.

A session lasts 12 h at most and ends after an hour without use. An open live stream counts as use: the wall screen of
a control room must not go dark because nobody touched it.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from park_platform.access.policy import Reach
from park_platform.storage import sessions
from park_platform.storage.connect import Connection
from park_platform.storage.people import Person
from park_platform.storage.scope import NOTHING, WHOLE_PARK, Scope
from park_platform.storage.sessions import Session

SESSION_HOURS: Final = 12
IDLE_MINUTES: Final = 60
FIRST_LINK_MINUTES: Final = 24 * 60
"""How long the links hold that a first start prints."""
LINK_MINUTES: Final = 15
"""How long every other link holds."""
_LONGEST_TOKEN: Final = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person on a route, and what they see there. `source` is the network address they came from."""

    session: Session
    reach: Reach
    scope: Scope
    source: str | None

    @property
    def person(self) -> Person:
        """Whose session it is."""
        return self.session.person


def sign_in(connection: Connection, link_token: str, source: str | None) -> str | None:
    """The token of a new session, for a one-time link's token; None when the link does not hold (any more)."""
    if len(link_token) > _LONGEST_TOKEN:
        return None
    return sessions.open_session(connection, link_token, hours=SESSION_HOURS, idle_minutes=IDLE_MINUTES, source=source)


def identify(connection: Connection, session_token: str | None) -> Session | None:
    """The living session of a cookie's value."""
    if not session_token or len(session_token) > _LONGEST_TOKEN:
        return None
    return sessions.find_session(connection, session_token, idle_minutes=IDLE_MINUTES)


def scope_of(session: Session, reach: Reach) -> Scope:
    """What a person sees on a route where their role reaches this far."""
    match reach:
        case Reach.ALL:
            return WHOLE_PARK
        case Reach.OWN if session.person.enterprise_id is not None:
            return Scope.of([session.person.enterprise_id])
        case Reach.GRANTED:
            return Scope.of(session.grants)
        case _:
            return NOTHING


def is_csrf_token(session: Session, given: str | None) -> bool:
    """Whether a request carries the token that only a page of ours can know."""
    return given is not None and hmac.compare_digest(given.encode(), session.csrf.encode())
