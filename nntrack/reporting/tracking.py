"""What the tracker found in a frame, drawn on it and written as rows and videos."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from nntrack.deploy.tracker import HeadPose
from nntrack.files import replacing
from nntrack.reporting import overlay

VIDEOS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}  # suffix to the codec that OpenCV has for it
PICTURES = (".png", ".jpg")
COLUMNS = (
    *("frame", "seconds", "state", "yaw", "pitch", "roll", "x_cm", "y_cm", "z_cm"),
    *("quat_x", "quat_y", "quat_z", "quat_w", "x_px", "y_px", "size_px", "box_x0", "box_y0", "box_x1", "box_y1"),
    *("std_x", "std_y", "std_z", "relocated"),
)
_FONT = cv2.FontFace("sans")  # comes with OpenCV
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


class Sink(Protocol):
    """Takes frames one after the other."""

    def write(self, frame: np.ndarray) -> None:
        """Take the next frame (H, W, 3) BGR uint8."""


def draw(frame: np.ndarray, pose: HeadPose | None, state: str, speed: float | None = None) -> np.ndarray:
    """The frame with wire head, axes, landmarks, the net's window and box, and the figures as text.

    Args:
        frame: (H, W, 3) BGR or (H, W), uint8.
        pose: what was found in it, if anything.
        state: what the tracker did, as text.
        speed: frames per second.
    """
    canvas = overlay.Canvas(frame)
    lines = [state]
    if pose is not None:
        overlay.draw_box(canvas, pose.roi, overlay.WINDOW, 0.8)
        overlay.draw_box(canvas, pose.bbox, overlay.PREDICTED)
        if pose.landmarks is not None:
            overlay.draw_landmarks(canvas, pose.landmarks, overlay.PREDICTED, overlay.RIGHT_EYE)
        overlay.draw_wire_head(canvas, pose.quat, pose.pos_size)
        overlay.draw_axes(canvas, pose.quat, pose.pos_size)
        x, y, z = pose.position
        lines = [
            f"yaw {pose.yaw:.1f}  pitch {pose.pitch:.1f}  roll {pose.roll:.1f} degrees",
            f"x {x:.1f}  y {y:.1f}  z {z:.1f} cm",
        ]
    if speed is not None:
        lines.append(f"{speed:.0f} frames/s")
    size = max(12, round(canvas.pixels.shape[0] / 30))
    for number, line in enumerate(lines, 1):
        at = (size // 2, round(1.3 * size * number))
        cv2.putText(canvas.pixels, line, (at[0] + 1, at[1] + 1), _BLACK, _FONT, size, 600)
        cv2.putText(canvas.pixels, line, at, _WHITE, _FONT, size, 600)
    return canvas.pixels


def row(number: int, seconds: float, pose: HeadPose | None, state: str) -> list[str]:
    """One line of the table of poses, with the columns of `COLUMNS`; those of a pose are empty if there is none."""
    start = [str(number), f"{seconds:.4f}", state]
    if pose is None:
        return start + [""] * (len(COLUMNS) - len(start))
    values = [pose.yaw, pose.pitch, pose.roll, *pose.position, *pose.quat, *pose.pos_size, *pose.bbox]
    std = [""] * 3 if pose.rotation_std is None else [f"{value:.4f}" for value in pose.rotation_std]
    return start + [f"{float(value):.4f}" for value in values] + std + [str(int(pose.relocated))]


@contextmanager
def table(path: str | os.PathLike[str]) -> Iterator[Callable[[list[str]], Any]]:
    """What writes rows to a CSV file that takes its final name when all went well; the columns come first."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        yield writer.writerow


def check_suffix(path: Path, still: bool, count: int | None) -> None:
    """Raise ValueError if frames cannot be written to a file of that name."""
    if still and count == 1:
        if path.suffix.lower() not in PICTURES:
            raise ValueError(f"{path}: of one picture a picture is written, {' or '.join(PICTURES)}")
    elif path.suffix.lower() not in VIDEOS:
        raise ValueError(f"{path}: a video is written, {', '.join(VIDEOS)}")


@contextmanager
def recording(path: str | os.PathLike[str], fps: float) -> Iterator[Sink]:
    """Where frames are written to: a video, or a picture, by the suffix; it takes its final name when all went well.

    All frames of a video have the size of the first; others are put into its middle. Raises OSError if it cannot be
    written.
    """
    with replacing(path) as partial:
        recorder = _Picture(partial) if partial.suffix.lower() in PICTURES else _Video(partial, fps)
        try:
            yield recorder
        finally:
            recorder.close()
        if not partial.exists() or not partial.stat().st_size:
            raise OSError(f"{path} cannot be written: the disk is full, or OpenCV has no encoder for it")


class _Picture:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, frame: np.ndarray) -> None:
        _, content = cv2.imencode(self._path.suffix, frame)
        self._path.write_bytes(content.tobytes())

    def close(self) -> None:
        pass


class _Video:
    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: np.ndarray) -> None:
        if self._writer is None:
            self._size = frame.shape[1], frame.shape[0]
            codec = cv2.VideoWriter.fourcc(*VIDEOS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
        self._writer.write(_fit(frame, self._size))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


def _fit(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The frame in the middle of a black one of another (width, height), as large as fits."""
    height, width = frame.shape[:2]
    if (width, height) == size:
        return frame
    scale = min(size[0] / width, size[1] / height)
    inner = cv2.resize(frame, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA)
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (size[1] - inner.shape[0]) // 2, (size[0] - inner.shape[1]) // 2
    whole[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return whole
