"""What is wrong with a park besides its shape: ids twice, names of nothing, limits beyond what can be."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import available_timezones

from park_platform.park_draft import Draft, Part
from park_platform.park_model import LISTS, Asset, ListName, PersonPart, ZonePart
from park_platform.systems import enable
from park_sdk.alarm_rule import AlarmRule
from park_sdk.system import System
from park_wire.errors import Fault, WireError
from park_wire.quantities import QUANTITIES, quantity
from park_wire.topics import is_id

_LIMIT_KINDS: Final = {"HH", "H", "L", "LL"}
# The rules about the platform itself have these ids in the database.
_RESERVED: Final = {"gateway-silent", "gateway-gap", "gateway-conflict", "dead-letter", "system-fenced"}


def find_faults(draft: Draft, systems: Mapping[str, System]) -> list[Fault]:
    """Every fault of a park that its shape does not show. What is broken in shape has a fault already: not again."""
    faults: list[Fault] = []
    if draft.park.time_zone not in available_timezones():
        problem = f"{draft.park.time_zone!r} is no time zone"
        faults.append(Fault(draft.main, "park.time_zone", problem, "use one like Asia/Shanghai"))
    for name in LISTS:
        faults += _duplicates(name, [(part.item.id, part.file) for part in _sound(draft, name)])
    devices = [(device, part.file) for part in draft.asset for device in part.item.devices]
    faults += _duplicates("asset.devices", devices)
    for part in draft.zone:
        faults += _in_zone(part)
    for part in draft.asset:
        faults += _in_asset(draft, part)
    faults += _circles(draft)
    faults += enable(systems, draft.system, draft.main)[1]
    for part in draft.rule:
        faults += _in_rule(draft, part)
    for part in draft.person:
        faults += _in_person(draft, part)
    return faults


def _sound(draft: Draft, name: ListName) -> list[Part[Any]]:
    """The items of a list that have an id."""
    parts: Sequence[Part[Any]] = getattr(draft, name)
    return [part for part in parts if part.is_sound("id")]


def _ids(draft: Draft, name: ListName) -> list[str]:
    return [part.item.id for part in _sound(draft, name)]


def _kinds(draft: Draft) -> list[str]:
    return sorted({part.item.kind for part in draft.asset if part.is_sound("kind")})


def _duplicates(kind: str, named: Sequence[tuple[str, str]]) -> list[Fault]:
    last = dict(named)
    return [
        Fault(last[name], kind, f"{name!r} stands {times} times", "give each its own id")
        for name, times in Counter(name for name, _ in named).items()
        if times > 1
    ]


def _in_zone(part: Part[ZonePart]) -> list[Fault]:
    corners = len(part.item.outline)
    if not part.is_sound("outline") or corners in {0, *range(3, 1_000)}:
        return []
    return [Fault(part.file, f"{part.label}.outline", f"{corners} corners make no area", "give 3 to 999, or none")]


def _circles(draft: Draft) -> list[Fault]:
    """Meters that feed each other: no balance could be drawn."""
    upstream = {part.item.id: part.item.fed_from for part in draft.asset}
    faults: list[Fault] = []
    for part in draft.asset:
        seen: set[str] = set()
        at: str | None = part.item.id
        while at is not None and at not in seen:
            seen.add(at)
            at = upstream.get(at)
        if at == part.item.id:
            problem = f"{part.item.id!r} is fed from itself, by way of {len(seen) - 1} others"
            faults.append(Fault(part.file, f"{part.label}.fed_from", problem, "name the meter upstream"))
    return faults


def _in_asset(draft: Draft, part: Part[Asset]) -> list[Fault]:
    asset, where = part.item, part.label
    faults: list[Fault] = []
    if asset.enterprise is not None:
        faults += _known(draft, part.file, f"{where}.enterprise", asset.enterprise, "enterprise")
    if asset.zone is not None:
        faults += _known(draft, part.file, f"{where}.zone", asset.zone, "zone")
    if asset.fed_from is not None:
        faults += _known(draft, part.file, f"{where}.fed_from", asset.fed_from, "asset")
    for device in asset.devices:
        if not _names_device(draft, device):
            problem = f"{device!r} names no device of a gateway of this park{_as_far(draft)}"
            faults.append(Fault(part.file, f"{where}.devices", problem, "write gateway/device"))
    for name in asset.design:
        faults += _known_quantity(part.file, f"{where}.design", name)
    return faults


def _names_device(draft: Draft, text: str) -> bool:
    gateway, _, device = text.partition("/")
    return is_id(device) and gateway in _ids(draft, "gateway")


def _in_rule(draft: Draft, part: Part[AlarmRule]) -> list[Fault]:
    rule, file, where = part.item, part.file, part.label
    faults: list[Fault] = []
    if rule.id in _RESERVED:
        faults.append(Fault(file, where, "is the id of a rule about the platform itself", "give it another id"))
    given = (rule.limit is not None) + (rule.design_limit is not None)
    if part.is_sound("kind", "limit", "design_limit") and given != (1 if rule.kind in _LIMIT_KINDS else 0):
        expected = "exactly one of limit and design_limit" if rule.kind in _LIMIT_KINDS else "no limit"
        faults.append(Fault(file, where, f"kind {rule.kind} takes {expected}, found {given}", "correct its limit"))
    faults += _in_selector(draft, part)
    if rule.on.quantity is not None and rule.on.quantity in QUANTITIES and rule.limit is not None:
        found = quantity(rule.on.quantity)
        if not found.low <= rule.limit <= found.high:
            problem = f"{rule.limit:g} {found.unit} is beyond what {found.id} can be ({found.low:g} to {found.high:g})"
            faults.append(Fault(file, f"{where}.limit", problem, f"give the limit in {found.unit}"))
    if rule.design_limit is not None:
        unknown = _known_quantity(file, f"{where}.design_limit.quantity", rule.design_limit.quantity)
        faults += unknown or _in_design_limit(draft, part, rule.design_limit.quantity)
    return faults


def _in_selector(draft: Draft, part: Part[AlarmRule]) -> list[Fault]:
    on, file, where = part.item.on, part.file, f"{part.label}.on"
    faults: list[Fault] = []
    if part.is_sound("on", "kind") and on.quantity is None and on.point is None and part.item.kind in _LIMIT_KINDS:
        faults.append(Fault(file, where, "a limit needs a quantity or a point", "name one of them"))
    if part.is_sound("on") and not any((on.quantity, on.asset_kind, on.asset, on.point)):
        faults.append(Fault(file, where, "selects nothing", "name a quantity, asset_kind, asset or point"))
    if on.quantity is not None:
        faults += _known_quantity(file, f"{where}.quantity", on.quantity)
    if on.asset is not None:
        faults += _known(draft, file, f"{where}.asset", on.asset, "asset")
    if on.asset_kind is not None:
        faults += _among(draft, file, f"{where}.asset_kind", on.asset_kind, _kinds(draft))
    if on.point is not None:
        device, _, point = on.point.rpartition("/")
        if not is_id(point) or not _names_device(draft, device):
            problem = f"{on.point!r} names no point of a gateway of this park{_as_far(draft)}"
            faults.append(Fault(file, f"{where}.point", problem, "write gateway/device/point"))
    return faults


def _in_design_limit(draft: Draft, part: Part[AlarmRule], name: str) -> list[Fault]:
    """A limit that no asset gives would watch nothing, and nobody would notice."""
    on = part.item.on
    if on.asset is not None and on.asset not in _ids(draft, "asset"):
        return []  # that it does not exist is named already
    if on.asset_kind is not None and on.asset_kind not in _kinds(draft):
        return []
    for asset in draft.asset:
        fits = on.asset is None or (asset.is_sound("id") and asset.item.id == on.asset)
        fits &= on.asset_kind is None or (asset.is_sound("kind") and asset.item.kind == on.asset_kind)
        if fits and (name in asset.item.design or not asset.is_sound("design")):
            return []
    problem = f"no asset that it selects has a design value of {name}{_as_far(draft)}"
    remedy = "give the assets their design value, or a limit"
    return [Fault(part.file, f"{part.label}.design_limit", problem, remedy)]


def _in_person(draft: Draft, part: Part[PersonPart]) -> list[Fault]:
    person, file, where = part.item, part.file, part.label
    faults: list[Fault] = []
    for name in person.may_read:
        faults += _known(draft, file, f"{where}.may_read", name, "enterprise")
    if person.enterprise is not None:
        faults += _known(draft, file, f"{where}.enterprise", person.enterprise, "enterprise")
    if part.is_sound("role", "enterprise") and (person.role == "enterprise") != (person.enterprise is not None):
        problem = f"role {person.role} and enterprise {person.enterprise!r} don't fit"
        faults.append(Fault(file, where, problem, "only role enterprise has one"))
    if part.is_sound("role") and person.may_read and person.role != "regulator":
        problem = f"the role is {person.role}"
        faults.append(Fault(file, f"{where}.may_read", problem, "only regulators read by a grant"))
    return faults


def _known(draft: Draft, file: str, key: str, found: str, kind: ListName) -> list[Fault]:
    return _among(draft, file, key, found, _ids(draft, kind))


def _among(draft: Draft, file: str, key: str, found: str, known: Sequence[str]) -> list[Fault]:
    if found in known:
        return []
    remedy = f"use one of {', '.join(known) or 'none: define it first'}"
    return [Fault(file, key, f"{found!r} is not defined{_as_far(draft)}", remedy)]


def _as_far(draft: Draft) -> str:
    return "" if draft.is_whole else " in what could be read"


def _known_quantity(file: str, key: str, found: str) -> list[Fault]:
    try:
        quantity(found)
    except WireError as error:
        return [Fault(file, key, str(error), "see the quantity catalogue")]
    return []
