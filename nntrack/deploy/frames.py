"""Frames to track a head in: those of a video, of a camera, or pictures."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# ffmpeg would print what it thinks of a damaged video, besides the error; read when OpenCV opens its first video
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_USUAL_FPS = 30.0  # of a camera or video that does not say


class CameraGone(OSError):
    """A camera does not go on."""


@dataclass(frozen=True)
class Source:
    """Where frames come from; iterating gives them, (H, W, 3) BGR uint8.

    title: for messages. count: of frames, None if it is not known. fps: frames per second. camera: whether a camera
    delivers them, without an end. still: whether each is a picture by itself.
    """

    title: str
    frames: Iterator[np.ndarray]
    count: int | None
    fps: float
    camera: bool = False
    still: bool = False

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.frames


def open_source(names: Sequence[str]) -> Source:
    """Open a video, a camera by its number, or pictures.

    Raises FileNotFoundError or ValueError, naming the file or camera, if there is nothing to read; iterating raises
    ValueError for a picture that cannot be decoded, and `CameraGone` when a camera does not go on.
    """
    if len(names) == 1 and names[0].isdecimal() and not Path(names[0]).exists():
        return _camera(int(names[0]))
    paths = [Path(name) for name in names]
    for path in paths:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder: name a video, pictures, or the number of a camera")
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: name a video, pictures, or the number of a camera")
    if all(path.suffix.lower() in PICTURES for path in paths):
        return Source(_title(paths), _pictures(paths), len(paths), 1.0, still=True)
    if len(paths) > 1:
        other = next(path for path in paths if path.suffix.lower() not in PICTURES)
        raise ValueError(f"{other} is no picture ({', '.join(PICTURES)}): name pictures, or one video")
    return _video(paths[0])


def _video(path: Path) -> Source:
    capture = cv2.VideoCapture(str(path))
    read, first = capture.read() if capture.isOpened() else (False, None)
    if not read or first is None:
        raise ValueError(f"{path} holds no frame that can be read: it is damaged, empty, or no video")
    said = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return Source(str(path), _rest(capture, first), said if said > 0 else None, _fps(capture))


def _camera(number: int) -> Source:
    capture = cv2.VideoCapture(number)
    read, first = capture.read() if capture.isOpened() else (False, None)
    if not read or first is None:
        raise OSError(f"camera {number} cannot be opened: is it connected, and does no other program use it?")
    return Source(f"camera {number}", _endless(capture, first, number), None, _fps(capture), camera=True)


def _fps(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps < 1000 else _USUAL_FPS


def _rest(capture: cv2.VideoCapture, first: np.ndarray) -> Iterator[np.ndarray]:
    frame: np.ndarray = first
    read = True
    while read:
        yield frame
        read, frame = capture.read()
    capture.release()


def _endless(capture: cv2.VideoCapture, first: np.ndarray, number: int) -> Iterator[np.ndarray]:
    yield from _rest(capture, first)
    raise CameraGone(f"camera {number} delivers no more frames: it was disconnected, or another program has taken it")


def _pictures(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
        if image is None:
            raise ValueError(f"{path} cannot be decoded as a picture")
        yield image


def _title(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} pictures"
