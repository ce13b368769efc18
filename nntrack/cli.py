"""The command ``nntrack``: what people run by hand, as sub-commands."""

import os
import sys
from typing import Annotated

import typer

from nntrack import __version__
from nntrack.command_line import EPILOG, start
from nntrack.commands import (
    card,
    check,
    compare,
    demo,
    evaluate,
    experiments,
    renew_pretrained,
    show,
    track,
    update_readme,
)

COMMANDS = {
    "track": track,
    "demo": demo,
    "show": show,
    "evaluate": evaluate,
    "compare": compare,
    "card": card,
    "check": check,
    "experiments": experiments,
    "update-readme": update_readme,
    "renew-pretrained": renew_pretrained,
}


def main() -> None:
    """Run the sub-command that the command line names; without one, list them."""
    app = typer.Typer(help="Track heads, look at datasets, measure, check and compare networks. Training: `dvc repro`.")
    app.callback(epilog=EPILOG)(_options)
    for name, module in COMMANDS.items():
        app.command(name, epilog=EPILOG)(module.main)
    if len(sys.argv) == 1 and "_NNTRACK_COMPLETE" not in os.environ:
        sys.argv.append("--help")
    start(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"nntrack {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Options of the program itself; all others belong to a sub-command."""


if __name__ == "__main__":
    main()
