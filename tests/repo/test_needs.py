"""PARK_REQUIRE turns skips for lack of something into failures, and a need that does not exist is refused."""

import re
from typing import get_args

import pytest

from support.needs import Need, pytest_configure, skip_or_fail
from support.source_scan import ROOT

NEEDS: tuple[Need, ...] = get_args(Need)


@pytest.mark.parametrize("need", NEEDS)
@pytest.mark.parametrize("required", ["", ",", *NEEDS, "timescale,strace", ",".join(NEEDS)])
def test_what_is_required_fails_and_another_need_skips(
    monkeypatch: pytest.MonkeyPatch, need: Need, required: str
) -> None:
    monkeypatch.setenv("PARK_REQUIRE", required)
    outcome = pytest.fail.Exception if need in required.split(",") else pytest.skip.Exception
    with pytest.raises(outcome, match="needs the thing"):
        skip_or_fail(need, "needs the thing")


def test_nothing_is_required_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARK_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception):
        skip_or_fail("strace", "needs strace")


@pytest.mark.parametrize("required", ["timescaledb", "timescale,mosquitto", "timescale, strace"])
def test_an_unknown_need_ends_the_run(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv("PARK_REQUIRE", required)
    with pytest.raises(pytest.UsageError, match="known are timescale, strace, mount"):
        pytest_configure()


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readmes_name_every_need_and_what_ci_requires(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not [need for need in NEEDS if f"`{need}`" not in text]
    required = re.search(r"PARK_REQUIRE=\S+", (ROOT / ".ci" / "run").read_text("utf-8"))
    assert required is not None
    assert f"`{required[0]}`" in text
