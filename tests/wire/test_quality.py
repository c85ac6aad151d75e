"""Quality codes: severity in the top bits, no two meanings in one bit, a name for every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_wire.quality import (
    BAD_SEVERITY,
    ESTIMATED,
    LATE,
    MARK_BITS,
    MARK_LETTERS,
    MARK_SHIFT,
    SEVERITY_MASK,
    UNCERTAIN_SEVERITY,
    Mark,
    Quality,
    is_bad,
    is_good,
    name,
)


@pytest.mark.parametrize("quality", Quality)
def test_a_code_has_the_severity_that_its_name_says(quality: Quality) -> None:
    assert 0 <= quality <= 0xFF
    assert is_bad(quality) == quality.name.startswith("BAD")
    assert is_good(quality) == quality.name.startswith("GOOD")
    assert (quality & SEVERITY_MASK == UNCERTAIN_SEVERITY) == quality.name.startswith("UNCERTAIN")
    assert name(quality) == quality.name.lower()


def test_codes_on_the_wire_never_change() -> None:
    """Batches lie in outboxes and rows in databases: a code is given once."""
    assert {quality.name: int(quality) for quality in Quality} == {
        "GOOD": 0x00,
        "UNCERTAIN": 0x40,
        "UNCERTAIN_LAST_USABLE": 0x41,
        "UNCERTAIN_SENSOR_NOT_ACCURATE": 0x42,
        "UNCERTAIN_RANGE_EXCEEDED": 0x43,
        "UNCERTAIN_SUB_NORMAL": 0x44,
        "UNCERTAIN_CLOCK": 0x45,
        "BAD": 0x80,
        "BAD_CONFIGURATION": 0x81,
        "BAD_NOT_CONNECTED": 0x82,
        "BAD_DEVICE_FAILURE": 0x83,
        "BAD_SENSOR_FAILURE": 0x84,
        "BAD_NO_ANSWER": 0x85,
        "BAD_OUT_OF_SERVICE": 0x86,
        "BAD_REFUSED": 0x87,
        "BAD_NONSENSE": 0x88,
        "BAD_WAITING": 0x89,
    }


@pytest.mark.parametrize("code", range(256))
def test_every_byte_has_one_severity_and_a_name_of_its_own(code: int) -> None:
    uncertain = code & SEVERITY_MASK == UNCERTAIN_SEVERITY
    assert is_bad(code) + is_good(code) + uncertain == 1
    assert is_bad(code) == (code >= BAD_SEVERITY), "severity 11 is reserved and counts as bad"
    severity = "bad" if is_bad(code) else "good" if is_good(code) else "uncertain"
    assert name(code).startswith(severity)


def test_names_tell_codes_apart_within_the_severities_in_use() -> None:
    assert len({name(code) for code in range(0xC0)}) == 0xC0


@given(st.integers(0, 255), st.sampled_from(Mark), st.booleans(), st.booleans())
def test_database_bits_disturb_neither_severity_nor_name(code: int, mark: Mark, late: bool, estimated: bool) -> None:
    stored = code | mark << MARK_SHIFT | LATE * late | ESTIMATED * estimated
    assert 0 <= stored < 2**15, "it is an int2 in the database"
    assert (is_bad(stored), is_good(stored), name(stored)) == (is_bad(code), is_good(code), name(code))
    assert (stored & MARK_BITS) >> MARK_SHIFT == mark
    assert bool(stored & LATE) == late
    assert bool(stored & ESTIMATED) == estimated


def test_marks_are_those_of_hj212() -> None:
    assert "".join(MARK_LETTERS) == "NFMSDCTB"
    assert sorted([*MARK_LETTERS.values(), Mark.NONE]) == list(Mark)
    assert max(Mark) << MARK_SHIFT <= MARK_BITS
    assert (MARK_LETTERS["N"], MARK_LETTERS["T"], MARK_LETTERS["B"]) == (
        Mark.NORMAL,
        Mark.OVER_RANGE,
        Mark.COMMUNICATION_FAULT,
    )
