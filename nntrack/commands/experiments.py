"""Print the experiments of DVC as a table that fits into a terminal."""

from typing import Annotated, Any

import typer

FIGURES = ("average", "geodesic", "nme", "accuracy", "iou")
# what `dvc exp show` has beside parameters and paths of dependencies
OTHERS = {"Experiment", "rev", "typ", "Created", "parent", "State", "Executor", "yaw", "pitch", "roll", *FIGURES}


def main(
    commits: Annotated[int, typer.Option("--num", "-n", help="how many commits to look back from HEAD")] = 1,
    sort_by: Annotated[str | None, typer.Option(help="column to sort by, low values first")] = None,
) -> None:
    """Print the main figures and the parameters that differ, one experiment per row.

    `dvc exp show` has all columns. Example: nntrack experiments --sort-by geodesic
    """
    from dvc.api import exp_show
    from dvc.exceptions import DvcException

    from nntrack import config
    from nntrack.reporting.render import markdown

    config.load()
    try:
        rows = exp_show(num=commits)
    except DvcException as error:
        raise ValueError(f"DVC cannot list experiments here ({error}): they need git and a commit") from error
    parameters = [name for name in rows[0] if name not in OTHERS and not name.startswith(("data/", "source."))]
    parameters = [name for name in parameters if "/" not in name and len({row[name] for row in rows}) > 1]
    short = {name: name.rpartition(".")[2].rpartition(":")[2] for name in parameters}
    titles = {name: short[name] if list(short.values()).count(short[name]) == 1 else name for name in parameters}
    table = [
        {"experiment": row["Experiment"] or row["rev"]}
        | {titles[name]: _text(row[name]) for name in parameters}
        | {name: _text(row.get(name)) for name in FIGURES}
        for row in rows
    ]
    if sort_by:
        if sort_by not in table[0]:
            raise ValueError(f"there is no column {sort_by}; there are {', '.join(table[0])}")
        table.sort(key=lambda row: (row[sort_by] == "", row[sort_by]))
    print(markdown(table))


def _text(value: Any) -> Any:
    return "" if value is None else float(f"{value:g}") if isinstance(value, float) else value
