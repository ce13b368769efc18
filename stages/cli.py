"""The console script ``nntrack``: stages that people call by hand, as its sub-commands."""

import sys
from importlib import import_module

import typer

from stages._run import HELP, VERBOSE, start

COMMANDS = ("show", "evaluate", "compare")  # modules of this folder


def main() -> None:
    """Run the sub-command that the command line names."""
    what = "Head tracking nets from raw archives: what people do by hand."
    app = typer.Typer(help=what, epilog=HELP, add_completion=False)
    # without it typer takes a single command for the whole program
    app.callback()(lambda: None)
    # only what is asked for is loaded: torch alone takes seconds
    asked = [word for word in sys.argv[1:] if word != VERBOSE][:1]
    for name in [name for name in asked if name in COMMANDS] or COMMANDS:
        app.command(name, epilog=HELP)(import_module(f"stages.{name}").main)
    start(app)
