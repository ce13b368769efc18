"""The head tracker: both networks in the loop in which the client runs them, frame by frame, without torch.

>>> import cv2, nntrack
>>> tracker = nntrack.Tracker("head-localizer.onnx", "head-pose.onnx")
>>> pose = tracker(cv2.imread("photo.jpg"))  # None while no face is found
>>> pose.yaw, pose.pitch, pose.roll  # degrees
(0.0, 0.0, 0.0)

It takes the steps of the client's newest source, in the same order and rounded alike (`contract.LIVE_LOOP`), with one
difference: nothing bounds the client's window, which a net can make grow until a frame takes seconds, or shrink to
nothing, which ends the client. This tracker drops such a window and looks for the face again; see `State`.
"""

import os
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from nntrack.contract import LIVE_LOOP, LOCALIZER_THRESHOLD, WORLD_POSE
from nntrack.deploy import deadzone, preprocess, pretrained
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.deploy.window import iou, look, relative_width, to_window
from nntrack.deploy.world_pose import WorldPose, angles, to_world

LARGEST_WINDOW = 4.0  # frame widths


class State(StrEnum):
    """What the tracker did with the last frame."""

    TRACKING = "tracking"
    SEARCHING = "no face found"
    GREW = f"window dropped: wider than {LARGEST_WINDOW:g} frames"
    SHRANK = "window dropped: less than a pixel wide"


@dataclass(frozen=True, eq=False)
class HeadPose:
    """The head in one frame.

    yaw, pitch, roll: degrees, filtered, as the client reports them: positive where the face turns to the left in the
    image, up, and clockwise in the image; the camera's perspective is corrected. position: (3,) cm, filtered: to the
    right in the image, up, and away from the camera, of a point at the neck. rotation: (4,) xyzw, that of the angles.

    What the pose net said of this frame, unfiltered, in px of the frame: quat (4,) xyzw, pos_size (3,), bbox (4,) xyxy,
    the next frame's window; landmarks (68, 3), rotation_tril (3, 3) rad and pos_size_tril (3, 3) px are None for a net
    without them. Frames and units: docs/conventions.md.

    roi: (4,) xyxy px, the square that the net saw. window: the next window's longer side / the frame's width.
    relocated: whether the localizer has moved the window of a face that was tracked.
    """

    yaw: float
    pitch: float
    roll: float
    position: np.ndarray
    rotation: np.ndarray
    quat: np.ndarray
    pos_size: np.ndarray
    bbox: np.ndarray
    landmarks: np.ndarray | None
    rotation_tril: np.ndarray | None
    pos_size_tril: np.ndarray | None
    roi: np.ndarray
    window: float
    relocated: bool

    @property
    def rotation_std(self) -> np.ndarray | None:
        """The net's stated deviation of the rotation about the head's own axes x, y, z: (3,) degrees."""
        return None if self.rotation_tril is None else np.degrees(np.linalg.norm(self.rotation_tril, axis=1))

    @property
    def pos_size_std(self) -> np.ndarray | None:
        """The net's stated deviation of x, y and size: (3,) px."""
        return None if self.pos_size_tril is None else np.linalg.norm(self.pos_size_tril, axis=1)


