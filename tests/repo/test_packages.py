"""The tree's packages: markers where they belong and nowhere else, one address a name, and imports as drawn."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.source_scan import PACKAGES, ROOT, SOURCE_ROOTS, Finding, python_files, relative, report

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# Alembic loads revisions by file; they are never imported.
NO_MARKER = {"platform/park_platform/storage/migrations/versions"}
HEAVY = {
    "park_wire": "numpy pydantic typer structlog paho psycopg sqlalchemy fastapi park_sdk park_platform park_gateway",
    "park_gateway": "numpy fastapi starlette uvicorn sqlalchemy alembic psycopg park_sdk park_platform park_sim",
    "park_sdk": "sqlalchemy psycopg httpx structlog paho fastapi typer park_platform park_systems",
}
"""Package -> what must not be loaded once all its modules are."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run in the repository's root, with the source folders on the path whether they are installed or not."""
    path = os.pathsep.join(str(ROOT / folder) for folder in SOURCE_ROOTS)
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )


def find_exports(source: str) -> list[Finding]:
    """Statements of an `__init__.py` other than its docstring."""
    return [
        Finding(node.lineno, ast.unparse(node).splitlines()[0])
        for node in ast.parse(source).body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def test_folders_that_hold_packages_are_none_themselves() -> None:
    """`platform/__init__.py` would shadow the standard library's `platform`."""
    for folder in SOURCE_ROOTS:
        assert not (ROOT / folder / "__init__.py").exists(), folder
        stray = [path.name for path in (ROOT / folder).glob("*.py")]
        assert not stray, f"{folder}/ holds packages only"


def test_tests_are_no_packages() -> None:
    assert [relative(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


def test_platform_is_the_standard_librarys() -> None:
    done = run(sys.executable, "-c", "import platform; print(platform.__file__); print(platform.system())")
    assert done.returncode == 0, done.stderr
    where = Path(done.stdout.splitlines()[0])
    assert where.name == "platform.py"
    assert not where.is_relative_to(ROOT / "platform")


@pytest.mark.parametrize("package", PACKAGES)
def test_package_has_one_address_and_is_in_the_wheel(package: str) -> None:
    assert [folder for folder in SOURCE_ROOTS if (ROOT / folder / package).exists()] == [PACKAGES[package]]
    assert f"{PACKAGES[package]}/{package}" in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert (ROOT / PACKAGES[package] / package / "py.typed").exists(), "its types are for others too"


def test_no_package_is_unknown() -> None:
    found = {
        path.name for folder in SOURCE_ROOTS for path in (ROOT / folder).iterdir() if (path / "__init__.py").exists()
    }
    assert found == set(PACKAGES)
    assert sorted(PYPROJECT["tool"]["importlinter"]["root_packages"]) == sorted(PACKAGES)


def test_every_folder_of_a_package_has_its_marker() -> None:
    folders = {path.parent for path in python_files(*SOURCE_ROOTS)}
    bare = {relative(folder) for folder in folders if not (folder / "__init__.py").exists()}
    assert bare - NO_MARKER == set()


def test_markers_export_nothing_and_say_what_the_package_is() -> None:
    found: list[str] = []
    for path in python_files(*SOURCE_ROOTS):
        if path.name == "__init__.py":
            source = path.read_text("utf-8")
            found += report(path, find_exports(source))
            if len(ast.get_docstring(ast.parse(source)) or "") < 20:
                found.append(f"{relative(path)}:1: its docstring says nothing")
    assert not found, "an import name has one address, so __init__.py holds a docstring only:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "planted", ["from park_wire.batch import seal", "import os", "__all__ = []", '"""Doc."""\nX = 1', "def f(): ..."]
)
def test_scanner_finds_exports(planted: str) -> None:
    assert find_exports(planted)


def test_scanner_leaves_a_docstring_alone() -> None:
    assert not find_exports('"""A package.\n\nfrom x import y\n"""\n')
    assert not find_exports("")


def test_import_contracts_are_kept() -> None:
    done = run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    assert f"Contracts: {len(contracts)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize("package", HEAVY)
def test_package_loads_nothing_that_it_must_not(package: str) -> None:
    """What import-linter can't see: what the libraries bring along."""
    program = (
        "import importlib, pkgutil, sys\n"
        f"top = importlib.import_module({package!r})\n"
        "for module in pkgutil.walk_packages(top.__path__, top.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        f"print(sorted(set({HEAVY[package].split()!r}) & set(sys.modules)))"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
