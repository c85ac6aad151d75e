"""Who may use which route, and of what they see there: the one table that decides it.

all      everything in the park, also what belongs to no enterprise
own      what belongs to the person's enterprise
granted  what belongs to enterprises that an unexpired grant names; each such read goes into the audit trail
self     nothing but the person's own session
anyone   no session needed
-        refused

A route without a row, or a row without a route, stops the start (api/app.py). LIVE is a WebSocket.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from park_platform.storage.people import Role
from park_wire.errors import ConfigError, Fault

TABLE: Final = """
route                                      administrator operator safety enterprise regulator auditor
GET    /health                             anyone
GET    /                                   anyone
GET    /console/{path:path}                anyone
GET    /signin/{token}                     anyone
POST   /signin/{token}                     anyone
POST   /api/v1/session                     anyone
GET    /api/v1/session                     self          self     self   self       self      self
DELETE /api/v1/session                     self          self     self   self       self      self
GET    /api/v1/openapi.json                self          self     self   self       self      self

GET    /api/v1/points                      all           all      all    own        granted   all
GET    /api/v1/latest                      all           all      all    own        granted   all
GET    /api/v1/history                     all           all      all    own        granted   all
GET    /api/v1/completeness                all           all      all    own        granted   all
LIVE   /api/v1/live                        all           all      all    own        granted   -
GET    /api/v1/events                      all           all      all    own        granted   all

GET    /api/v1/alarms                      all           all      all    own        granted   all
GET    /api/v1/alarms/{alarm_id}           all           all      all    own        granted   all
POST   /api/v1/alarms/{alarm_id}/acknowledge  all        all      all    -          -         -
POST   /api/v1/alarms/{alarm_id}/reset     all           all      all    -          -         -

GET    /api/v1/gaps                        all           all      all    own        granted   all
GET    /api/v1/conflicts                   all           all      all    own        granted   all
GET    /api/v1/quarantine                  all           all      all    own        granted   all
GET    /api/v1/gateways                    all           all      all    -          -         all
GET    /api/v1/park                        all           all      all    own        granted   all
GET    /api/v1/devices                     all           all      all    -          -         all
GET    /api/v1/dead-letters                all           all      all    -          -         all
GET    /api/v1/dead-letters/{letter_id}/payload  all     all      -      -          -         -
GET    /api/v1/systems                     self          self     self   self       self      self
GET    /api/v1/systems/{system}/pages/{page}  all        all      all    own        granted   all
GET    /api/v1/reports/{system}/{report}/schema  self    self     self   self       self      self
GET    /api/v1/reports/{system}/{report}   all           all      all    own        granted   all
GET    /api/v1/status                      all           all      all    -          -         all
GET    /api/v1/audit                       all           -        -      -          -         all

