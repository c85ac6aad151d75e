"""What the repository tests look through: the tree's files, and Python source as a syntax tree.

Scanners take source text and give findings, so that each is itself tested on a planted violation.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCE_ROOTS: Final = ("gateway", "platform", "systems", "edge_firmware_sim")
"""The folders that packages lie in; none of them is a package itself."""
PACKAGES: Final = {
    "park_gateway": "gateway",
    "park_wire": "platform",
    "park_sdk": "platform",
    "park_platform": "platform",
    "park_systems": "systems",
    "park_sim": "edge_firmware_sim",
}
"""Package -> the folder it lies in."""
_NOT_OURS: Final = {".git", ".venv", ".park", "node_modules", "build", "dist", "__pycache__", "web"}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that a scanner found: the line it stands on, and what it is."""

    line: int
    what: str


def relative(path: Path) -> str:
    """The path as it is written in lists: from the repository's root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def python_files(*folders: str) -> list[Path]:
    """All Python files below these folders of the repository."""
    return [path for folder in folders for path in _walk(ROOT / folder) if path.suffix == ".py"]


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in _NOT_OURS and not path.name.startswith("."):
                yield from _walk(path)
        else:
            yield path


def kept_files() -> list[Path]:
    """The files that git keeps or would keep; in a tree without git, all that are not built."""
    if not (ROOT / ".git").exists():
        return list(_walk(ROOT))
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings, or strings that stand as a statement of their own."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def strings(source: str) -> list[Finding]:
    """The texts of a module without its docstrings; f-strings and sums are joined, a hole reads as `?`."""
    tree = ast.parse(source)
    skipped = docstrings(tree)
    found: list[Finding] = []
    inside: set[int] = set()
    for node in ast.walk(tree):  # outer nodes come before what they hold
        if id(node) in inside or id(node) in skipped:
            continue
        text = _text(node)
        if text is not None:
            inside.update(id(inner) for inner in ast.walk(node))
            found.append(Finding(getattr(node, "lineno", 0), text))
    return sorted(found)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) or "?" for part in parts)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            texts = (_text(left), _text(right))
            return None if texts == (None, None) else "".join("?" if text is None else text for text in texts)
        case ast.BinOp(op=ast.Mod(), left=left):
            return _text(left)
        case _:
            return None


def report(path: Path, findings: list[Finding]) -> list[str]:
    """Findings as lines that an editor can follow."""
    return [f"{relative(path)}:{finding.line}: {finding.what}" for finding in findings]
