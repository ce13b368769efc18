"""The stages of the pipeline: one module per stage of dvc.yaml, run as ``python -m stages.<name>``."""

import sys
from types import TracebackType


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An interruption needs no line, not even while modules are imported."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _told
