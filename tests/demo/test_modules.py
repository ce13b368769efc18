"""The page's modules for preprocessing and tracking, compared with the Python code number by number."""

import base64
import json
import os
import shutil
import subprocess

import cv2
import numpy as np
import pytest

import nntrack
from nntrack import contract
from nntrack.deploy import preprocess, tracker
from nntrack.deploy.world_pose import angles, to_world
from tests import onnx_files
from tests.conftest import ROOT

NODE = shutil.which("node")
PAGE = ROOT / "nntrack/demo/page"
SMALL = 33  # px, side of the patches that are compared


def pack(image):
    height, width = image.shape[:2]
    channels = 1 if image.ndim == 2 else image.shape[2]
    return [width, height, channels, base64.b64encode(np.ascontiguousarray(image).tobytes()).decode()]


def textured(rng, height, width):
    """A colour image with detail of several sizes."""
    sizes = [(height, width), (height // 4 + 1, width // 4 + 1), (6, 8)]
    noise = [cv2.resize(rng.uniform(0, 1, (*size, 3)), (width, height)) for size in sizes]
    return np.round(255 * np.mean(noise, axis=0)).astype(np.uint8)


def figures():
    return {
        "LOCALIZER_SIZE": contract.LOCALIZER_SIZE,
        "LOCALIZER_THRESHOLD": contract.LOCALIZER_THRESHOLD,
        "POSE_OUTPUTS": contract.POSE_OUTPUTS,
        "POSE_REQUIRED": contract.POSE_REQUIRED,
        "MODEL_VERSIONS": [contract.OLDEST_MODEL_VERSION, contract.MODEL_VERSION],
        "UNIT_TOLERANCE": contract.UNIT_TOLERANCE,
        "PREPROCESSING": contract.PREPROCESSING._asdict(),
        "LIVE_LOOP": contract.LIVE_LOOP._asdict(),
        "WORLD_POSE": contract.WORLD_POSE._asdict(),
        "LARGEST_WINDOW": tracker.LARGEST_WINDOW,
    }


def crops(rng):
    for shape in ((70, 90), (48, 100), (101, 63), (96, 128)):
        frame = rng.integers(0, 256, (*shape, 3), np.uint8)
        cropped, corner = preprocess.crop_frame(frame)
        yield {"frame": pack(frame), "cropped": pack(cropped), "corner": corner}


def pyramids(rng):
    for shape in ((480, 640), (96, 128), (976, 1304)):
        frame = textured(rng, *shape)
        yield {"frame": pack(frame), "levels": [pack(level) for level in preprocess.pyramid(frame)]}


def squares(rng):
    windows = [[2.5, 3.5, 20.5, 21.5], [-50, 10, 40, 60], [110, 90, 30, 30], *rng.uniform(-10, 100, (20, 4)).tolist()]
    for window in windows:
        found = preprocess.client_square(np.array(window), (96, 128))
        yield {"window": window, "shape": {"width": 128, "height": 96}, "square": found}


def patches(rng, grey):
    for side in (12, 20, 33, 34, 40, 65, 66, 99, 132):
        x, y = (float(np.round(2 * value) / 2) for value in rng.uniform(0, [128, 96]))
        square = preprocess.Square(x, y, side)
        patch = preprocess.cut_patch(grey, square, SMALL)
        yield {"square": {"x": x, "y": y, "side": side}, "patch": pack(patch)}


def inputs(rng):
    for most in (3, 40, 128, 255):
        patch = rng.integers(0, most + 1, (SMALL, SMALL)).astype(np.uint8)
        yield {"patch": pack(patch), "input": preprocess.pose_input(patch).ravel().tolist()}


def poses(rng):
    for fov in (56.0, 80.0):
        for quat in nntrack.geometry.rotations.normalize(rng.normal(size=(6, 4))):
            pos_size = rng.uniform([0, 0, 20], [640, 480, 200])
            world = to_world(quat[None], pos_size[None], (480, 640), fov)
            yield {
                "quat": quat.tolist(), "pos_size": pos_size.tolist(), "shape": {"width": 640, "height": 480},
                "fov": fov, "world": world.quat[0].tolist(), "position": world.position[0].tolist(),
                "reported": angles(world.quat[0]),
            }  # fmt: skip


def answers(rng, count, logit, growth):
    """Outputs of the localizer and of the pose net, one after the other."""
    localizer = [{"logit_box": [logit, *rng.uniform(-0.7, -0.4, 2), *rng.uniform(0.3, 0.6, 2)]} for _ in range(count)]
    quats = nntrack.geometry.rotations.normalize(rng.normal(size=(count, 4)) + [0, 0, 0, 2])
    pose = [
        {
            "quat": quat.tolist(),
            "pos_size": rng.uniform([-0.3, -0.3, 0.3], [0.3, 0.3, 0.7]).tolist(),
            "box": (growth * np.array([-0.7, -0.6, 0.8, 0.8]) + rng.normal(0, 0.1, 4)).tolist(),
        }
        for quat in quats
    ]
    return localizer, pose


def replay(model, outputs):
    """Makes a model answer with these, then with the last one for ever; returns the list of what it was asked."""
    asked = []

    def run(x):
        asked.append(x)
        answer = outputs[min(len(asked), len(outputs)) - 1]
        return {name: np.array([value], np.float32) for name, value in answer.items()}

    model.run = run
    return asked


def loop(rng, folder):
    frame = textured(rng, 480, 652)
    runs = []
    # followed; never found; its window grows until it is dropped; it shrinks to nothing
    for logit, growth in ((3.0, 1.0), (-3.0, 1.0), (3.0, 2.5), (3.0, 0.05)):
        localizer, pose = answers(rng, 10, logit, growth)
        models = (
            nntrack.LocalizerModel(onnx_files.localizer(folder / "localizer.onnx")),
            nntrack.PoseModel(onnx_files.pose(folder / "pose.onnx", rotaxis_scales_tril=None)),
        )
        asked = [replay(model, outputs) for model, outputs in zip(models, (localizer, pose), strict=True)]
        follow = nntrack.Tracker(*models)
        runs.append({"localizer": localizer, "pose": pose, "expected": [seen(follow(frame), asked) for _ in range(12)]})
    return {"frame": pack(frame), "size": contract.POSE_SIZE, "runs": runs}


def seen(pose, asked):
    calls = [len(inputs) for inputs in asked]
    if pose is None:
        return {"angles": None, "calls": calls}
    return {
        "angles": [pose.yaw, pose.pitch, pose.roll], "position": (pose.position * [1, -1, 1]).tolist(),
        "pos_size": pose.pos_size.tolist(), "box": pose.bbox.tolist(), "roi": pose.roi[:3].tolist(), "calls": calls,
    }  # fmt: skip


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("vectors")
    colour = textured(rng, 96, 128)
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    ipp = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)  # with which getRectSubPix rounds halves down
    try:
        content = {
            "contract": figures(), "colour": pack(colour), "grey": pack(grey), "crops": [*crops(rng)],
            "pyramids": [*pyramids(rng)], "squares": [*squares(rng)], "patches": [*patches(rng, grey)], "size": SMALL,
            "inputs": [*inputs(rng)], "localizer_input": preprocess.localizer_input(grey).ravel().tolist(),
            "poses": [*poses(rng)], "loop": loop(rng, folder),
        }  # fmt: skip
    finally:
        cv2.ipp.setUseIPP(ipp)
    path = folder / "vectors.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.skipif(NODE is None, reason="needs Node.js: apt-get install nodejs")
def test_the_modules_compute_what_python_does(vectors):
    tests = sorted(str(path) for path in (PAGE / "test").glob("*.test.js"))
    done = subprocess.run(
        [NODE, "--test", *tests],
        env=os.environ | {"VECTORS": str(vectors)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
