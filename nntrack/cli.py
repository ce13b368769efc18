"""The command ``nntrack``: what people do by hand, as sub-commands."""

from typing import Annotated

import typer

from nntrack import __version__
from nntrack.command_line import HELP, start
from nntrack.commands import compare, evaluate, show, update_readme

COMMANDS = {"show": show, "evaluate": evaluate, "compare": compare, "update-readme": update_readme}


def main() -> None:
    """Run the sub-command that the command line names."""
    app = typer.Typer(help="Head tracking nets from raw archives: what people do by hand.", no_args_is_help=True)
    app.callback(epilog=HELP)(_options)
    for name, module in COMMANDS.items():
        app.command(name, epilog=HELP)(module.main)
    start(app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"nntrack {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Of the whole program; all else belongs to a sub-command."""


if __name__ == "__main__":
    main()
