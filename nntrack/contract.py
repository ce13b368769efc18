"""What Opentrack's NeuralNet tracker requires of the two ONNX files; exporter and runtime read it here.

Every value is a behaviour of the C++ client (tracker-neuralnet), not a choice of this project.
"""

from typing import NamedTuple


class Preprocessing(NamedTuple):
    """How the client turns a grey patch (0..255) into the pose net's input."""

    quantile: float  # of the patch's grey levels: its brightness
    dark_below: float  # patches of less brightness are scaled so that it becomes
    target: float  # this value
    floor: float  # brightness below this one counts as this one
    offset: float  # subtracted from values scaled to 0..1


INPUT_NAME = "x"
PREPROCESSING = Preprocessing(quantile=0.9, dark_below=127.0, target=0.45, floor=5.0, offset=0.5)

LOCALIZER_SIZE = (224, 288)  # height, width of the squeezed whole frame
LOCALIZER_OUTPUTS = {"logit_box": (1, 5)}  # face logit, then the box xyxy in -1..1 over the frame
LOCALIZER_THRESHOLD = 0.5  # of the sigmoid

POSE_SIZE = 129  # height and width of the square patch
POSE_OUTPUTS = {
    "pos_size": (1, 3),  # x, y of the head centre and head radius, patch edges at -1 and 1
    "quat": (1, 4),  # unit, xyzw, image frame
    "box": (1, 4),  # the next frame's region of interest, xyxy, patch edges at -1 and 1
    "rotaxis_scales_tril": (1, 3, 3),  # lower factor: covariance of the rotation vector, applied on the right
    "pos_size_scales_tril": (1, 3, 3),  # lower factor: covariance of pos_size
}

# Runtimes in the field: onnxruntime 1.16.3 refuses opset > 19 and IR > 9; these two load everywhere.
OPSET = 13
MAX_IR_VERSION = 7
# ModelProto.model_version: the client reads values <= 0 or > 4 as 1, which flips the quaternion's frame.
MODEL_VERSION = 4


class LiveLoop(NamedTuple):
    """How the client follows a face from frame to frame (its source of July 2026, after release 2026.1.0)."""

    aspect: tuple[int, int]  # width : height that frames are cropped to,
    multiple: int  # in whole multiples of so many pixels
    halve_from: int  # px: a frame this wide or wider is halved,
    levels: int  # until there are so many sizes of it
    smallest_face: int  # px of the smallest frame: a localizer's box less wide and high than this is no face
    same_face: float  # IoU of the localizer's box and the window from which on both are of one face


class WorldPose(NamedTuple):
    """How the client turns position and size in the frame into a place before the camera, at its default settings."""

    fov: float  # diagonal field of view of the camera, degrees
    head_height: float  # mm, of which the net's size is the half
    offset: tuple[float, float, float]  # of the reported point in the head frame, mm: into the head, to the neck


class Deadzone(NamedTuple):
    """The client's filter, which takes away most of a movement that is small beside the net's stated deviation."""

    size: float  # standard deviations
    hardness: float
    spread: float  # alpha of the unscented transform: how near to the mean its points are
    prior: float  # beta of the unscented transform: 2 for a normal distribution


LIVE_LOOP = LiveLoop(aspect=(4, 3), multiple=8, halve_from=640, levels=4, smallest_face=16, same_face=0.25)
WORLD_POSE = WorldPose(fov=56.0, head_height=200.0, offset=(0.0, 0.0, 100.0))
DEADZONE = Deadzone(size=1.0, hardness=1.5, spread=0.01, prior=2.0)
