"""A package imports only libraries that its extra of the distribution asks for by name."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest

from support.source_scan import PACKAGES, ROOT, python_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# park_sdk and park_systems are installed with the platform; park_wire stands alone.
EXTRA = {
    "park_wire": None,
    "park_gateway": "gateway",
    "park_sim": "sim",
    "park_sdk": "platform",
    "park_systems": "platform",
    "park_platform": "platform",
}
# Library -> the one whose documented interface it is: who takes that one has this one.
BROUGHT_BY = {"pydantic-core": "pydantic", "rich": "typer", "starlette": "fastapi", "psycopg-pool": "psycopg"}


def imported(source: str) -> Iterator[str]:
    """The top names of the modules that are imported, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name.split(".")[0] for name in names)
            case ast.ImportFrom(module=str() as module):
                yield module.split(".")[0]
            case _:
                pass


def asked_for(extra: str | None) -> set[str]:
    """The libraries that are installed with an extra, and with the distribution itself."""
    given: list[str] = [*PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] if extra else [])]
    return {normal(re.split(r"[^\w.-]", each, maxsplit=1)[0]) for each in given}


def normal(library: str) -> str:
    """Its name as an index compares it."""
    return library.lower().replace("_", "-")


@pytest.mark.parametrize("package", PACKAGES)
def test_an_extra_brings_what_its_package_imports(package: str) -> None:
    names = {
        name for path in python_files(f"{PACKAGES[package]}/{package}") for name in imported(path.read_text("utf-8"))
    }
    homes = packages_distributions()
    foreign = names - sys.stdlib_module_names - set(PACKAGES)
    libraries = {normal(homes[name][0]) if name in homes else name for name in foreign}
    known = asked_for(EXTRA[package])
    missing = {library for library in libraries if library not in known and BROUGHT_BY.get(library) not in known}
    assert not missing, f"the extra {EXTRA[package]} does not ask for what {package} imports"


def test_imports_are_found_wherever_they_stand() -> None:
    assert set(imported("import a.b, c\ndef f():\n    from d.e import g\n")) == {"a", "c", "d"}
