"""Draws docs/example.jpg, the README's image of the two networks at work: ``python docs/draw_example.py``.

The heads are rendered, so that no photo of a person is needed. Everything drawn on them is what the two networks of
``models/onnx``, which the default run makes, predict for the frame.
"""

from pathlib import Path

import cv2
import numpy as np

from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.geometry.rotations import aflw_angles_to_quat
from nntrack.reporting import overlay
from nntrack.synthesis import renderer

SIZE = (420, 480)  # height, width of a frame, px
RADIUS = 88  # px, projected length of 100 mm
# seed of the person, seed of the scene, pitch, yaw and roll in degrees
FRAMES = [(9, 7, (4, -8, 3)), (31, 4, (-6, 27, 8)), (34, 7, (8, -28, -8))]


def main(models: Path, out: Path) -> None:
    """One frame per person: landmarks and box in the first, the wire head and its axes in the others."""
    localizer, pose_net = LocalizerModel(models / "head-localizer.onnx"), PoseModel(models / "head-pose.onnx")
    tiles = []
    for identity, scene, angles in FRAMES:
        rng = np.random.default_rng(identity)
        person = renderer.sample_person(rng)
        expression = person.head.sample_expression(rng) * 0.5
        quat = aflw_angles_to_quat(*np.radians(angles))
        eyes = np.array([SIZE[1] * 0.5, SIZE[0] * 0.45])
        rng = np.random.default_rng(scene)
        frame = renderer.render(rng, person, expression, SIZE, quat, eyes, RADIUS).image
        box = localizer.predict([frame])["bbox"][0]
        pose = {name: value[0] for name, value in pose_net.predict([frame], box[None]).items()}
        canvas = overlay.Canvas(frame)
        overlay.draw_box(canvas, box, overlay.WINDOW, 1.5)
        if not tiles:
            overlay.draw_landmarks(canvas, pose["landmarks"], overlay.PREDICTED)
        else:
            overlay.draw_wire_head(canvas, pose["quat"], pose["pos_size"])
            overlay.draw_axes(canvas, pose["quat"], pose["pos_size"], 3.0)
        tiles.append(canvas.pixels)
    cv2.imwrite(str(out), np.hstack(tiles), (cv2.IMWRITE_JPEG_QUALITY, 90))


if __name__ == "__main__":
    here = Path(__file__)
    main(here.parents[1] / "models" / "onnx", here.with_name("example.jpg"))
