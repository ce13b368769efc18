"""The model card: what the weights were trained on, under which terms, how they were measured, where they are weak."""

import json
from collections.abc import Mapping
from typing import Any

from nntrack.evaluation import metrics
from nntrack.evaluation.protocols import PROTOCOLS
from nntrack.reporting import tables, titles
from nntrack.reporting.tables import document, markdown, place

Tree = Mapping[str, Any]
Facts = Mapping[str, Mapping[str, str]]


def model_card(measured: Tree, facts: Facts, head: str | None = None) -> str:
    """The card in Markdown. head: the scanned head model with which the archives were drawn, if they were."""
    pose, localizer = facts["pose"], facts["localizer"]
    exported = measured["export"]["export"]
    sizes = [
        {"net": kind, **{k: exported[kind][k] for k in ("parameters", "bytes", "opset", "ir")}} for kind in exported
    ]
    terms = [f"Pose net: {pose['terms']}", f"Localizer: {localizer['terms']}"]
    if head and pose["source"] == "synthetic":
        terms.append(f"The archives were drawn with the scanned head model in `{head}`, whose terms apply as well.")
    return document(
        "# Model card: head-pose.onnx and head-localizer.onnx",
        f"{pose['description']}. {localizer['description']}.",
        "## The nets",
        markdown(sizes),
        f"Frame: {pose['frame']}. Parameters of the training: digest `{pose['params']}`.",
        "## Trained on",
        _dataset_table(facts),
        "Counts are of whole files. Photos and persons held out by `split`, and WIDER FACE's own validation photos, "
        "served to select and to measure, never to train.",
        "## Terms",
        *terms,
        "## How measured",
        "The exported files, run by onnxruntime with the tracker's own preprocessing. Angles are wrapped by 360; "
        "the geodesic error is the angle between the two rotations. No model was selected on AFLW2000-3D.",
        "\n".join(_protocols(measured["detail"])),
        tables.table(measured).strip(),
        "## Where weak",
        _weaknesses(pose["source"]),
    )


def _protocols(detail: Tree) -> list[str]:
    found = []
    for row in PROTOCOLS:
        file = detail.get("localizer" if row.net == "localizer" else row.dataset, {"protocols": {}})
        if row.name in file["protocols"] and row.dataset in titles.DATASETS:
            where = place(file["source"], titles.DATASETS[row.dataset])
            found.append(f"- {'Pose net' if row.net == 'pose' else 'Localizer'}, `{row.name}`: {where}; {row.title}.")
    return found


def _weaknesses(source: str) -> str:
    first, _, last = (f"{low} to {high}" for low, high in metrics.YAW_BINS)
    known = [
        f"- Profiles: at |yaw| near 90 degrees pitch and roll are hardly defined, by the labels or by the net; compare "
        f"yaw {first} and {last} in the table above.",
        "- Closed eyes, glasses, hands and hair over the face move the pose; the two factors say how sure the net is.",
        "- One face in the frame: the localizer knows of no second one.",
    ]
    if source != "real":
        known.insert(
            0,
            "- **Trained on drawn faces alone these weights are a demonstration**: use real archives to track people.",
        )
    return "\n".join(known)


def _dataset_table(facts: Facts) -> str:
    rows = []
    for kind, values in facts.items():
        for name, row in json.loads(values["datasets"]).items():
            dropped = ", ".join(f"{reason}: {count}" for reason, count in sorted(row["dropped"].items()) if count)
            rows.append(
                {
                    "net": kind,
                    "dataset": name,
                    "source": values["source"],
                    "samples": row["kept"],
                    "dropped": dropped or "none",
                    "licence": row["licence"],
                }
            )
    return markdown(rows) if rows else "No dataset was named."
