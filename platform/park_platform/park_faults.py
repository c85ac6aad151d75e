"""What is wrong with a park whose shape is right: ids twice, names of nothing, limits beyond what can be."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from zoneinfo import available_timezones

from park_platform.park_model import Asset, ListName, ParkFile, PersonPart, RulePart
from park_wire.errors import Fault, WireError
from park_wire.quantities import QUANTITIES, quantity
from park_wire.topics import is_id

_LIMIT_KINDS: Final = {"HH", "H", "L", "LL"}
# The rules about the platform itself have these ids in the database.
_RESERVED: Final = {"gateway-silent", "gateway-gap", "gateway-conflict", "dead-letter"}


def find_faults(park: ParkFile, main: str, files: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Every fault of a park. `main`: the name of park.toml; `files`: of each list's items the file they stand in."""
    faults: list[Fault] = []
    if park.park.time_zone not in available_timezones():
        problem = f"{park.park.time_zone!r} is no time zone"
        faults.append(Fault(main, "park.time_zone", problem, "use one like Asia/Shanghai"))
    lists: dict[ListName, list[str]] = {
        "enterprise": [item.id for item in park.enterprise],
        "zone": [item.id for item in park.zone],
        "asset": [item.id for item in park.asset],
        "gateway": [item.id for item in park.gateway],
        "rule": [item.id for item in park.rule],
        "person": [item.id for item in park.person],
    }
    for name, ids in lists.items():
        faults += _duplicates(name, ids, files.get(name, ()))
    of_assets = [*zip(park.asset, files.get("asset", ()), strict=True)]
    devices = [(device, file) for asset, file in of_assets for device in asset.devices]
    faults += _duplicates("asset.devices", [device for device, _ in devices], [file for _, file in devices])
    for asset, file in of_assets:
        faults += _in_asset(file, park, asset)
    for rule, file in zip(park.rule, files.get("rule", ()), strict=True):
        faults += _in_rule(file, park, rule)
    for person, file in zip(park.person, files.get("person", ()), strict=True):
        faults += _in_person(file, park, person)
    return faults


def _duplicates(kind: str, ids: Sequence[str], files: Sequence[str]) -> list[Fault]:
    last = dict(zip(ids, files, strict=True))
    return [
        Fault(last[name], kind, f"{name!r} stands {times} times", "give each its own id")
        for name, times in Counter(ids).items()
        if times > 1
    ]


def _in_asset(file: str, park: ParkFile, asset: Asset) -> list[Fault]:
    where = f'asset "{asset.id}"'
    faults: list[Fault] = []
    if asset.enterprise is not None:
        faults += _known(file, f"{where}.enterprise", asset.enterprise, [item.id for item in park.enterprise])
    if asset.zone is not None:
        faults += _known(file, f"{where}.zone", asset.zone, [item.id for item in park.zone])
    for device in asset.devices:
        if not _names_device(park, device):
            problem = f"{device!r} names no device of a gateway of this park"
            faults.append(Fault(file, f"{where}.devices", problem, "write gateway/device"))
    for name in asset.design:
        faults += _known_quantity(file, f"{where}.design", name)
    return faults


def _names_device(park: ParkFile, text: str) -> bool:
    gateway, _, device = text.partition("/")
    return is_id(device) and gateway in {item.id for item in park.gateway}


def _in_rule(file: str, park: ParkFile, rule: RulePart) -> list[Fault]:
    where = f'rule "{rule.id}"'
    faults: list[Fault] = []
    if rule.id in _RESERVED:
        faults.append(Fault(file, where, "is the id of a rule about the platform itself", "give it another id"))
    given = (rule.limit is not None) + (rule.design_limit is not None)
    if given != (1 if rule.kind in _LIMIT_KINDS else 0):
        expected = "exactly one of limit and design_limit" if rule.kind in _LIMIT_KINDS else "no limit"
        faults.append(Fault(file, where, f"kind {rule.kind} takes {expected}, found {given}", "correct its limit"))
    faults += _in_selector(file, park, rule)
    if rule.on.quantity is not None and rule.on.quantity in QUANTITIES and rule.limit is not None:
        found = quantity(rule.on.quantity)
        if not found.low <= rule.limit <= found.high:
            problem = f"{rule.limit:g} {found.unit} is beyond what {found.id} can be ({found.low:g} to {found.high:g})"
            faults.append(Fault(file, f"{where}.limit", problem, f"give the limit in {found.unit}"))
    if rule.design_limit is not None:
        unknown = _known_quantity(file, f"{where}.design_limit.quantity", rule.design_limit.quantity)
        faults += unknown or _in_design_limit(file, park, rule, rule.design_limit.quantity)
    return faults


def _in_selector(file: str, park: ParkFile, rule: RulePart) -> list[Fault]:
    on, where = rule.on, f'rule "{rule.id}".on'
    faults: list[Fault] = []
    if on.quantity is None and on.point is None and rule.kind in _LIMIT_KINDS:
        faults.append(Fault(file, where, "a limit needs a quantity or a point", "name one of them"))
    if not any((on.quantity, on.asset_kind, on.asset, on.point)):
        faults.append(Fault(file, where, "selects nothing", "name a quantity, asset_kind, asset or point"))
    if on.quantity is not None:
        faults += _known_quantity(file, f"{where}.quantity", on.quantity)
    if on.asset is not None:
        faults += _known(file, f"{where}.asset", on.asset, [item.id for item in park.asset])
    if on.asset_kind is not None:
        faults += _known(file, f"{where}.asset_kind", on.asset_kind, sorted({item.kind for item in park.asset}))
    if on.point is not None:
        device, _, point = on.point.rpartition("/")
        if not is_id(point) or not _names_device(park, device):
            problem = f"{on.point!r} names no point of a gateway of this park"
            faults.append(Fault(file, f"{where}.point", problem, "write gateway/device/point"))
    return faults


def _in_design_limit(file: str, park: ParkFile, rule: RulePart, name: str) -> list[Fault]:
    """A limit that no asset gives would watch nothing, and nobody would notice."""
    for asset in park.asset:
        fits = rule.on.asset in {None, asset.id} and rule.on.asset_kind in {None, asset.kind}
        if fits and name in asset.design:
            return []
    problem = f"no asset that it selects has a design value of {name}"
    return [Fault(file, f'rule "{rule.id}".design_limit', problem, "give the assets their design value, or a limit")]


def _in_person(file: str, park: ParkFile, person: PersonPart) -> list[Fault]:
    where = f'person "{person.id}"'
    enterprises = [item.id for item in park.enterprise]
    faults: list[Fault] = []
    for name in [*person.may_read, *([person.enterprise] if person.enterprise else [])]:
        faults += _known(file, where, name, enterprises)
    if (person.role == "enterprise") != (person.enterprise is not None):
        problem = f"role {person.role} and enterprise {person.enterprise!r} don't fit"
        faults.append(Fault(file, where, problem, "only role enterprise has one"))
    if person.may_read and person.role != "regulator":
        problem = f"the role is {person.role}"
        faults.append(Fault(file, f"{where}.may_read", problem, "only regulators read by a grant"))
    return faults


def _known(file: str, key: str, found: str, known: Sequence[str]) -> list[Fault]:
    if found in known:
        return []
    return [Fault(file, key, f"{found!r} is not defined", f"use one of {', '.join(known) or 'none: define it first'}")]


def _known_quantity(file: str, key: str, found: str) -> list[Fault]:
    try:
        quantity(found)
    except WireError as error:
        return [Fault(file, key, str(error), "see the quantity catalogue")]
    return []
