"""How every stage and command is started: typer reads the command line, and what a user can mend ends as one line."""

import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import typer

VERBOSE = "--verbose"
HELP = f"{VERBOSE} shows of an error also where in the code it arose."


def run(main: Callable[..., Any]) -> None:
    """Run a stage's ``main`` on the command line; see `start`.

    A stage imports what it needs inside ``main``: those imports take seconds, in which ``--help`` would not answer.
    """
    app = typer.Typer(add_completion=False)
    app.command(epilog=HELP)(main)
    start(app)


def start(app: typer.Typer) -> None:
    """Run what the command line asks for, and exit: with 0, or with another code after a line on stderr says why.

    1: ValueError or OSError, what a user can mend. 2: the command line is wrong. 130: interrupted, which needs no line.
    Any other exception is a defect of ours and shows its traceback; of errors `VERBOSE` does, too.
    """
    sys.excepthook = _print_error
    # before NumPy is loaded: its products of matrices end in other bits on as many threads as there are cores
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from nntrack.processes import end_with_launcher

    if "DVC_STAGE" in os.environ:
        end_with_launcher()  # or a stage would go on when DVC was killed, into what its next run makes
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


def _print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An interruption needs no line."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _say(what: str) -> None:
    """Print one line, after the traceback if that was asked for."""
    if VERBOSE in sys.argv:
        traceback.print_exc()
    print(f"error: {' '.join(what.splitlines())}", file=sys.stderr)
