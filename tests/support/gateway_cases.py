"""The gateway's good and bad files, and what is expected of the bad ones."""

from pathlib import Path
from typing import Final

from park_wire.errors import ConfigError

CASES: Final = Path(__file__).parents[1] / "cases" / "gateway"


def assert_faults(error: ConfigError, expected: list[str]) -> None:
    """Each expected line begins exactly one fault, and no fault is left over."""
    said = [f"{fault.key}: {fault.problem}; {fault.remedy}" for fault in error.faults]
    for line in expected:
        found = [one for one in said if one.startswith(line)]
        assert len(found) == 1, f"{line!r} in\n" + "\n".join(said)
    assert len(said) == len(expected), "\n".join(said)
    assert all(fault.problem and fault.remedy for fault in error.faults)
