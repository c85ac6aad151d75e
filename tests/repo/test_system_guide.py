"""`docs/write-a-system.md`, in both languages, shows the seventh system as it is: its blocks are the files' text."""

import re
import tomllib
from pathlib import Path

import pytest

from park_sdk.system import CONTRACT
from support.seventh import SEVENTH
from support.source_scan import ROOT, relative

GUIDES = [ROOT / "docs" / "write-a-system.md", ROOT / "docs" / "write-a-system.zh-CN.md"]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    """The blocks of a document in this language."""
    return [code for named, code in _BLOCK.findall(text) if named == language]


def find_difference(shown: list[str], source: str) -> str | None:
    """What of a file the blocks don't show, or show otherwise; each block is some whole lines, one after the other."""
    rest = source
    for block in shown:
        rest = rest.lstrip("\n")
        if not rest.startswith(block):
            return f"the file goes on with {rest[:80]!r}, the page with {block[:80]!r}"
        rest = rest[len(block) :]
    return f"the page ends before {rest.strip()[:80]!r}" if rest.strip() else None


@pytest.mark.parametrize("guide", GUIDES, ids=relative)
def test_its_code_is_the_seventh_system(guide: Path) -> None:
    text = guide.read_text("utf-8")
    project, settings = blocks(text, "toml")
    assert find_difference([project], (SEVENTH / "pyproject.toml").read_text("utf-8")) is None
    assert find_difference(blocks(text, "python"), (SEVENTH / "park_seventh.py").read_text("utf-8")) is None
    assert tomllib.loads(settings) == {"system": {"cooling": {"least_margin": 25.0}}}
    assert f"    contract={CONTRACT},\n" in text


def test_both_languages_show_the_same() -> None:
    english, chinese = (guide.read_text("utf-8") for guide in GUIDES)
    for language in ("python", "toml", "sh"):
        assert blocks(english, language) == blocks(chinese, language)
    headings = [re.findall(r"^(#+) (\d*)", text, re.MULTILINE) for text in (english, chinese)]
    assert headings[0] == headings[1]
    minutes = [
        [int(found) for found in re.findall(r"^## .*?(\d+) ?(?:minute|分)", text, re.M)] for text in (english, chinese)
    ]
    assert minutes[0] == minutes[1]
    assert sum(minutes[0]) == 30


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (["a = 1\n", "b = 2\n"], None),
        (["a = 1\n"], "ends before"),
        (["a = 1\n", "b = 3\n"], "goes on with"),
        (["b = 2\n", "a = 1\n"], "goes on with"),
    ],
)
def test_the_comparison_sees_what_is_wrong(shown: list[str], why: str | None) -> None:
    found = find_difference(shown, "a = 1\n\n\nb = 2\n")
    assert found is None if why is None else found is not None and why in found
