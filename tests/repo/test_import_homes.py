"""Imports that are allowed in one place only. import-linter takes lists of who may not; a new module is on no list."""

import ast
from fnmatch import fnmatch

import pytest

from support.source_scan import Finding, python_files, relative, report

# What may be imported within `folder` only from these places (patterns of paths).
HOMES: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {
    ("platform", ("psycopg", "psycopg_pool", "sqlalchemy", "alembic")): ("platform/park_platform/storage/*",),
    ("gateway", ("pymodbus",)): ("gateway/park_gateway/modbus.py",),
    ("gateway", ("asyncua",)): ("gateway/park_gateway/opcua*.py", "gateway/park_gateway/subscriber.py"),
    ("gateway", ("paho",)): ("gateway/park_gateway/mqtt.py",),
    ("platform", ("paho",)): (
        "platform/park_platform/sensing/link.py",
        "platform/park_platform/api/feed.py",
    ),
}
# The simulated field speaks the gateway's device models and knows nothing else of it.
DEVICE_MODELS = {"park_gateway.device", "park_gateway.point", "park_gateway.model_file"}


def imports(source: str) -> list[Finding]:
    """The modules that are imported, wherever in the file."""
    found: list[Finding] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [Finding(node.lineno, name.name) for name in names]
            case ast.ImportFrom(module=str() as module):
                found.append(Finding(node.lineno, module))
            case _:
                pass
    return found


def of_packages(source: str, packages: tuple[str, ...]) -> list[Finding]:
    return [found for found in imports(source) if found.what.split(".")[0] in packages]


@pytest.mark.parametrize("rule", HOMES, ids=lambda rule: f"{rule[0]}-{rule[1][0]}")
def test_a_library_is_imported_at_its_home_only(rule: tuple[str, tuple[str, ...]]) -> None:
    folder, packages = rule
    strangers: list[str] = []
    used = False
    for path in python_files(folder):
        found = of_packages(path.read_text("utf-8"), packages)
        used |= bool(found)
        if found and not any(fnmatch(relative(path), home) for home in HOMES[rule]):
            strangers += report(path, found)
    assert used, f"nobody below {folder} imports {packages} any more: take the rule off"
    assert not strangers, f"{packages} only in {HOMES[rule]}:\n" + "\n".join(strangers)


def test_the_simulated_field_knows_device_models_only() -> None:
    strangers: list[str] = []
    for path in python_files("edge_firmware_sim"):
        found = of_packages(path.read_text("utf-8"), ("park_gateway",))
        strangers += report(path, [each for each in found if each.what not in DEVICE_MODELS])
    assert not strangers, "\n".join(strangers)


@pytest.mark.parametrize("planted", ["import psycopg", "from psycopg.rows import x", "if x:\n    import psycopg_pool"])
def test_a_planted_import_is_found(planted: str) -> None:
    assert of_packages(planted, ("psycopg", "psycopg_pool"))
