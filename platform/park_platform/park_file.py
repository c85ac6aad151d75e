"""park.toml: what a park is made of. Read and checked as a whole: every fault at once, with file, key and remedy.

    [park]        id, name, time_zone
    [[enterprise]] [[zone]]       id, name
    [[asset]]     id, kind, name, enterprise?, zone?, design = { quantity = value }, devices = ["gateway/device"]
    [[gateway]]   id, name
    [[rule]]      id, name, kind, on = { quantity, asset_kind, asset, point }, limit | design_limit, delays, texts
    [[person]]    id, name, role, enterprise?, may_read = ["enterprise"]

Values are in the quantity's canonical unit. Other files may be named by `include = ["rules.toml"]` in [park].
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from park_wire.errors import ConfigError, Fault, WireError
from park_wire.quantities import QUANTITIES, quantity
from park_wire.topics import ID_RULE

Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$", description=ID_RULE)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Strict):
    """A text for people, in both languages."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class ParkPart(_Strict):
    """The park itself."""

    id: Id
    name: Text
    time_zone: str = "Asia/Shanghai"
    include: tuple[str, ...] = ()


class Named(_Strict):
    """An enterprise, a zone or a gateway."""

    id: Id
    name: Text


class Asset(_Strict):
    """Something that is watched: its design values by quantity, and the gateway/device that belong to it."""

    id: Id
    kind: Id
    name: Text
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
    name: Text
    kind: Literal["HH", "H", "L", "LL", "STALE", "BAD_QUALITY"]
    on: Selector
    limit: float | None = None
    design_limit: DesignLimit | None = None
    deadband: Annotated[float, Field(ge=0)] = 0.0
    on_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    off_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    latch: bool = False
    priority: Literal["critical", "high", "medium", "low"]
    cause: Text
    consequence: Text
    action: Text
    respond_s: Annotated[int, Field(gt=0)]
    source: Annotated[str, Field(min_length=1)]
    enabled: bool = True


class PersonPart(_Strict):
    """Somebody who may sign in. `may_read` are the enterprises that a regulator is granted for `grant_days`."""

    id: Id
    name: Text
    role: Literal["administrator", "operator", "safety", "enterprise", "regulator", "auditor"]
    enterprise: Id | None = None
    may_read: tuple[Id, ...] = ()
    grant_days: Annotated[int, Field(gt=0, le=3_660)] = 365


class ParkFile(_Strict):
    """A whole park."""

    park: ParkPart
    enterprise: tuple[Named, ...] = ()
    zone: tuple[Named, ...] = ()
    asset: tuple[Asset, ...] = ()
    gateway: tuple[Named, ...] = ()
    rule: tuple[RulePart, ...] = ()
    person: tuple[PersonPart, ...] = ()


_LISTS = ("enterprise", "zone", "asset", "gateway", "rule", "person")


def load_park(path: Path) -> ParkFile:
    """Read park.toml and what it includes. Raises ConfigError with every fault."""
    faults: list[Fault] = []
    content = _read(path, faults)
    for name in _includes(content):
        for key, items in _read(path.parent / name, faults).items():
            if key not in _LISTS or not isinstance(items, list):
                faults.append(Fault(name, key, "is not a list that may be included", f"use {', '.join(_LISTS)}"))
            else:
                content.setdefault(key, []).extend(items)
    if faults:
        raise ConfigError(faults)
    try:
        park = ParkFile.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_shape_faults(path, content, error)) from error
    faults += _meaning_faults(path.name, park)
    if faults:
        raise ConfigError(faults)
    return park


