"""The wire head of the page is the one of the project's pictures: ``python -m tests.demo.test_wire_head`` copies it."""

import json

import numpy as np

from nntrack.reporting import wireframe
from tests.conftest import ROOT

FILE = ROOT / "nntrack/demo/page/src/wire_head.json"
EVERY = 4  # points of the skull's long curves


def content():
    return [
        {
            "points": np.round(wire.points[:: 1 if wire.face else EVERY], 3).tolist(),
            "normals": np.round(wire.normals[:: 1 if wire.face else EVERY], 3).tolist(),
            "face": wire.face,
        }
        for wire in wireframe.HEAD
    ]


def text():
    return json.dumps(content(), separators=(",", ":")) + "\n"


def test_the_page_draws_the_same_head():
    assert FILE.read_text() == text()


if __name__ == "__main__":
    FILE.write_text(text())
