"""What a park is made of, as park.toml says it (park_file.py reads it).

    [park]        id, name, time_zone
    [[enterprise]] [[zone]]       id, name
    [[asset]]     id, kind, name, enterprise?, zone?, design = { quantity = value }, devices = ["gateway/device"]
    [[gateway]]   id, name
    [[rule]]      id, name, kind, on = { quantity, asset_kind, asset, point }, limit | design_limit, delays, texts
    [[person]]    id, name, role, enterprise?, may_read = ["enterprise"]

Values are in the quantity's canonical unit. Other files may be named by `include = ["rules.toml"]` in [park].
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from park_platform.storage.people import Role
from park_sdk.rules import Priority
from park_wire.topics import ID_RULE

Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$", description=ID_RULE)]


class _Strict(BaseModel):
    # A limit that is no number would never be violated.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TextPart(_Strict):
    """A text for people, in both languages."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class ParkPart(_Strict):
    """The park itself."""

    id: Id
    name: TextPart
    time_zone: str = "Asia/Shanghai"
    include: tuple[str, ...] = ()


class NamedPart(_Strict):
    """An enterprise, a zone or a gateway."""

    id: Id
    name: TextPart


class Asset(_Strict):
    """Something that is watched: its design values by quantity, and the gateway/device that belong to it."""

    id: Id
    kind: Id
    name: TextPart
    enterprise: Id | None = None
    zone: Id | None = None
    design: dict[str, float] = {}
    devices: tuple[str, ...] = ()


class Selector(_Strict):
    """Which points a rule watches: each given field must match."""

    quantity: str | None = None
    asset_kind: Id | None = None
    asset: Id | None = None
    point: str | None = None


class DesignLimit(_Strict):
    """A limit as a multiple of the asset's design value of a quantity."""

    quantity: str
    times: Annotated[float, Field(gt=0)]


class RulePart(_Strict):
    """An alarm rule; limit and deadband in the quantity's canonical unit."""

    id: Id
    name: TextPart
    kind: Literal["HH", "H", "L", "LL", "STALE", "BAD_QUALITY"]
    on: Selector
    limit: float | None = None
    design_limit: DesignLimit | None = None
    deadband: Annotated[float, Field(ge=0)] = 0.0
    on_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    off_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    latch: bool = False
    priority: Priority
    cause: TextPart
    consequence: TextPart
    action: TextPart
    respond_s: Annotated[int, Field(gt=0)]
    source: Annotated[str, Field(min_length=1)]
    enabled: bool = True


class PersonPart(_Strict):
    """Somebody who may sign in. `may_read` are the enterprises that a regulator is granted for `grant_days`."""

    id: Id
    name: TextPart
    role: Role
    enterprise: Id | None = None
    may_read: tuple[Id, ...] = ()
    grant_days: Annotated[int, Field(gt=0, le=3_660)] = 365


class ParkFile(_Strict):
    """A whole park."""

    park: ParkPart
    enterprise: tuple[NamedPart, ...] = ()
    zone: tuple[NamedPart, ...] = ()
    asset: tuple[Asset, ...] = ()
    gateway: tuple[NamedPart, ...] = ()
    rule: tuple[RulePart, ...] = ()
    person: tuple[PersonPart, ...] = ()


ListName = Literal["enterprise", "zone", "asset", "gateway", "rule", "person"]
LISTS: Final[tuple[ListName, ...]] = ("enterprise", "zone", "asset", "gateway", "rule", "person")
"""What a park has several of, and what may stand in an included file."""
