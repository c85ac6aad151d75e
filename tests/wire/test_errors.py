"""The tree of errors: the drawing is the code, and each class says whether a retry may help."""

import re

import pytest

from park_wire import errors
from park_wire.errors import ConfigError, Fault, ParkError

RETRYABLE = {
    *("DeviceError", "Unreachable", "Refused", "Nonsense"),
    *("StoreUnavailable", "StoreTooSlow", "StoreFull", "ServiceError"),
}
CLASSES = {
    each.__name__: each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ParkError)
}


def drawn() -> dict[str, str]:
    """Class -> parent, as drawn in the module's docstring."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"(?P<lead>[ │├└─]+)(?P<name>[A-Z]\w+)(\s|$)", line)
        if found is None:
            continue
        depth = len(found["lead"])
        above = [(lead, name) for lead, name in above if lead < depth]
        if above:
            parents[found["name"]] = above[-1][1]
        above.append((depth, found["name"]))
    return parents


def test_the_drawing_is_the_code() -> None:
    parents = drawn()
    assert {*parents, "ParkError"} == set(CLASSES)
    for name, parent in parents.items():
        assert CLASSES[name].__bases__ == (CLASSES[parent],), name


@pytest.mark.parametrize("name", CLASSES)
def test_retryable_is_what_the_drawing_says(name: str) -> None:
    assert CLASSES[name].retryable == (name in RETRYABLE)
    assert CLASSES[name].__doc__


def test_a_configuration_error_carries_every_fault() -> None:
    faults = [
        Fault("site.toml", "device[1].unit", "unit 300", "Modbus units are 1 to 247"),
        Fault("site.toml", "device[0].host", "is missing", "name the host"),
    ]
    error = ConfigError(iter(faults))
    assert error.faults == tuple(faults)
    assert str(error).splitlines() == [str(fault) for fault in faults]
    assert str(faults[0]) == "site.toml: device[1].unit: unit 300; Modbus units are 1 to 247"
    assert sorted(faults) == [faults[1], faults[0]], "faults sort by file, then key"
