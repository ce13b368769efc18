"""The report card of a pair of networks: every person, face or video is measured by itself, on all cores.

Sections: "rendered" always; of an HDF5 file the name of its reader ("aflw2k", "widerface"); "ytfaces", "videos".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nntrack.data.hdf5 import Stored
from nntrack.deploy.frames import open_source
from nntrack.evaluation.card import clips, faces, rendered
from nntrack.evaluation.card.client import Client, Columns
from nntrack.evaluation.card.lines import ELEVATIONS, WIDTHS, figures
from nntrack.evaluation.evaluate import source_of
from nntrack.evaluation.metrics import Figure
from nntrack.evaluation.perturbations import SCALES
from nntrack.readers import ytfaces
from nntrack.readers._parallel import ProgressBar, in_order
from nntrack.synthesis import controlled

YTFACES = 20  # videos
FACES = 100  # of an HDF5 file
FPS = 25.0  # of YTFaces, whose files do not say so
SUFFIXES = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".webm")
_CHUNK = 50  # frames that a process localizes at a time
LEAST_FACE = 48  # px, longer side of a face without a pose on which the pose net is tried

Family = Callable[[Client, list[int]], Columns]
Rows = Sequence[tuple[str, Columns]]  # what was measured once, and the name of what it is resampled with
# What is rendered: a measure, and of how many people in the default size
FAMILIES: dict[str, tuple[Family, int]] = {
    "live": (clips.live, 8),
    "gone": (clips.gone, 6),
    "distance": (rendered.distance, 20),
    "turn": (rendered.turn, 8),
    "gain": (rendered.gain, 10),
    "worn": (rendered.worn, 32),
    "expressions": (rendered.expressions, 32),
    "light": (rendered.light, 32),
    "faces": (rendered.face, 100),
}


class Section(NamedTuple):
    """What was measured on one kind of input. source: "synthetic", "real" or "unknown".

    curves: points by the name of the curve, each a record with numbers and names.
    """

    source: str
    lines: dict[str, Figure]
    curves: dict[str, list[dict[str, Any]]]


class _Task(NamedTuple):
    """One piece of work for a process."""

    section: str
    work: Callable[[Client], Rows]


def measure(
    networks: tuple[Path, Path],
    *,
    size: float = 1.0,
    seed: int = 0,
    datasets: Sequence[Path] = (),
    clips_of: Path | None = None,
    videos: Sequence[Path] = (),
    workers: int | None = None,
) -> dict[str, Section]:
    """The card of a localizer and a pose net, by section.

    Raises as `Tracker`, `Stored` and `frames.open_source`, and ValueError for a dataset without faces or given twice.

    Args:
        networks: ONNX files of the localizer and the pose net.
        size: of the counts of people and faces, relative to the default.
        seed: of all random numbers.
        datasets: HDF5 files of faces: with their poses, or of WIDER FACE.
        clips_of: a YTFaces archive of real videos.
        videos: files, or folders of them.
        workers: processes, None for one per core; they do not change the figures.
    """
    # first, so that errors are reported once and at once
    Client(*networks)
    stored = [Stored(path) for path in datasets]
    files = [file for path in videos for file in _files(path)]
    for file in files:
        open_source([str(file)])
    if twice := next((_name(one) for i, one in enumerate(stored) if _name(one) in map(_name, stored[:i])), None):
        raise ValueError(f"two files hold samples of '{twice}': measure them one after the other")
    tasks = [
        *_rendered(size, seed),
        *(task for one in stored for task in _stored(one, size, seed)),
        *([_Task("ytfaces", partial(_ytfaces, clips_of))] if clips_of else []),
        *(_Task("videos", partial(_video, file)) for file in files),
    ]
    sources = dict.fromkeys(("ytfaces", "videos"), "real") | {"rendered": "synthetic"}
    sources |= {_name(one): source_of(one) for one in stored}
    controlled.head()
    rows: dict[str, list[tuple[str, Columns]]] = {}
    with ProgressBar(total=len(tasks), desc="report card", unit="") as bar:
        for task, found in zip(tasks, in_order(_run, networks, tasks, workers), strict=True):
            rows.setdefault(task.section, []).extend(found)
            bar.update()
    return {name: _section(sources[name], found, seed) for name, found in rows.items()}


def as_json(networks: tuple[Path, Path], sections: Mapping[str, Section]) -> dict[str, Any]:
    """What ``metrics/card.json`` holds."""
    return {
        "networks": {kind: path.name for kind, path in zip(("localizer", "pose"), networks, strict=True)},
        "sections": {
            name: {
                "source": section.source,
                "lines": {line: figure._asdict() for line, figure in section.lines.items()},
            }
            for name, section in sections.items()
        },
    }


def _rendered(size: float, seed: int) -> Iterator[_Task]:
    for stream, (name, (family, count)) in enumerate(FAMILIES.items()):
        for number in range(max(2, round(size * count))):
            yield _Task("rendered", partial(_one, family, f"{name} {number}", [seed, stream, number]))


def _one(family: Family, group: str, seed: list[int], client: Client) -> Rows:
    return [(group, family(client, seed))]


def _stored(stored: Stored, size: float, seed: int) -> Iterator[_Task]:
    """Tasks for evenly chosen faces of a dataset, and for all its frames if some have no face: the localizer's."""
    path, name = Path(stored.path), _name(stored)
    labelled = stored.masks["face"] & (stored.masks["bbox"] | (stored.labels["face"] == 0))
    rows = np.flatnonzero(
        labelled & (stored.labels["face"] == 1) & (_is_posed(stored) | (_face_sides(stored) >= LEAST_FACE))
    )
    empty = np.flatnonzero(labelled & (stored.labels["face"] == 0))
    if not len(rows):
        raise ValueError(f"{path} holds no face to measure on")
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, max(2, round(size * FACES))).round().astype(int))]
    for number, row in enumerate(chosen):
        other = int(empty[number * len(empty) // len(chosen)]) if len(empty) else None
        yield _Task(name, partial(_stored_face, path, int(row), other, [seed, number]))
    frames = np.flatnonzero(labelled & (len(empty) > 0))
    for start in range(0, len(frames), _CHUNK):
        yield _Task(name, partial(_localized, path, frames[start : start + _CHUNK]))


def _stored_face(path: Path, row: int, empty: int | None, seed: list[int], client: Client) -> Rows:
    stored = _open(path)
    quat, pos_size, box = (stored.labels[name][row].astype(np.float64) for name in ("quat", "pos_size", "bbox"))
    posed = bool(_is_posed(stored)[row])
    nothing = None if empty is None else np.array(stored.image[empty])
    face = faces.Face(np.array(stored.image[row]), box, quat if posed else None, pos_size if posed else None, nothing)
    return [(str(stored.strings["group"][row]), faces.measure(client, face, np.random.default_rng(seed)))]


def _localized(path: Path, rows: np.ndarray, client: Client) -> Rows:
    """Faces of a dataset by the nearest of `WIDTHS`, and frames without one."""
    stored, found = _open(path), []
    for row in rows:
        image, box = np.array(stored.image[row]), stored.labels["bbox"][row].astype(np.float64)
        if stored.labels["face"][row]:
            percent = 100 * max(float(box[2] - box[0]), 1.0) / image.shape[1]
            width = min(WIDTHS, key=lambda one: abs(np.log(one / percent)))
            columns = rendered.localized(client, f"{width:02d}", faces.Face(image, box))
        else:
            columns = {"false_alarms": 100.0 * (client.localize(image) is not None)}
        found.append((str(stored.strings["group"][row]), columns))
    return found


def _ytfaces(archive: Path, client: Client) -> Rows:
    return [
        row for name, frames in ytfaces.read_videos(archive, YTFACES) for row in _seconds(client, name, frames, FPS)
    ]


def _video(path: Path, client: Client) -> Rows:
    source = open_source([str(path)])
    return _seconds(client, path.name, source, source.fps)


def _seconds(client: Client, name: str, frames: Iterable[np.ndarray], fps: float) -> Rows:
    return [(f"{name} {number}", row) for number, row in enumerate(clips.video(client, frames, fps))]


def _files(path: Path) -> list[Path]:
    """A video, or those of a folder. Raises FileNotFoundError if there is none."""
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not found:
        raise FileNotFoundError(f"{path} holds no video ({', '.join(SUFFIXES)})")
    return found


def _run(networks: tuple[Path, Path], task: _Task) -> Rows:
    return task.work(_client(networks))


@cache
def _client(networks: tuple[Path, Path]) -> Client:
    return Client(*networks)


@cache
def _open(path: Path) -> Stored:
    return Stored(path)


def _name(stored: Stored) -> str:
    return str(stored.attributes.get("reader", Path(stored.path).stem))


def _is_posed(stored: Stored) -> np.ndarray:
    return stored.masks["quat"] & stored.masks["pos_size"]


def _face_sides(stored: Stored) -> np.ndarray:
    box = stored.labels["bbox"]
    return (box[:, 2:] - box[:, :2]).max(axis=1)


def _section(source: str, rows: Rows, seed: int) -> Section:
    names = sorted({name for _, row in rows for name in row})
    columns = {name: np.array([row.get(name, np.nan) for _, row in rows]) for name in names}
    lines = figures(columns, np.array([group for group, _ in rows]), seed)
    return Section(source, lines, dict(_curves(columns)))


def _curves(columns: Mapping[str, np.ndarray]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The means of what is measured step by step."""

    def mean(name: str) -> float:
        return round(float(np.nanmean(columns[name])), 3)

    points: dict[str, list[tuple[dict[str, Any], str, str]]] = {
        "crop": [
            ({"scale": round(float(scale), 3)}, "pitch", f"curve_crop_{i}") for i, scale in enumerate(SCALES["wide"])
        ],
        "gain": [
            ({"axis": axis, "true": step}, "predicted", f"curve_gain_{axis}_{step}")
            for axis, steps in rendered.SWEEPS.items()
            for step in steps
        ],
        "turn": [
            ({"elevation": elevation, "yaw": yaw}, "pitch", f"curve_turn_{elevation}_{yaw}")
            for elevation in ELEVATIONS
            for yaw in rendered.TURN
        ],
        "distance": [({"width": width}, "found", f"found_{width:02d}") for width in WIDTHS],
    }
    for name, steps in points.items():
        known = [(at, what, column) for at, what, column in steps if np.isfinite(columns.get(column, np.nan)).any()]
        if known:
            yield name, [at | {what: mean(column)} for at, what, column in known]
