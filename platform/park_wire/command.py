"""The `park` command: finds the part that was asked for by entry point and imports only that one."""

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "parkhub.commands"
# Which extra of the distribution brings a command's libraries.
_EXTRAS: Final = {"park_gateway": "gateway", "park_sim": "sim", "park_platform": "platform"}
_INTERRUPTED: Final = 130


def main(arguments: list[str] | None = None) -> int:
    """Run `park COMMAND …`; returns the exit code, 130 after Ctrl-C."""
    args = sys.argv[1:] if arguments is None else arguments
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        # Imports take a second, and a traceback out of the middle of them helps nobody.
        signal.signal(signal.SIGINT, _leave)
    try:
        found = _find(args)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if isinstance(found, int):
        return found
    try:
        result = found(args=args[1:], prog_name=f"park {args[0]}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    return result if isinstance(result, int) else 0


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    # Nothing has begun that would have to be ended.
    os._exit(_INTERRUPTED)


def _find(args: list[str]) -> Any:
    """The command that was asked for, or the exit code when the answer was already given."""
    from importlib.metadata import entry_points, version  # noqa: PLC0415  # it takes long enough for a Ctrl-C

    commands = {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}
    if sys.platform != "linux" or os.uname().machine not in {"x86_64", "aarch64"}:
        return _say(f"park runs on Linux on x86-64 and aarch64, not on {sys.platform} {os.uname().machine}.")
    if not args or args[0] in {"-h", "--help", "help"}:
        print(f"park {version('parkhub')}: usage: park COMMAND …\n\n  " + "\n  ".join(commands))
        return 0
    if args[0] == "--version":
        print(version("parkhub"))
        return 0
    entry = commands.get(args[0])
    if entry is None:
        return _say(f"park has no command {args[0]!r}. It has: {', '.join(commands)}.")
    return _load(entry)


def _load(entry: "EntryPoint") -> Any:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(entry.module.split(".")[0])
        # A missing module of our own, or of a stranger's command, is no missing extra.
        if extra is None or error.name is None or error.name.split(".")[0] in _EXTRAS:
            raise
        return _say(f"park {entry.name} needs {error.name}: pip install 'parkhub[{extra}]'")


def _say(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
