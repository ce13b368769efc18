"""The README's table, the model card and a short report, all written from ``metrics/`` and what the ONNX files say.

Figures are only ever set beside the published ones if they were measured on the same photos: all of AFLW2000-3D.
"""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nntrack import metrics
from nntrack.protocols import POSE_PROTOCOLS, STABILITY
from nntrack.runtime import LocalizerModel, PoseModel
from nntrack.store import replacing

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
ANGLES = ("yaw", "pitch", "roll", "average")
_FIGURES = re.compile(r"[\d.]+( / [\d.]+)?")
FULL_COUNT = 1969  # photos of AFLW2000-3D that everybody reports on: no angle beyond 99 degrees

UNITS = "Angles in degrees; nme: distance of the landmarks in the image, % of the root of their box's area."

CALIBRATION_NOTE = (
    "How sure it is: the share of errors within one / two of the standard deviations that the net itself gives, by "
    "axis of the head or of the image, and for the three together."
)
STABILITY_NOTE = (
    "One face is shown again and again, and the answer should not move. Root mean square about the mean (pitch range: "
    "peak to peak), averaged over faces; rotations in degrees, position in % of the projected 100 mm, size in %. "
    "Noise in grey levels of 255, windows in pixels of the photo."
)

# How a row's name is printed; a name that is not here is printed as it is.
TITLES = {
    "Valle_2021": "Valle et al. 2021",
    "SynergyNet": "Wu et al. 2021 (SynergyNet)",
    "3DDFA_V2": "3DDFA_V2, ground-truth boxes (measured by NN-Tracker's author)",
    "NN-Tracker_bbox": "NN-Tracker, ground-truth boxes",
    "NN-Tracker_center": "NN-Tracker, centre crop",
    "NN-Tracker-2024_bbox": "NN-Tracker 2024, ground-truth boxes",
    "NN-Tracker-2024_center": "NN-Tracker 2024, centre crop",
    "nntrack_bbox": "**nntrack**, ground-truth boxes",
    "nntrack_center": "**nntrack**, centre crop",
    "nntrack_val": "**nntrack**, held-out photos",
    **{f"nntrack_{row}": f"**nntrack**, {title}" for row, title in STABILITY.items()},
}
Tree = Mapping[str, Any]


PICTURES = {
    "poses.jpg": "Poses drawn on samples of AFLW2000-3D's kind",
    "faces.jpg": "Boxes drawn on samples of WIDER FACE's kind where a face is reported",
}


