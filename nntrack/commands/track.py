"""Track a head in a video, in front of a camera, or in pictures."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nntrack.contract import WORLD_POSE

if TYPE_CHECKING:
    from nntrack import HeadPose
    from nntrack.deploy.frames import Source
    from nntrack.reporting.screen import Screen

_RECENT = 0.1  # weight of the last frame in the shown frames per second


def main(
    source: Annotated[list[str], typer.Argument(help="a video, the number of a camera, or pictures")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="video, or picture, with what was found")] = None,
    csv: Annotated[Path | None, typer.Option(help="table of the poses, a row per frame")] = None,
    models: Annotated[
        Path | None,
        typer.Option(help="folder of head-localizer.onnx and head-pose.onnx; models/onnx, or those of the package"),
    ] = None,
    fov: Annotated[float, typer.Option(help="diagonal field of view of the camera, degrees")] = WORLD_POSE.fov,
    opentrack: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="send the poses to Opentrack's input 'UDP over network'")
    ] = None,
    window: Annotated[bool, typer.Option(help="show in a window what is found")] = True,
    smooth: Annotated[bool, typer.Option(help="filter angles and position as Opentrack does by default")] = True,
) -> None:
    """Track the head in SOURCE as Opentrack does, and show, write or send what is found.

    Without a screen no window is shown. A camera is followed until the window is closed, q is pressed, or Ctrl-C.

    Example: nntrack track video.mp4 --out tracked.mp4 --csv poses.csv
    """
    from nntrack.deploy import frames, pretrained, tracker
    from nntrack.deploy.opentrack_udp import OpentrackSender
    from nntrack.files import check_outputs
    from nntrack.reporting import tracking

    files = pretrained.find(models)
    check_outputs(out, csv, inputs=[*files, *source])
    follow = tracker.Tracker(*files, fov=fov, smooth=smooth)
    stream = frames.open_source(source)
    if out:
        tracking.check_suffix(out, stream.still, stream.count)
    gone: OSError | None = None
    with ExitStack() as stack:
        screen = _open_screen(stream.title, bool(out or csv or opentrack)) if window else None
        if screen:
            stack.callback(screen.close)
        recorder = stack.enter_context(tracking.recording(out, stream.fps)) if out else None
        rows = stack.enter_context(tracking.table(csv)) if csv else None
        sender = stack.enter_context(OpentrackSender(opentrack)) if opentrack else None
        report = _Report(stream)
        try:
            for frame in stream:
                if stream.still:
                    follow.reset()
                pose = follow(frame)
                number, seconds, speed = report.count(pose)
                state = str(follow.state)
                if sender and pose:
                    sender.send(pose)
                if rows:
                    rows(tracking.row(number, seconds, pose, state))
                if recorder or screen:
                    drawn = tracking.draw(frame, pose, state, speed)
                    for place in (recorder, screen):
                        if place:
                            place.write(drawn)
                if screen:
                    report.keep_pace()
                    if not screen.open:
                        break
        except frames.CameraGone as error:
            gone = error  # what was recorded until then is kept
        except KeyboardInterrupt:
            if not stream.camera:
                raise
        finally:
            report.close()
    print(report.summary([path for path in (out, csv) if path]))
    if gone:
        raise gone


def _open_screen(title: str, other: bool) -> "Screen | None":
    """The window, or None with a message if there can be none. Raises ValueError if there is no other output."""
    from nntrack.reporting.screen import Screen

    try:
        return Screen(title)
    except OSError as error:
        if not other:
            raise ValueError(
                f"no window can be shown, {error}: name a file, --out or --csv, or an address, --opentrack"
            ) from error
        print(f"no window is shown: {error}")
        return None


class _Report:
    """Counts frames and time, with a progress bar where the output is a terminal."""

    def __init__(self, stream: "Source") -> None:
        from tqdm import tqdm

        self._stream = stream
        self._bar = tqdm(total=stream.count, desc=stream.title, unit=" frames", disable=None, leave=False)
        self._start = self._last = time.perf_counter()
        self._speed: float | None = None
        self._frames = self._found = self._relocated = 0

    def count(self, pose: "HeadPose | None") -> tuple[int, float, float | None]:
        """Count a frame. Returns its number from 0, its time in seconds, and the recent frames per second."""
        now = time.perf_counter()
        rate = 1 / max(now - self._last, 1e-6)
        self._speed = rate if self._speed is None else (1 - _RECENT) * self._speed + _RECENT * rate
        self._last = now
        number = self._frames
        self._frames += 1
        self._found += pose is not None
        self._relocated += pose is not None and pose.relocated
        self._bar.update()
        return number, now - self._start if self._stream.camera else number / self._stream.fps, self._speed

    def keep_pace(self) -> None:
        """Wait until the next frame is due; a camera waits by itself."""
        if not self._stream.camera:
            due = self._start + self._frames / self._stream.fps
            time.sleep(max(0.0, due - time.perf_counter()))

    def close(self) -> None:
        """Take the progress bar away."""
        self._bar.close()

    def summary(self, written: list[Path]) -> str:
        """What there is to say at the end."""
        taken = time.perf_counter() - self._start
        text = (
            f"{self._stream.title}: a face in {self._found} of {self._frames} frames, "
            f"{self._relocated} times found elsewhere, {self._frames / max(taken, 1e-6):.0f} frames/s"
        )
        expected = self._stream.count
        if expected and not self._stream.still and self._frames < 0.95 * expected - 1:
            text += f"; it should hold {expected} frames: the rest cannot be read"
        return text + (f"; written: {', '.join(map(str, written))}" if written else "")
