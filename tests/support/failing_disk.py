"""Disks that fail for real: one that is small enough to fill, and one on which nothing reaches the platter."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from support.needs import skip_or_fail


@contextmanager
def small_disk(disk: Path, mebibytes: int) -> Generator[Path]:
    """A disk of so many MiB at the new folder `disk`. Need `mount`."""
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        skip_or_fail("mount", "needs the right to mount a small disk; run the tests as root, too")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@contextmanager
def failing_syncs(pid: int, when: str = "1+") -> Generator[None]:
    """While it lasts, the calls `when` (as strace counts them) of fsync in that process fail. Need `strace`."""
    if shutil.which("strace") is None:
        skip_or_fail("strace", "needs strace (Debian package strace)")
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-o", os.devnull, "-e", "trace=fsync,fdatasync"),
            *("-e", f"inject=fsync,fdatasync:error=EIO:when={when}", "-p", str(pid)),
        ],
        stderr=subprocess.PIPE,
    )
    try:
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        if b"attached" not in first:
            skip_or_fail("strace", f"needs the right to trace a process: {first.decode(errors='replace').strip()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=30)
