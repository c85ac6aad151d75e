"""The edge is light: no module of the gateway brings a database stack, numpy, or OPC UA where nobody asked for it."""

import pkgutil
import subprocess
import sys

import pytest

import park_gateway

HEAVY = {"numpy", "fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg"}
OPCUA = {f"park_gateway.{name}" for name in ("opcua", "opcua_security", "certificate", "subscriber")}
MODULES = sorted(module.name for module in pkgutil.iter_modules(park_gateway.__path__, "park_gateway."))


def _loaded(*modules: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after importing these."""
    lines = [f"import {module}" for module in modules]
    script = "\n".join([*lines, "import sys", "print(*sorted({name.split('.')[0] for name in sys.modules}))"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_all_modules_together_bring_nothing_heavy() -> None:
    loaded = _loaded(*MODULES)
    assert "park_gateway" in loaded
    assert loaded & HEAVY == set()


def test_opc_ua_comes_only_with_the_modules_that_speak_it() -> None:
    assert set(MODULES) >= OPCUA
    loaded = _loaded(*(module for module in MODULES if module not in OPCUA))
    assert "asyncua" not in loaded
    assert "cryptography" not in loaded
    assert "asyncua" in _loaded("park_gateway.opcua")


@pytest.mark.parametrize("module", ["park_gateway.device", "park_gateway.config", "park_gateway.plan"])
def test_checking_a_site_needs_no_protocol_library(module: str) -> None:
    assert _loaded(module) & {"pymodbus", "asyncua", "paho", *HEAVY} == set()
