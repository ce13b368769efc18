"""How every stage is started: typer reads the command line, and what a user can mend ends as one line."""

import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer
from threadpoolctl import threadpool_limits

VERBOSE = "--verbose"
HELP = f"{VERBOSE} shows of an error also where in the code it arose."


def run(main: Callable[..., Any]) -> None:
    """Run a stage's ``main`` on the command line; see `start`."""
    app = typer.Typer(add_completion=False)
    app.command(epilog=HELP)(main)
    start(app)


def start(app: typer.Typer) -> None:
    """Run what the command line asks for, and exit: with 0, or with another code after a line on stderr says why.

    1: ValueError or OSError, what a user can mend. 2: the command line is wrong. 130: interrupted, which needs no line.
    Any other exception is a defect of ours and shows its traceback; of errors `VERBOSE` does, too.
    """
    threadpool_limits(1, "blas")  # NumPy's products of matrices end in other bits on as many threads as there are cores
    app.pretty_exceptions_enable = False
    try:
        code = app([word for word in sys.argv[1:] if word != VERBOSE], standalone_mode=False)
    except typer.TyperException as error:
        _say(f"{error.format_message()} (--help tells more)")
        code = error.exit_code
    except (ValueError, OSError) as error:
        _say(str(error))
        code = 1
    sys.exit(code)


def _say(what: str) -> None:
    """Print one line, after the traceback if that was asked for."""
    if VERBOSE in sys.argv:
        traceback.print_exc()
    print(f"error: {' '.join(what.splitlines())}", file=sys.stderr)
