"""Reading what the pages are made from (``metrics/``, metadata of the ONNX files), and the report of a run."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nntrack.data.datasets import RENAMED
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.files import write_text
from nntrack.reporting import tables, titles
from nntrack.reporting.render import markdown, render

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
Tree = Mapping[str, Any]


def read_metrics(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return published, card and export of ``metrics/``; under "detail" all files of ``metrics/detail/``, by name.

    Raises FileNotFoundError or ValueError, naming the file.
    """
    folder = Path(folder)
    found: dict[str, Any] = {name: _read(folder / f"{name}.json") for name in ("published", "card", "export")}
    names = {tables.BENCHMARK, "localizer"} | {path.stem for path in (folder / "detail").glob("*.json")}
    if old := sorted(names & RENAMED.keys()):
        raise ValueError(
            f"{folder / 'detail' / old[0]}.json is of a dataset called {RENAMED[old[0]]} now: delete it, and make"
            " the new one with `dvc repro evaluate`"
        )
    return found | {"detail": {name: _read(folder / "detail" / f"{name}.json") for name in sorted(names)}}


def _read(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro`")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def read_facts(folder: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Return the metadata of the two ONNX files in ``folder``, under "pose" and "localizer"."""
    models = {"pose": PoseModel, "localizer": LocalizerModel}
    return {kind: model(Path(folder) / f"head-{kind}.onnx").metadata for kind, model in models.items()}


def insert(text: str, block: str, path: str) -> str:
    """Return ``text`` with ``block`` between its two marks. Raises ValueError, naming ``path``, if it lacks them."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise ValueError(f"{path} must hold the lines '{BEGIN}' and '{END}' once each: the table goes between them")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{rest.split(END)[1]}"


def update(path: str | os.PathLike[str], block: str) -> bool:
    """Put ``block`` between the marks of a file; return whether this changed it. Raises as `insert`."""
    old = Path(path).read_text(encoding="utf-8")
    new = insert(old, block, os.fspath(path))
    if new != old:
        write_text(path, new)
    return new != old


def report(
    measured: Tree,
    facts: Mapping[str, Mapping[str, str]],
    params: Tree,
    pictures: Collection[str] = (),
    charts: Collection[str] = (),
) -> str:
    """Return a run on one page, in Markdown.

    Args:
        measured: see `read_metrics`.
        facts: see `read_facts`.
        params: all of params.yaml; how archives are rendered is left out where they were not.
        pictures: names of the files in ``pictures/``, without their suffix.
        charts: names of the files in ``card/``, without their suffix.
    """
    if params["source"] == "real":
        params = {name: value for name, value in params.items() if name != "synthesize"}
    parameters = [{"parameter": name, "value": value} for name, value in flat(params).items()]
    return render(
        "report.md.j2",
        source=measured["detail"][tables.BENCHMARK]["source"],
        digest=facts["pose"]["params"],
        results=tables.results(measured),
        figures=tables.every_figure(measured),
        pictures=[
            *_images("card/{}.svg", charts, titles.CARD),
            *_images("pictures/{}.jpg", pictures, titles.PICTURES),
        ],
        parameters=markdown(parameters, ("value",)),
    )


def _images(path: str, names: Collection[str], known: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return path and title of images, those that are known in their order first. path: with ``{}`` for a name."""
    order = [*known, *sorted(set(names) - known.keys())]
    return [(path.format(name), known.get(name, name)) for name in order if name in names]


def flat(params: Tree, prefix: str = "") -> dict[str, str]:
    """Return sections as ``section.key``; a value that is itself a mapping stays on one line."""
    found: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and not prefix:
            found |= flat(value, f"{key}.")
        elif isinstance(value, Mapping):
            found[prefix + key] = ", ".join(f"{name}: {_plain(inner)}" for name, inner in value.items())
        else:
            found[prefix + key] = _plain(value)
    return found


def _plain(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
