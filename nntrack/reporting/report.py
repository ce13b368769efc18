"""What the pages are written from (``metrics/``, and what the ONNX files say), the README's table, and the report."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.files import write_text
from nntrack.reporting import tables, titles
from nntrack.reporting.tables import document

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
Tree = Mapping[str, Any]


def read_metrics(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """published, stability and export of ``metrics/``; under "detail" all files of ``metrics/detail/``, by name.

    Raises FileNotFoundError or ValueError, naming the file.
    """
    folder = Path(folder)
    found: dict[str, Any] = {name: _read(folder / f"{name}.json") for name in ("published", "stability", "export")}
    names = {tables.BENCHMARK, "localizer"} | {path.stem for path in (folder / "detail").glob("*.json")}
    return found | {"detail": {name: _read(folder / "detail" / f"{name}.json") for name in sorted(names)}}


def _read(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro`")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def read_facts(folder: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """What the two ONNX files in ``folder`` say about themselves: ``{"pose": metadata, "localizer": metadata}``."""
    models = {"pose": PoseModel, "localizer": LocalizerModel}
    return {kind: model(Path(folder) / f"head-{kind}.onnx").metadata for kind, model in models.items()}


def insert(text: str, block: str, origin: str = "README.md") -> str:
    """``text`` with ``block`` between the two markers. Raises ValueError if they are not there, once each, in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise ValueError(f"{origin} must hold the lines '{BEGIN}' and '{END}' once each: the table goes between them")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{rest.split(END)[1]}"


def update_readme(path: str | os.PathLike[str], block: str) -> None:
    """Put the table into the file at ``path``, which is left alone if it is there already."""
    old = Path(path).read_text(encoding="utf-8")
    new = insert(old, block, os.fspath(path))
    if new != old:
        write_text(path, new)


def report(measured: Tree, facts: Mapping[str, Mapping[str, str]], params: Tree, pictures: Collection[str] = ()) -> str:
    """The run on one page, Markdown. params: all of params.yaml. pictures: names of the files in ``pictures/``."""
    order = [*titles.PICTURES, *sorted(set(pictures) - titles.PICTURES.keys())]
    shown = [(name, titles.PICTURES.get(name, name)) for name in order if name in pictures]
    return document(
        "# Report",
        f"Source of the archives: **{measured['detail'][tables.BENCHMARK]['source']}**. "
        f"Parameters: digest `{facts['pose']['params']}`. "
        "The weights, their data and their terms: [model card](model_card.md). Charts: `dvc plots show`.",
        "## Results",
        tables.table(measured).strip(),
        "## All figures of the pose net",
        tables.every_figure(measured),
        *(["## Pictures"] if shown else []),
        *(f"### {title}\n\n![{title}](pictures/{name}.jpg)" for name, title in shown),
        "## Parameters",
        tables.markdown([{"parameter": name, "value": value} for name, value in flat(params).items()]),
    )


def flat(params: Tree, prefix: str = "") -> dict[str, str]:
    """Sections to ``section.key``; a value that is itself a mapping of values stays on one line."""
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
