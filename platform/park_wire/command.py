"""The `park` command: finds the part that was asked for by entry point and imports only that one."""

import os
import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Final

GROUP: Final = "parkhub.commands"
# Which extra of the distribution brings a command's libraries.
_EXTRAS: Final = {"park_gateway": "gateway", "park_sim": "sim", "park_platform": "platform"}


def main(arguments: list[str] | None = None) -> int:
    """Run `park COMMAND …`; returns the exit code."""
    args = sys.argv[1:] if arguments is None else arguments
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
    return _run(entry, args[1:])


def _run(entry: EntryPoint, args: list[str]) -> int:
    try:
        command = entry.load()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(entry.module.split(".")[0])
        # A missing module of our own, or of a stranger's command, is no missing extra.
        if extra is None or error.name is None or error.name.split(".")[0] in _EXTRAS:
            raise
        return _say(f"park {entry.name} needs {error.name}: pip install 'parkhub[{extra}]'")
    result = command(args=args, prog_name=f"park {entry.name}")
    return result if isinstance(result, int) else 0


def _say(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
