"""A park as far as it was understood: what is broken in it is replaced, so that all the rest can still be judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from park_platform.park_model import Asset, ListName, NamedPart, ParkPart, PersonPart, ZonePart
from park_sdk.alarm_rule import AlarmRule

Place: TypeAlias = tuple[int | str, ...]
"""Where a value stands: the keys and numbers that lead to it."""

_Item = TypeVar("_Item", NamedPart, ZonePart, Asset, AlarmRule, PersonPart)
_Any = TypeVar("_Any", bound=BaseModel)

_NAME: Final = {"zh": "-", "en": "-"}
_NAMED: Final = {"id": "-", "name": _NAME}
_TEXTS: Final = dict.fromkeys(("cause", "consequence", "action"), _NAME)
_RULE: Final = {**_NAMED, **_TEXTS, "kind": "STALE", "on": {}, "priority": "low", "respond_s": 1, "source": "-"}


@dataclass(frozen=True, slots=True)
class Part(Generic[_Item]):
    """An item of a list, the file that it stands in, and its label for people, such as `rule "tank-hh"`.

    A field in `broken` has a fault of its own, at it or within it: what could not be read there is left out, and where
    an item can't be without it, something stands in for it.
    """

    item: _Item
    file: str
    label: str
    broken: frozenset[str]

    def is_sound(self, *fields: str) -> bool:
        """Whether none of these fields is broken: a check that weighs them against each other needs all of them."""
        return self.broken.isdisjoint(fields)


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole park, perhaps with faults. `is_whole`: every file was read, and every list is one."""

    main: str
    is_whole: bool
    park: ParkPart
    enterprise: Sequence[Part[NamedPart]]
    zone: Sequence[Part[ZonePart]]
    asset: Sequence[Part[Asset]]
    gateway: Sequence[Part[NamedPart]]
    rule: Sequence[Part[AlarmRule]]
    person: Sequence[Part[PersonPart]]
    system: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a draft is made from: the content, the file and label of each item, and the places of all faults."""

    main: str
    is_whole: bool
    content: Mapping[str, Any]
    files: Mapping[str, Sequence[str]]
    places: Sequence[Place]

    def draft(self) -> Draft:
        """The park without what is broken."""
        return Draft(
            main=self.main,
            is_whole=self.is_whole,
            park=_without_broken(ParkPart, _NAMED, self.content.get("park"), self._below("park")),
            enterprise=self._parts("enterprise", NamedPart, _NAMED),
            zone=self._parts("zone", ZonePart, _NAMED),
            asset=self._parts("asset", Asset, {**_NAMED, "kind": "-"}),
            gateway=self._parts("gateway", NamedPart, _NAMED),
            rule=self._parts("rule", AlarmRule, _RULE),
            person=self._parts("person", PersonPart, {**_NAMED, "role": "auditor"}),
            system=self._systems(),
        )

    def _systems(self) -> dict[str, Mapping[str, Any]]:
        found: Any = self.content.get("system", {})
        items: dict[str, Any] = found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]
        return {id_: settings for id_, settings in items.items() if isinstance(settings, dict)}

    def _parts(self, name: ListName, model: type[_Item], neutral: Mapping[str, Any]) -> list[Part[_Item]]:
        parts: list[Part[_Item]] = []
        for number, file in enumerate(self.files.get(name, ())):
            raw = self.content[name][number]
            places = self._below(name, number)
            if isinstance(raw, dict):
                item = _without_broken(model, neutral, raw, places)
                broken = frozenset(str(place[0]) for place in places)
                parts.append(Part(item, file, label(self.content, (name, number)), broken))
        return parts

    def _below(self, *above: int | str) -> list[Place]:
        return [
            place[len(above) :] for place in self.places if place[: len(above)] == above and len(place) > len(above)
        ]


def _without_broken(model: type[_Any], neutral: Mapping[str, Any], raw: Any, places: Sequence[Place]) -> _Any:
    kept: dict[str, Any] = raw if isinstance(raw, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    # From the end, so that the numbers in a list stay right.
    for place in reversed(places):
        kept = _without(kept, place)
    try:
        return model.model_validate({**neutral, **kept})
    except ValidationError as error:
        # A field in which something is missing goes as a whole.
        lost = {item["loc"][0] for item in error.errors()}
        return model.model_validate({**neutral, **{key: value for key, value in kept.items() if key not in lost}})


def _without(value: Any, place: Place) -> Any:
    """A copy without what stands at this place."""
    head, rest = place[0], place[1:]
    inside: Any
    match value:
        case dict() if head in value:
            inside = {head: _without(value[head], rest)} if rest else {}
            return {key: kept for key, kept in value.items() if key != head} | inside  # pyright: ignore[reportUnknownVariableType]
        case list() if isinstance(head, int):
            inside = [_without(value[head], rest)] if rest else []
            return [*value[:head], *inside, *value[head + 1 :]]
        case _:
            return value


def label(content: Mapping[str, Any], place: Place) -> str:
    """`rule "tank-hh".limit`: an item's own id says more than its number."""
    text = ""
    for depth, key in enumerate(place):
        if isinstance(key, str):
            text += f".{as_word(key)}" if text else as_word(key)
            continue
        item: Any = content[str(place[0])][key] if depth == 1 else None
        match item:
            case {"id": str(name)} if name:
                text += f' "{as_word(name)}"'
            case _:
                text += f"[{key}]"
    return text


def as_word(text: str) -> str:
    """A key, id or file name as it stands in a line for people, whatever was written there."""
    return text if text.isprintable() and len(text) <= 100 else repr(text[:100])
