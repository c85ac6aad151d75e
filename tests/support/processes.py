"""Processes as tests see them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

WAIT_S = 10.0
# What a script of a test's may import: this checkout, without the project being installed for its user.
IMPORTS = [str(Path(__file__).parents[2] / "platform"), *(path for path in sys.path if path.endswith("-packages"))]


def wait_until(condition: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    """Wait until `condition` holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used, s."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """The processes that `pid` has started and that still live."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if is_alive(child)]


def run_script(
    code: str, *arguments: object, python: str = sys.executable, user: int | None = None
) -> subprocess.Popen[str]:
    """Start Python code that may import park_platform; its stdout is a pipe."""
    return subprocess.Popen(
        [python, "-u", "-c", f"import sys; sys.path[:0] = {IMPORTS!r}\n{code}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
    )


def read_words(process: subprocess.Popen[str]) -> list[str]:
    """The words of the next line that a script prints beginning with `>`; its log lines are passed over."""
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("> "):
            return line.split()[1:]
    raise AssertionError("the script ended:\n" + "".join(seen))


def end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Kill scripts that still run and close their pipes."""
    for process in processes:
        process.kill()
        process.communicate()