GET    /api/v1/registers/{system}/{register}          all  all    all    own        granted   all
GET    /api/v1/registers/{system}/{register}/schema   self self   self   self       self      self
GET    /api/v1/registers/{system}/{register}/{row_id}/versions  all  all  all  own  granted   all
POST   /api/v1/registers/{system}/{register}          all  all    all    own        -         -
POST   /api/v1/registers/{system}/{register}/import   all  all    all    own        -         -
PUT    /api/v1/registers/{system}/{register}/{row_id}     all  all  all  own        -         -
DELETE /api/v1/registers/{system}/{register}/{row_id}     all  all  all  own        -         -
POST   /api/v1/registers/{system}/{register}/{row_id}/steps/{step}  all  all  all  own  -     -
"""


class Reach(StrEnum):
    """How far a role reaches on a route."""

    ALL = "all"
    OWN = "own"
    GRANTED = "granted"
    SELF = "self"
    ANYONE = "anyone"
    REFUSED = "-"


METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "LIVE")
_READING: Final = ("GET", "LIVE")
# A tenant never reaches further than its own: a slip in the table must not open the park.
_REACHES: Final[dict[Role, tuple[Reach, ...]]] = {
    Role.ADMINISTRATOR: (Reach.ALL, Reach.SELF, Reach.REFUSED),
    Role.OPERATOR: (Reach.ALL, Reach.SELF, Reach.REFUSED),
    Role.SAFETY: (Reach.ALL, Reach.SELF, Reach.REFUSED),
    Role.ENTERPRISE: (Reach.OWN, Reach.SELF, Reach.REFUSED),
    Role.REGULATOR: (Reach.GRANTED, Reach.SELF, Reach.REFUSED),
    Role.AUDITOR: (Reach.ALL, Reach.SELF, Reach.REFUSED),
}
_ONLY_READ: Final = (Role.REGULATOR, Role.AUDITOR)

Route: TypeAlias = tuple[str, str]
"""Method and path template."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The table, read: the reach of every role on every route, and the routes that need no session."""

    reaches: Mapping[Route, Mapping[Role, Reach]]
    open_routes: frozenset[Route]

    @property
    def routes(self) -> frozenset[Route]:
        """Every route that has a row."""
        return frozenset(self.reaches) | self.open_routes

    def reach(self, route: Route, role: Role | None) -> Reach:
        """How far `role` (None: nobody is signed in) reaches; what the table does not name is refused."""
        if route in self.open_routes:
            return Reach.ANYONE
        if role is None:
            return Reach.REFUSED
        return self.reaches.get(route, {}).get(role, Reach.REFUSED)


def read_policy(table: str) -> Policy:
    """Read a table. Raises ConfigError that names every row that is wrong."""
    head, *lines = [line.split() for line in table.splitlines() if line.strip()]
    roles = [Role(name) for name in head[1:]]
    if sorted(roles) != sorted(Role):
        raise ConfigError([_fault("route", "the head does not name every role once", f"name {', '.join(Role)}")])
    reaches: dict[Route, dict[Role, Reach]] = {}
    open_routes: set[Route] = set()
    faults: list[Fault] = []
    for line in lines:
        route = (line[0], line[1])
        faults += _faults(line, roles)
        if route in reaches or route in open_routes:
            faults.append(_fault(" ".join(route), "the route has two rows", "remove one"))
        if line[2:] == [Reach.ANYONE]:
            open_routes.add(route)
        elif not faults:
            reaches[route] = dict(zip(roles, map(Reach, line[2:]), strict=True))
    if faults:
        raise ConfigError(faults)
    return Policy(reaches, frozenset(open_routes))


def _faults(line: list[str], roles: list[Role]) -> list[Fault]:
    method, path, *cells = line
    key = f"{method} {path}"
    if method not in METHODS or not path.startswith("/"):
        return [_fault(key, "this is not a method and a path", f"write one of {' '.join(METHODS)} and a path")]
    if cells == [Reach.ANYONE]:
        return []
    if len(cells) != len(roles):
        return [_fault(key, f"{len(cells)} cells", f"write one for each of {len(roles)} roles, or `anyone`")]
    faults: list[Fault] = []
    for role, cell in zip(roles, cells, strict=True):
        allowed = _REACHES[role]
        if cell not in allowed:
            faults.append(_fault(key, f"{role} reaches {cell!r}", f"write one of {' '.join(allowed)}"))
        elif role in _ONLY_READ and method not in _READING and cell not in (Reach.SELF, Reach.REFUSED):
            faults.append(_fault(key, f"{role} may change something", f"a {role} only reads: write -"))
    return faults


def check_routes(policy: Policy, routes: Iterable[Route]) -> None:
    """Raise ConfigError that names every route without a row and every row without a route."""
    found = set(routes)
    bare = [_fault(" ".join(route), "the route has no row", "add one") for route in sorted(found - policy.routes)]
    idle = [_fault(" ".join(row), "the row has no route", "remove it") for row in sorted(policy.routes - found)]
    if bare or idle:
        raise ConfigError(bare + idle)


def _fault(key: str, problem: str, remedy: str) -> Fault:
    return Fault("access/policy.py", key, problem, remedy)


POLICY: Final = read_policy(TABLE)
