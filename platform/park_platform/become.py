"""What a child process does between fork and exec, as a script: `become.py PARENT SIGNAL UID GID PROGRAM …`.

It asks the kernel for SIGNAL when the parent ends, gives up root for UID and GID (-1 keeps the user) and becomes the
program; the process id stays. A script and not a `preexec_fn`, because Python code between fork and exec may deadlock
in a parent that has threads. Run with `python -I -S`; standard library only.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, death_signal: int, uid: int, gid: int, argv: list[str]) -> None:
    """Turn this process into `argv`. Returns only by SystemExit with a sentence, or when the parent is gone."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user: the kernel forgets the wish on a change of credentials.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    # The parent may have ended before the wish was known; then no signal will ever come.
    if os.getppid() != parent:
        sys.exit("the process that wanted this program is gone")
    # A shell's `command &` ignores SIGINT, and that would be inherited.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{argv[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
