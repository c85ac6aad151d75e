"""The parameters of a report as they stand in a query, and as its model wants them."""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

from park_sdk.register_form import FieldFault, read_form
from park_wire.quantities import Text

_Params = TypeVar("_Params", bound=BaseModel)
_LISTS: Final = (list, tuple, set, frozenset, Sequence)
_TWICE: Final = Text("只能给出一个值", "give one value only")


def read_params(model: type[_Params], asked: Sequence[tuple[str, str]]) -> tuple[_Params | None, list[FieldFault]]:
    """The parameters, or everything that is wrong with them. `asked`: name and text, a name may come several times.

    A parameter that takes a list gets all its values; any other may be given once. An empty text means: not given.
    """
    given: dict[str, list[str]] = {}
    for name, text in asked:
        if text:
            given.setdefault(name, []).append(text)
    takes_list = {name: _is_list(field.annotation) for name, field in model.model_fields.items()}
    twice = [
        FieldFault(name, _TWICE) for name, texts in given.items() if len(texts) > 1 and takes_list.get(name) is False
    ]
    values: Mapping[str, Any] = {name: texts if takes_list.get(name) else texts[0] for name, texts in given.items()}
    params, faults = read_form(model, values)
    faults = [*twice, *faults]
    return (None, faults) if faults else (params, [])


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_list(get_args(annotation)[0])
    if origin is Union or origin is UnionType:
        return any(_is_list(part) for part in get_args(annotation))
    return (origin or annotation) in _LISTS
