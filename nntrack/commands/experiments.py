"""Print the experiments of DVC as a table that fits into a terminal."""

from collections.abc import Collection, Mapping, Sequence
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
    table = tabulate(rows)
    if sort_by:
        if sort_by not in table[0]:
            raise ValueError(f"there is no column {sort_by}; there are {', '.join(table[0])}")
        table.sort(key=lambda row: (not isinstance(row[sort_by], float), row[sort_by] or ""))
    print(markdown([{name: _text(value) for name, value in row.items()} for row in table]))


def tabulate(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name, parameters that differ, and main figures of rows of DVC's API.

    A parameter is called by the end of its key, as long as no other parameter's key ends so. Experiments that have just
    begun have none yet.
    """
    keys = [key for key in rows[0] if key not in OTHERS and "/" not in key and not key.startswith("source.")]
    titles = {key: _short(key, keys) for key in keys if len({row[key] for row in rows} - {None}) > 1}
    return [
        {"experiment": row["Experiment"] or row["rev"]}
        | {title: row[key] for key, title in titles.items()}
        | {name: row.get(name) for name in FIGURES}
        for row in rows
    ]


def _short(key: str, keys: Collection[str]) -> str:
    key = key.rpartition(":")[2]  # DVC puts the file before a name that is in several
    words = key.split(".")
    ends = [".".join(words[i:]) for i in range(len(words) - 1, -1, -1)]
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1), key)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return {None: "", "None": "null"}.get(value, str(value))  # DVC's API makes text of an empty parameter
