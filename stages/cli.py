"""The console script ``nntrack``: stages that people call by hand, as its sub-commands."""

import sys
from importlib import import_module

import typer

from stages._run import start

COMMANDS = ("show", "evaluate", "compare")  # modules of this folder


def main() -> None:
    """Run the sub-command that the command line names."""
    app = typer.Typer(help="Head tracking nets from raw archives: what people do by hand.", add_completion=False)
    # without it typer takes a single command for the whole program
    app.callback()(lambda: None)
    # only what is asked for is loaded: torch alone takes seconds
    for name in [name for name in sys.argv[1:2] if name in COMMANDS] or COMMANDS:
        app.command(name)(import_module(f"stages.{name}").main)
    start(app)