def _read(path: Path, faults: list[Fault]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(
            Fault(str(path), "file", f"can't be read: {error.strerror}", "check the path and its permissions")
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(Fault(str(path), "file", f"is not TOML: {error}", "correct the line that is named"))
    return {}


def _includes(content: dict[str, Any]) -> list[str]:
    try:
        return [str(name) for name in content["park"]["include"]]
    except (KeyError, TypeError):
        return []  # the shape is judged with everything else


def _shape_faults(path: Path, content: dict[str, Any], error: ValidationError) -> list[Fault]:
    faults: list[Fault] = []
    for item in error.errors():
        keys = list(item["loc"])
        found = "" if item["type"] == "missing" else f", found {item['input']!r}"
        faults.append(Fault(path.name, _where(content, keys), f"{item['msg'].lower()}{found}", "correct this key"))
    return faults


def _where(content: dict[str, Any], keys: Sequence[int | str]) -> str:
    """`rule[3] "tank-hh".limit`: the list's own id says more than its number."""
    text = ""
    for depth, key in enumerate(keys):
        if isinstance(key, str):
            text += f".{key}" if text else key
            continue
        text += f"[{key}]"
        if depth == 1:
            item: Any = content[str(keys[0])][key]
            text += f' "{item["id"]}"' if isinstance(item, dict) and "id" in item else ""
    return text


def _meaning_faults(file: str, park: ParkFile) -> list[Fault]:
    faults: list[Fault] = []
    if park.park.time_zone not in available_timezones():
        faults.append(
            Fault(file, "park.time_zone", f"{park.park.time_zone!r} is no time zone", "use one like Asia/Shanghai")
        )
    for kind in _LISTS:
        items: Sequence[Named | Asset | RulePart | PersonPart] = getattr(park, kind)
        faults += _duplicates(file, kind, (item.id for item in items))
    faults += _duplicates(file, "asset.devices", (device for asset in park.asset for device in asset.devices))
    faults += [fault for asset in park.asset for fault in _asset_faults(file, park, asset)]
    faults += [fault for rule in park.rule for fault in _rule_faults(file, park, rule)]
    faults += [fault for person in park.person for fault in _person_faults(file, park, person)]
    return faults


def _duplicates(file: str, kind: str, ids: Iterable[str]) -> list[Fault]:
    return [
        Fault(file, kind, f"{name!r} stands {times} times", "give each its own id")
        for name, times in Counter(ids).items()
        if times > 1
    ]


def _asset_faults(file: str, park: ParkFile, asset: Asset) -> list[Fault]:
    where = f'asset "{asset.id}"'
    faults: list[Fault] = []
    if asset.enterprise is not None and asset.enterprise not in {item.id for item in park.enterprise}:
        faults.append(_unknown(file, f"{where}.enterprise", asset.enterprise, [item.id for item in park.enterprise]))
    if asset.zone is not None and asset.zone not in {item.id for item in park.zone}:
        faults.append(_unknown(file, f"{where}.zone", asset.zone, [item.id for item in park.zone]))
    for device in asset.devices:
        gateway, _, name = device.partition("/")
        if not name or gateway not in {item.id for item in park.gateway}:
            faults.append(
                Fault(file, f"{where}.devices", f"{device!r} names no gateway of this park", "write gateway/device")
            )
    faults += [_unknown_quantity(file, f"{where}.design", name) for name in asset.design if name not in QUANTITIES]
    return faults


def _rule_faults(file: str, park: ParkFile, rule: RulePart) -> list[Fault]:
    where = f'rule "{rule.id}"'
    faults: list[Fault] = []
    limits = rule.kind in {"HH", "H", "L", "LL"}
    given = (rule.limit is not None) + (rule.design_limit is not None)
    if given != (1 if limits else 0):
        expected = "exactly one of limit and design_limit" if limits else "no limit"
        faults.append(Fault(file, where, f"kind {rule.kind} takes {expected}, found {given}", "correct its limit"))
    selector = rule.on
    if selector.quantity is None and selector.point is None and limits:
        faults.append(Fault(file, f"{where}.on", "a limit needs a quantity or a point", "name one of them"))
    if not any((selector.quantity, selector.asset_kind, selector.asset, selector.point)):
        faults.append(Fault(file, f"{where}.on", "selects nothing", "name a quantity, asset_kind, asset or point"))
    if selector.quantity is not None and selector.quantity not in QUANTITIES:
        faults.append(_unknown_quantity(file, f"{where}.on.quantity", selector.quantity))
    elif selector.quantity is not None and rule.limit is not None:
        found = quantity(selector.quantity)
        if not found.low <= rule.limit <= found.high:
            faults.append(
                Fault(
                    file,
                    f"{where}.limit",
                    f"{rule.limit:g} {found.unit} is beyond what {found.id} can be ({found.low:g} to {found.high:g})",
                    f"give the limit in {found.unit}",
                )
            )
    if selector.asset is not None and selector.asset not in {item.id for item in park.asset}:
        faults.append(_unknown(file, f"{where}.on.asset", selector.asset, [item.id for item in park.asset]))
    if selector.asset_kind is not None and selector.asset_kind not in {item.kind for item in park.asset}:
        kinds = sorted({item.kind for item in park.asset})
        faults.append(_unknown(file, f"{where}.on.asset_kind", selector.asset_kind, kinds))
    if rule.design_limit is not None and rule.design_limit.quantity not in QUANTITIES:
        faults.append(_unknown_quantity(file, f"{where}.design_limit.quantity", rule.design_limit.quantity))
    return faults


def _person_faults(file: str, park: ParkFile, person: PersonPart) -> list[Fault]:
    where = f'person "{person.id}"'
    known = [item.id for item in park.enterprise]
    named = [*person.may_read, *([person.enterprise] if person.enterprise else [])]
    faults = [_unknown(file, where, name, known) for name in named if name not in known]
    if (person.role == "enterprise") != (person.enterprise is not None):
        faults.append(
            Fault(
                file,
                where,
                f"role {person.role} and enterprise {person.enterprise!r} don't fit",
                "only role enterprise has one",
            )
        )
    if person.may_read and person.role != "regulator":
        faults.append(Fault(file, f"{where}.may_read", f"the role is {person.role}", "only regulators read by a grant"))
    return faults


def _unknown(file: str, key: str, found: str, known: Sequence[str]) -> Fault:
    return Fault(file, key, f"{found!r} is not defined", f"use one of {', '.join(known) or 'none: define it first'}")


def _unknown_quantity(file: str, key: str, found: str) -> Fault:
    try:
        quantity(found)
    except WireError as error:
        return Fault(file, key, str(error), "see the quantity catalogue")
    return Fault(file, key, f"{found!r} is no quantity", "see the quantity catalogue")


def zone_of(park: ParkFile) -> ZoneInfo:
    """The park's time zone."""
    return ZoneInfo(park.park.time_zone)
