"""How a command ends that was refused: a sentence on standard error and an exit code, never a traceback."""

from collections.abc import Generator
from contextlib import contextmanager

import typer

from park_wire.errors import EXIT_CONFIGURATION, ConfigError, ParkError


@contextmanager
def told_in_words() -> Generator[None]:
    """Every ParkError within ends the command: code 2 for a wrong configuration, 1 for the rest; Ctrl-C gives 130."""
    try:
        yield
    except ParkError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION if isinstance(error, ConfigError) else 1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
