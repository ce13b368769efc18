"""The stages of the pipeline: one module per stage of dvc.yaml, run as ``python -m stages.<name>``.

What is here holds from the first moment, before a stage has imported what it needs, which takes seconds.
"""

import os
import sys
from types import TracebackType

from nntrack.processes import end_with_launcher


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An interruption needs no line."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _told
if "DVC_STAGE" in os.environ:
    end_with_launcher()  # or a stage would go on when DVC was killed, into what its next run makes
