"""How every stage and command starts: typer parses the command line, and an error the user can fix is one line."""

import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import typer

VERBOSE = "--verbose"
EPILOG = f"With {VERBOSE} an error also shows its traceback."


def run(main: Callable[..., Any]) -> None:
    """Run a stage's ``main`` on the command line; see `start`.

    A stage imports what it needs inside ``main``: those imports take seconds, which ``--help`` should not.
    """
    app = typer.Typer(add_completion=False)
    app.command(epilog=EPILOG)(main)
    start(app)


def start(app: typer.Typer) -> None:
    """Run what the command line asks for, and exit: with 0, or with another code after one line on stderr.

    1: ValueError or OSError, which the user can fix. 2: the command line is wrong. 130: interrupted, without a line.
    Any other exception is a defect of the program and shows its traceback; with `VERBOSE` all errors do.
    """
    sys.excepthook = _print_error
    # before NumPy is imported: the last bits of its matrix products depend on the number of threads
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from nntrack.processes import end_with_launcher

    if "DVC_STAGE" in os.environ:
        # or, if DVC is killed, the stage would go on and write over what the next run makes
        end_with_launcher("DVC_STAGE")
    app.pretty_exceptions_enable = False
    try:
        code = app([word for word in sys.argv[1:] if word != VERBOSE], standalone_mode=False)
    except typer.TyperException as error:
        _print_line(f"{error.format_message()} (--help tells more)")
        code = error.exit_code
    except (ValueError, OSError) as error:
        _print_line(str(error))
        code = 1
    sys.exit(code)


def _print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an exception that nothing caught, unless it is an interruption."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _print_line(message: str) -> None:
    """Print one line of error on stderr, after the traceback if that was asked for."""
    if VERBOSE in sys.argv:
        traceback.print_exc()
    print(f"error: {' '.join(message.splitlines())}", file=sys.stderr)
