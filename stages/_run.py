"""How every stage is started: typer reads the command line, and what a user can mend ends as one line."""

import sys
from collections.abc import Callable
from typing import Any

import typer


def run(main: Callable[..., Any]) -> None:
    """Run a stage's ``main`` on the command line; ValueError and OSError print one line and exit with 1."""
    start(lambda: typer.run(main))


def start(command: Callable[[], Any]) -> None:
    """Call a command; ValueError and OSError print one line and exit with 1."""
    try:
        command()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
