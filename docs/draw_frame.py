"""Draws docs/frame.png, the README's figure of the coordinate frame: ``python docs/draw_frame.py``."""

from pathlib import Path

import cv2
import numpy as np

from nntrack.geometry.boxes import face_box, square_around
from nntrack.geometry.rotations import aflw_angles_to_quat
from nntrack.reporting.overlay import draw_labels
from nntrack.synthesis import renderer

SIDE, RADIUS = 400, 105


def main(out: Path) -> None:
    """One head, frontal and turned, with every label drawn on it."""
    tiles = []
    for angles in ([0, 0, 0], [-10, 40, 12]):
        rng = np.random.default_rng(20)
        person = renderer.sample_person(rng)
        quat = aflw_angles_to_quat(*np.radians(angles))
        grey = np.full((SIDE, SIDE), 225, np.uint8)
        centre = np.array([SIDE / 2, SIDE * 0.42])
        rest = person.head.sample_expression(rng) * 0
        rendered = renderer.render(rng, person, rest, grey.shape, quat, centre, RADIUS, background=grey)
        labels = rendered._asdict() | {"bbox": face_box(rendered.landmarks, rendered.quat, rendered.pos_size)}
        labels["roi"] = square_around(labels["bbox"])
        tiles.append(draw_labels(rendered.image, labels))
    cv2.imwrite(str(out), np.hstack(tiles))


if __name__ == "__main__":
    main(Path(__file__).with_name("frame.png"))
