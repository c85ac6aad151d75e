"""hatch_build.py: what makes it build again, what it says when it can't, and a lock that names no registry."""

import importlib.util
import re
import shutil
import stat
import sys
import types
from pathlib import Path

import pytest

from support.source_scan import ROOT


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module, with as much of hatchling as it takes to import it."""
    plugin = types.ModuleType("hatchling.builders.hooks.plugin.interface")
    plugin.BuildHookInterface = type("BuildHookInterface", (), {})  # pyright: ignore[reportAttributeAccessIssue]
    for name in ("hatchling", "hatchling.builders", "hatchling.builders.hooks", "hatchling.builders.hooks.plugin"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "hatchling.builders.hooks.plugin.interface", plugin)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, hook: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small console whose npm writes down how it was called, and can be told to fail."""
    console = tmp_path / "platform/console"
    (console / "src").mkdir(parents=True)
    (console / "src/main.ts").write_text("main")
    (tmp_path / "platform/park_platform/web").mkdir(parents=True)
    npm = tmp_path / "bin/npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\necho said by npm >&2\nexit $(cat {tmp_path}/code)\n')
    npm.chmod(npm.stat().st_mode | stat.S_IEXEC)
    (tmp_path / "code").write_text("0")
    monkeypatch.setattr(hook, "_npm", lambda: [str(npm)])
    return tmp_path


def calls(checkout: Path) -> int:
    kept = checkout / "calls"
    return len(kept.read_text().splitlines()) if kept.exists() else 0


def test_it_builds_once_and_again_when_a_source_changes(hook: types.ModuleType, checkout: Path) -> None:
    assert hook.build_console(checkout) is True
    assert (checkout / "calls").read_text().splitlines() == [
        "ci --ignore-scripts --no-audit --no-fund",
        "run build",
    ]
    assert hook.build_console(checkout) is False
    for name in ("node_modules/vue.js", "tests/a.test.ts", "src/api/schema.d.ts"):
        made = checkout / "platform/console" / name
        made.parent.mkdir(exist_ok=True)
        made.write_text("x")
        assert hook.build_console(checkout) is False, name
    for change in ("src/main.ts", "src/new.ts", "package-lock.json"):
        (checkout / "platform/console" / change).write_text(f"changed {change}")
        assert hook.build_console(checkout) is True, change
    shutil.rmtree(checkout / "platform/park_platform/web")
    (checkout / "platform/park_platform/web").mkdir()
    assert hook.build_console(checkout) is True


def test_a_failed_npm_names_the_registry_s_setting_and_leaves_no_stamp(hook: types.ModuleType, checkout: Path) -> None:
    (checkout / "code").write_text("1")
    with pytest.raises(RuntimeError, match=r"said by npm[\s\S]*npm config set registry[\s\S]*NPM_CONFIG_REGISTRY"):
        hook.build_console(checkout)
    assert not (checkout / "platform/park_platform/web/stamp").exists()
    (checkout / "code").write_text("0")
    assert hook.build_console(checkout) is True


def test_the_lock_names_hashes_and_no_registry() -> None:
    lock = (ROOT / "platform/console/package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 50
    assert not re.search(r"https?://(?!(www\.)?(github\.com|opencollective\.com|tidelift\.com))[^\"]*registry", lock)
