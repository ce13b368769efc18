"""Results of a run that never took place, for tests of the pages made from them."""

import json

from nntrack.deploy import export
from nntrack.evaluation import metrics
from nntrack.evaluation.card.lines import LINES
from nntrack.evaluation.protocols import PROTOCOLS
from nntrack.reporting import report
from tests import onnx_files
from tests.conftest import ROOT

FIGURE = {"value": 2.346, "low": 1.851, "high": 3.066, "n": 400}
OF_AFLW = [row for row in PROTOCOLS if row.dataset == "aflw2k"]


def protocol(table, n, groups=None):
    return {"n": n, "groups": groups or n, "metrics": dict.fromkeys(table, FIGURE)}


def measured(source="synthetic", n=400, use=True):
    """What `report.read_metrics` returns. use: whether AFLW2000-3D is switched on."""
    pose = metrics.POSE | metrics.CALIBRATION
    rows = {row.name: protocol(pose, n) for row in OF_AFLW} if use else {}
    held_out = {"bbox": protocol(pose, 80, 16)}
    faces = {"val": protocol(metrics.LOCALIZER, 900, 450)}
    net = {"parameters": 1000, "bytes": 4567, "difference": 1e-6, "opset": 13, "ir": 7}
    return {
        "published": json.loads((ROOT / "metrics/published.json").read_text()),
        "detail": {
            name: {"model": "nntrack", "source": source, "protocols": protocols}
            for name, protocols in (("aflw2k", rows), ("w300lp", held_out), ("localizer", faces))
        },
        "card": card({"rendered": LINES, "aflw2k": ["noise_8_rotation", "mirror"] if use else []}, source),
        "export": {"export": {"pose": net, "localizer": net}},
    }


def card(sections, source="synthetic", **figure):
    """A report card with the same figure in the lines named in each section."""
    return {
        "networks": {"localizer": "head-localizer.onnx", "pose": "head-pose.onnx"},
        "sections": {
            name: {
                "source": "synthetic" if name == "rendered" else source,
                "lines": dict.fromkeys(lines, FIGURE | figure),
            }
            for name, lines in sections.items()
        },
    }


def facts(folder, source="synthetic"):
    """What `report.read_facts` returns for files that were exported as the stage does."""
    for kind, write in (("pose", onnx_files.pose), ("localizer", onnx_files.localizer)):
        attributes = {"source": source, "kept": 61, "licence": "research only", "dropped": '{"NaN": 3, "box": 0}'}
        known = export.provenance({"w300lp": attributes}, "0123456789abcdef")
        text = {"description": f"The {kind}", "frame": export.FRAME, "terms": export.terms(known)}
        text |= {key: v if isinstance(v, str) else json.dumps(v) for key, v in known.items()}
        write(folder / f"head-{kind}.onnx", metadata=text)
    return report.read_facts(folder)


def cells(text):
    """The rows of all Markdown tables in a text, each a tuple of cells without the padding."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