def read_metrics(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """published, aflw2k, stability, localizer and export of ``metrics/``.

    Raises FileNotFoundError or ValueError, naming the file.
    """
    found = {}
    for name in ("published", "aflw2k", "stability", "localizer", "export"):
        path = Path(folder) / f"{name}.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro`")
        try:
            found[name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from error
    return found


def read_facts(folder: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """What the two ONNX files in ``folder`` say about themselves: ``{"pose": metadata, "localizer": metadata}``."""
    models = {"pose": PoseModel, "localizer": LocalizerModel}
    return {kind: model(Path(folder) / f"head-{kind}.onnx").metadata for kind, model in models.items()}


def table(measured: Tree) -> str:
    """The README's table in Markdown, published rows first. measured: as `read_metrics` gives it."""
    rows, source = measured["aflw2k"].get("aflw2k", {}), measured["aflw2k"]["source"]
    comparable = source == "real" and bool(rows) and all(row["n"] == FULL_COUNT for row in rows.values())
    published = measured["published"]["aflw2k"]
    parts = [
        f"Mean absolute error on AFLW2000-3D in degrees, as published{', ours last' if comparable else ''}:",
        _angle_table({**published, **(rows if comparable else {})}),
    ]
    if not rows:
        parts.append("Ours: nothing was measured, since AFLW2000-3D was switched off.")
    elif comparable:
        parts += ["Ours in full, measured on AFLW2000-3D.", UNITS, _pose_table(rows)]
    else:
        parts += [_warning(source, rows), UNITS, _pose_table(rows)]
    parts += [*_calibration(rows), *_stability(measured["stability"])]
    faces = measured["localizer"].get("widerface", {})
    if faces:
        parts += [f"The localizer, measured on {_place(measured['localizer']['source'], 'WIDER FACE')}:", _plain(faces)]
    return "\n\n".join(parts) + "\n"


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
        with replacing(path) as partial:
            partial.write_text(new, encoding="utf-8", newline="\n")


def model_card(measured: Tree, facts: Mapping[str, Mapping[str, str]]) -> str:
    """What the weights were trained on, under which terms, how they were measured and where they are weak. Markdown."""
    pose, localizer = facts["pose"], facts["localizer"]
    exported = measured["export"]["export"]
    sizes = [
        {"net": kind, **{k: exported[kind][k] for k in ("parameters", "bytes", "opset", "ir")}} for kind in exported
    ]
    source = measured["aflw2k"]["source"]
    rows = measured["aflw2k"].get("aflw2k", {})
    crops = ", ".join(f"`{row.name}`: {row.title}" for row in POSE_PROTOCOLS.values())
    return _document(
        "# Model card: head-pose.onnx and head-localizer.onnx",
        f"{pose['description']}. {localizer['description']}.",
        "## The nets",
        _markdown(sizes),
        f"Frame: {pose['frame']}. Parameters of the training: digest `{pose['params']}`.",
        "## Trained on",
        _dataset_table(facts),
        "Counts are of whole files. Photos and persons held out by `split`, and WIDER FACE's own validation photos, "
        "served to select and to measure, never to train.",
        "## Terms",
        f"Pose net: {pose['terms']}",
        f"Localizer: {localizer['terms']}",
        "## How measured",
        "The exported files, run by onnxruntime with the tracker's own preprocessing. Angles are wrapped by 360; "
        "the geodesic error is the angle between the two rotations. No model was selected on these photos.",
        f"- Pose net: {_place(source, 'AFLW2000-3D')}; {crops}.\n"
        f"- Localizer: held-out photos of {_place(measured['localizer']['source'], 'WIDER FACE')}.",
        table(measured).strip(),
        "## Where weak",
        *_weaknesses(pose["source"], rows),
    )


def report(measured: Tree, facts: Mapping[str, Mapping[str, str]], pictures: Collection[str] = ()) -> str:
    """The run on one page, Markdown. pictures: which of `PICTURES` lie beside the page."""
    return _document(
        "# Report",
        f"Source of the archives: **{measured['aflw2k']['source']}**. Parameters: digest `{facts['pose']['params']}`.",
        table(measured).strip(),
        *(f"![{PICTURES[name]}]({name})" for name in pictures),
        "The weights, their data and their terms: [model card](model_card.md).",
    )


def _document(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def _place(source: str, name: str) -> str:
    return name if source == "real" else f"**{source}** archives (drawn by the pipeline in the layout of {name})"


def _warning(source: str, rows: Mapping[str, Tree]) -> str:
    if source != "real":
        return (
            f"Measured on **{source} archives** that the pipeline drew itself. "
            "*These are not AFLW2000-3D results and cannot be compared with the rows above*."
        )
    count = next(iter(rows.values()))["n"]
    return (
        f"Measured on **{count} of the {FULL_COUNT} photos** of AFLW2000-3D. "
        "*So few cannot be compared with the rows above*."
    )


def _weaknesses(source: str, rows: Mapping[str, Tree]) -> list[str]:
    bins = [(f"geodesic_yaw_{low}_{high}", f"{low} to {high}") for low, high in metrics.YAW_BINS]
    found = [
        {"crop": TITLES.get(name, name), **{f"{title} degrees": row.get(key, "") for key, title in bins}}
        for name, row in rows.items()
    ]
    known = [
        "- Profiles: at |yaw| near 90 degrees pitch and roll are hardly defined, by the labels or by the net.",
        "- Closed eyes, glasses, hands and hair over the face move the pose; the two factors say how sure the net is.",
        "- One face in the frame: the localizer knows of no second one.",
    ]
    if source != "real":
        known.insert(
            0,
            "- **Trained on drawn faces alone these weights are a demonstration**: use real archives to track people.",
        )
    error = (
        ["Geodesic error in degrees, by how far the head is truly turned (yaw, either side):", _markdown(found)]
        if found
        else []
    )
    return [*error, "\n".join(known)]


def _dataset_table(facts: Mapping[str, Mapping[str, str]]) -> str:
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
    return _markdown(rows) if rows else "No dataset was named."


def _angle_table(rows: Mapping[str, Tree]) -> str:
    found = []
    for name, row in rows.items():
        digits = max(len(str(row[key]).partition(".")[2]) for key in ANGLES)
        found.append({"method": TITLES.get(name, name), **{key: f"{row[key]:.{digits}f}" for key in ANGLES}})
    return _markdown(found)


def _pose_table(rows: Mapping[str, Tree]) -> str:
    shown = [name for name in metrics.POSE if not name.startswith("geodesic_yaw")]
    return _plain({name: {key: row[key] for key in shown if key in row} for name, row in rows.items()})


def _calibration(rows: Mapping[str, Tree]) -> list[str]:
    """How far the net is right about its own errors; nothing for one that says nothing about them."""

    def shares(name: str, row: Tree) -> dict[str, str]:
        told = {of: [row.get(f"{of}_{k}s") for k in metrics.SIGMAS] for of in metrics.CALIBRATED}
        cells = {of: " / ".join("-" if v is None else f"{v:.3f}" for v in values) for of, values in told.items()}
        return {"model": TITLES.get(name, name), **cells}

    found = [shares(name, row) for name, row in rows.items() if metrics.CALIBRATION.keys() & row.keys()]
    if not found:
        return []
    ideal = {
        f"{of}_{k}s": metrics.expected_share(k, 3 if component is None else 1)
        for of, (_, component) in metrics.CALIBRATED.items()
        for k in metrics.SIGMAS
    }
    return [CALIBRATION_NOTE, _markdown([shares("if they were told right", ideal), *found])]


def _stability(measured: Tree) -> list[str]:
    """How the answers shake; nothing if AFLW2000-3D was switched off."""
    rows = {
        name: {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()}
        for name, row in measured.get("aflw2k", {}).items()
    }
    place = f"measured on {_place(measured['source'], 'AFLW2000-3D')}"
    return [f"Stability, {place}. {STABILITY_NOTE}", _plain(rows)] if rows else []


def _plain(rows: Mapping[str, Tree]) -> str:
    return _markdown([{"model": TITLES.get(name, name), **row} for name, row in rows.items()])


def _markdown(rows: Sequence[Tree]) -> str:
    """Dicts with the keys of the first as a table; columns of figures to the right."""
    keys = list(rows[0])
    right = [_FIGURES.fullmatch(str(rows[0][key])) for key in keys]
    lines = [
        "| " + " | ".join(key.replace("_", " ") for key in keys) + " |",
        "|" + "|".join("--:" if r else "---" for r in right) + "|",
    ]
    lines += ["| " + " | ".join(str(row.get(key, "")) for key in keys) + " |" for row in rows]
    return "\n".join(lines)
