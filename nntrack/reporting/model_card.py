"""The model card: what the weights were trained on, under which terms, how they were measured, where they are weak."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nntrack.evaluation import metrics
from nntrack.evaluation.protocols import PROTOCOLS
from nntrack.reporting import tables, titles
from nntrack.reporting.render import markdown, render

Tree = Mapping[str, Any]
Facts = Mapping[str, Mapping[str, str]]


def model_card(measured: Tree, facts: Facts, head: str | None = None) -> str:
    """Return the card in Markdown.

    Args:
        measured: see `report.read_metrics`.
        facts: metadata of the two ONNX files, see `report.read_facts`.
        head: folder of the scanned head model; only stated if the archives were rendered.
    """
    exported = measured["export"]["export"]
    nets = [
        {"net": kind} | {name: net[name] for name in ("parameters", "bytes", "opset", "ir")}
        for kind, net in exported.items()
    ]
    datasets = list(_datasets(facts))
    return render(
        "model_card.md.j2",
        pose=facts["pose"],
        localizer=facts["localizer"],
        nets=markdown(nets),
        datasets=markdown(datasets, ("dataset", "source", "dropped", "licence")) if datasets else "None was named.",
        head=head,
        protocols=list(_protocols(measured["detail"])),
        results=tables.results(measured),
        yaw_bins=[f"{low} to {high}" for low, high in metrics.YAW_BINS],
    )


def _protocols(detail: Tree) -> Iterator[str]:
    """Yield a line per protocol that was measured: net, name, origin of the samples, how they are cropped."""
    for row in PROTOCOLS:
        file = detail.get("localizer" if row.net == "localizer" else row.dataset, {"protocols": {}})
        if row.name in file["protocols"] and row.dataset in titles.DATASETS:
            origin = tables.origin(file["source"], titles.DATASETS[row.dataset])
            yield f"{'Pose net' if row.net == 'pose' else 'Localizer'}, `{row.name}`: {origin}; {row.title}."


def _datasets(facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield a row per net and dataset that it was trained on."""
    for kind, values in facts.items():
        for name, row in json.loads(values["datasets"]).items():
            dropped = [f"{reason}: {count}" for reason, count in sorted(row["dropped"].items()) if count]
            yield {
                "net": kind,
                "dataset": name,
                "source": values["source"],
                "samples": row["kept"],
                "dropped": ", ".join(dropped) or "none",
                "licence": row["licence"],
            }
