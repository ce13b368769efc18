"""Check ONNX files against all that Opentrack asks of them."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    files: Annotated[list[Path], typer.Argument(help="ONNX files, ours or not", show_default=False)],
    loop: Annotated[
        bool, typer.Option(help="also watch the tracker's window while there is no face; takes longest")
    ] = True,
) -> None:
    """Print what is right and wrong with each of FILES, point by point. The exit code is 1 if anything is wrong.

    Example: nntrack check models/onnx/head-localizer.onnx models/onnx/head-pose.onnx
    """
    from nntrack.deploy import check
    from nntrack.reporting.render import markdown

    wrong = 0
    for path in files:
        found = check.check_file(path, loop)
        failed = [finding for finding in found if finding.fault]
        wrong += len(failed)
        table = [
            {
                "point": finding.point,
                "result": "FAIL" if finding.fault else "pass",
                "detail": "; ".join(text for text in (finding.fault, finding.figures) if text),
            }
            for finding in found
        ]
        print(f"{path}: {len(failed)} of {len(found)} points fail\n\n{markdown(table, ('result', 'detail'))}\n")
    if wrong:
        raise typer.Exit(1)