class Tracker:
    """Follows one head from frame to frame. state: what became of the last frame.

    Args:
        localizer: ONNX file, or loaded; if not given, that of the last run, or of the package (`pretrained.find`).
        pose_net: likewise.
        fov: diagonal field of view of the camera, degrees.
        smooth: whether the client's dead-zone filter smooths angles and position; it does if the net states its
            uncertainty.

    Raises FileNotFoundError or ValueError for a file that the client could not use, and ValueError for the field of
    view.
    """

    def __init__(
        self,
        localizer: str | os.PathLike[str] | LocalizerModel | None = None,
        pose_net: str | os.PathLike[str] | PoseModel | None = None,
        *,
        fov: float = WORLD_POSE.fov,
        smooth: bool = True,
    ) -> None:
        if not 0 < fov < 180:
            raise ValueError(f"a camera's field of view is between 0 and 180 degrees, not {fov:g}")
        files = pretrained.find()
        localizer, pose_net = localizer or files[0], pose_net or files[1]
        self.localizer = localizer if isinstance(localizer, LocalizerModel) else LocalizerModel(localizer)
        self.pose_net = pose_net if isinstance(pose_net, PoseModel) else PoseModel(pose_net)
        self.fov, self.smooth = fov, smooth
        self.reset()

    def reset(self) -> None:
        """Forget the face, as at the start."""
        self.state = State.SEARCHING
        self._window: np.ndarray | None = None  # x, y, width, height in px of the smallest frame, as `_found`
        self._found: np.ndarray | None = None  # the localizer's last box, if the window is of the same face
        self._given: np.ndarray | None = None  # a box (4,) xyxy px of the next frame
        self._last: WorldPose | None = None

    def follow(self, bbox: np.ndarray) -> None:
        """Take a box (4,) xyxy px of the next frame for the face, as if the localizer had just found it there."""
        self._given = bbox

    def __call__(self, frame: np.ndarray) -> HeadPose | None:
        """The head in the next frame, (H, W, 3) BGR or (H, W) grey, uint8; None if there is none.

        Raises ValueError for another kind of frame, for one smaller than 8 px, and for a net's output that the client
        could not use.
        """
        if frame.dtype != np.uint8 or not (frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)):
            raise ValueError(
                f"a frame is (height, width, 3) BGR or (height, width) grey, uint8, not {frame.shape} {frame.dtype}"
            )
        cropped, corner = preprocess.crop_frame(frame)
        levels = preprocess.pyramid(cropped)
        if self._given is not None:
            self._window = self._found = to_window(self._given, corner, levels)
            self._given = None
        relocated = self._localize(levels[-1])
        if self._window is None:
            self.state = State.SEARCHING
            return None
        seen = look(self.pose_net, levels, self._window)
        if seen is None:
            self._drop(State.SHRANK)
            return None
        self._window = seen.window
        width = relative_width(seen.window, levels)
        if width > LARGEST_WINDOW:
            self._drop(State.GREW)
            return None
        self.state = State.TRACKING
        level = levels[seen.level]
        found = self.pose_net.to_image(seen.raw, seen.square)
        world = self._world(found, level.shape)
        scale, shift = len(levels[0]) / len(level), np.array([*corner, 0], np.float32)
        return _head_pose(world, found, seen.square, scale, shift, width, relocated)

    def _localize(self, frame: np.ndarray) -> bool:
        """Look for the face in the smallest frame if need be. Returns whether it has moved the window of another."""
        if self._found is not None and self._window is not None:
            if iou(self._found, self._window) >= LIVE_LOOP.same_face:
                return False
        found = self.localizer.predict([frame])
        x0, y0, x1, y1 = found["bbox"][0]
        box = np.array([x0, y0, x1 - x0, y1 - y0], np.float32)
        if found["score"][0] <= LOCALIZER_THRESHOLD or (box[2:] < LIVE_LOOP.smallest_face).all():
            self._found = None  # the pose net is trusted with the window, if there is one
            return False
        self._found = box
        if self._window is not None and iou(box, self._window) >= LIVE_LOOP.same_face:
            return False
        relocated, self._window = self._window is not None, box
        return relocated

    def _world(self, seen: dict[str, np.ndarray], shape: tuple[int, ...]) -> WorldPose:
        """The head in space, filtered."""
        quat, pos_size = (np.asarray(seen[name][0], np.float64) for name in ("quat", "pos_size"))
        if not pos_size[2] > 0:
            raise ValueError(f"{self.pose_net.path}: the head's size is {pos_size[2]:.3g} px, expected more than 0")
        if self._last is not None and self.smooth and self.pose_net.has_uncertainty:
            factors = (seen["rotaxis_scales_tril"][0], seen["pos_size_scales_tril"][0])
            self._last = deadzone.smooth(
                self._last, quat, pos_size, *factors, lambda quats, places: to_world(quats, places, shape, self.fov)
            )
        else:
            quats, positions = to_world(quat[None], pos_size[None], shape, self.fov)
            self._last = WorldPose(quats[0], positions[0])
        return self._last

    def _drop(self, state: State) -> None:
        self.state, self._window, self._found = state, None, None


def _head_pose(
    world: WorldPose,
    seen: dict[str, np.ndarray],
    square: preprocess.Square,
    scale: float,
    corner: np.ndarray,
    window: float,
    relocated: bool,
) -> HeadPose:
    """The pose in px of the frame, from px of one of its sizes, ``scale`` times smaller and without its ``corner``."""
    yaw, pitch, roll = angles(world.quat)
    x, y, z = world.position / 10  # cm
    factor = seen.get("pos_size_scales_tril")
    centre, half = np.array([square.x, square.y] * 2), square.side / 2 * np.array([-1, -1, 1, 1])
    return HeadPose(
        *(yaw, pitch, roll, np.array([x, -y, z]), world.quat),
        quat=seen["quat"][0],
        pos_size=seen["pos_size"][0] * scale + corner,
        bbox=seen["bbox"][0] * scale + np.tile(corner[:2], 2),
        landmarks=seen["landmarks"][0] * scale + corner if "landmarks" in seen else None,
        rotation_tril=seen["rotaxis_scales_tril"][0] if factor is not None else None,
        pos_size_tril=factor[0] * scale if factor is not None else None,
        roi=(centre + half) * scale + np.tile(corner[:2], 2),
        window=window,
        relocated=relocated,
    )
