"""What a park is made of, as park.toml says it (park_file.py reads it).

    [park]        id, name, time_zone
    [system.<id>] settings of a system that the park uses
    [registers]   "system.register" = "file.csv": rows to begin with; what people made of them since stays
    [[enterprise]] id, name
    [[zone]]      id, name, outline? = [[longitude, latitude], …]
    [[asset]]     id, kind, name, enterprise?, zone?, at? = [longitude, latitude], fed_from? = "asset",
                  design = { quantity = value }, devices = ["gateway/device"]
    [[gateway]]   id, name
    [[rule]]      id, name, kind, on = { quantity, asset_kind, asset, point }, limit | design_limit, delays, texts
    [[person]]    id, name, role, enterprise?, may_read = ["enterprise"]

Values are in the quantity's canonical unit. Other files may be named by `include = ["rules.toml"]` in [park].
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from park_platform.storage.people import Role
from park_sdk.alarm_rule import AlarmRule, Id, Strict, Words

_Longitude = Annotated[float, Field(ge=-180, le=180)]
_Latitude = Annotated[float, Field(ge=-90, le=90)]
Place = tuple[_Longitude, _Latitude]
"""Longitude and latitude, WGS-84."""


class ParkPart(Strict):
    """The park itself."""

    id: Id
    name: Words
    time_zone: str = "Asia/Shanghai"
    include: tuple[str, ...] = ()


class NamedPart(Strict):
    """An enterprise or a gateway."""

    id: Id
    name: Words


class ZonePart(Strict):
    """A zone. `outline`: its corners on the park's plan."""

    id: Id
    name: Words
    outline: tuple[Place, ...] = ()


class Asset(Strict):
    """Something that is watched: its design values by quantity, and the gateway/device that belong to it.

    `at`: where it stands on the park's plan. `fed_from`: the meter upstream of it.
    """

    id: Id
    kind: Id
    name: Words
    enterprise: Id | None = None
    zone: Id | None = None
    design: dict[str, float] = Field(default_factory=dict)
    devices: tuple[str, ...] = ()
    at: Place | None = None
    fed_from: Id | None = None


class PersonPart(Strict):
    """Somebody who may sign in. `may_read` are the enterprises that a regulator is granted for `grant_days`."""

    id: Id
    name: Words
    role: Role
    enterprise: Id | None = None
    may_read: tuple[Id, ...] = ()
    grant_days: Annotated[int, Field(gt=0, le=3_660)] = 365


class RegisterPart(Strict):
    """Rows that a register begins with, as its CSV file holds them."""

    file: str
    rows: tuple[dict[str, Any], ...]


class ParkFile(Strict):
    """A whole park."""

    park: ParkPart
    enterprise: tuple[NamedPart, ...] = ()
    zone: tuple[ZonePart, ...] = ()
    asset: tuple[Asset, ...] = ()
    gateway: tuple[NamedPart, ...] = ()
    rule: tuple[AlarmRule, ...] = ()
    person: tuple[PersonPart, ...] = ()
    system: dict[str, dict[str, Any]] = Field(default_factory=dict)
    registers: dict[str, RegisterPart] = Field(default_factory=dict)


ListName = Literal["enterprise", "zone", "asset", "gateway", "rule", "person"]
LISTS: Final[tuple[ListName, ...]] = ("enterprise", "zone", "asset", "gateway", "rule", "person")
"""What a park has several of, and what may stand in an included file."""
