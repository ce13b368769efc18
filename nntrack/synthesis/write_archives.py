"""Writes the synthetic archives: rendered heads in the originals' layout, annotated as the originals are.

Every image depends on (seed, archive, number) alone, so the bytes are the same whatever the number of workers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nntrack.config import Synthesize
from nntrack.data import images
from nntrack.data.datasets import DATASETS
from nntrack.files import check_outputs, replacing
from nntrack.readers import marks
from nntrack.readers._parallel import ProgressBar, in_order, one_thread
from nntrack.synthesis.archives import aflw2000, biwi, clip, formats, w300lp, widerface, ytfaces
from nntrack.synthesis.archives.formats import Members
from nntrack.synthesis.heads.load import load

_SHEET_IMAGES, _COLUMNS, _TILE = 40, 8, 160  # contact sheet: images, images in a row, px of their height
_CHUNK = 4  # samples that a worker renders at a time

Render = Callable[[int, int], tuple[Members, np.ndarray]]  # (seed, number) to a sample's members and one image


class Plan(NamedTuple):
    """One archive: its name, how a sample is rendered, how many, and how they are written.

    name: of the dataset that it imitates, or "clip", which imitates none.
    """

    name: str
    render: Render
    samples: int
    write: Callable[[Path, Iterable[Members]], None]

    @property
    def path(self) -> str:
        """The file or folder that is written, in the folder of all archives."""
        return DATASETS[self.name].archive if self.name in DATASETS else self.name


def plans(sizes: Synthesize) -> list[Plan]:
    """The archives to be written."""
    heads = sizes.sources
    return [
        Plan("aflw2k", partial(aflw2000.render, heads=heads), sizes.aflw2k, formats.write_zip),
        Plan("w300lp", partial(w300lp.render, views=sizes.views, heads=heads), sizes.w300lp, formats.write_zip),
        Plan("ytfaces", partial(ytfaces.render, frames=sizes.frames, heads=heads), sizes.clips, ytfaces.write),
        Plan("widerface", partial(widerface.render, heads=heads), sizes.widerface, widerface.write),
        Plan("biwi", partial(biwi.render, heads=heads), sizes.biwi, biwi.write),
        Plan("clip", partial(clip.render, frames=sizes.clip, heads=heads), sizes.clip, clip.write),
    ]


def synthesize(folder: Path, sizes: Synthesize, seed: int, workers: int | None = None) -> None:
    """Write the archives, their marks and contact sheets (``sheets/<name>.jpg``) into ``folder``.

    Raises FileNotFoundError or ValueError if the head model cannot be read, ValueError if something else lies there.

    Args:
        folder: where to write.
        sizes: of the archives.
        seed: of all random numbers.
        workers: processes, None for one per core.
    """
    archives = {folder / plan.path: plan for plan in plans(sizes)}
    sheets = {path: folder / "sheets" / f"{plan.name}.jpg" for path, plan in archives.items()}
    for path, sheet_path in sheets.items():
        if path.exists() and not sheet_path.exists():
            raise ValueError(f"{path} was not written by this stage (there is no {sheet_path}): name another folder")
        if path.exists() and not marks.is_marked(path):
            raise ValueError(
                f"{path} is not what this stage wrote ({marks.mark_path(path)} says something else): move it away, or"
                " delete it if nobody needs it"
            )
    zips = [path for path in archives if path.suffix]
    folders = {path: ("*.zip", "*.csv", clip.VIDEO) for path in archives if not path.suffix}
    outputs = [*zips, *map(marks.mark_path, archives), *sheets.values()]
    check_outputs(*outputs, folders=folders, inputs=[sizes.facekit])
    with one_thread():  # as in workers that are not forked, which load the head again
        for source in sizes.sources:
            load(source)  # before they start, so that errors are reported once
    for path, plan in archives.items():
        shown: list[np.ndarray] = []
        with replacing(path) as partial_path:
            plan.write(partial_path, _rendered(plan, seed, workers, shown))
            height, width = shown[0].shape[:2]
            sheet = images.contact_sheet(shown, _COLUMNS, (_TILE, round(_TILE * width / height)))
            with replacing(sheets[path]) as sheet_path:  # first, as it tells whose the archive is
                sheet_path.write_bytes(formats.jpeg(sheet, 95))
        marks.write_mark(path)


def _rendered(plan: Plan, seed: int, workers: int | None, shown: list[np.ndarray]) -> Iterator[Members]:
    """Members sample by sample; some images, evenly spaced, are added to ``shown``."""
    every = max(1, plan.samples // _SHEET_IMAGES)
    chunks = [range(plan.samples)[i : i + _CHUNK] for i in range(0, plan.samples, _CHUNK)]
    with ProgressBar(total=plan.samples, desc=f"rendering {plan.path}", mininterval=1.0) as bar:
        for samples in in_order(_render_chunk, (plan.render, seed), chunks, workers):
            for members, image in samples:
                if bar.n % every == 0 and len(shown) < _SHEET_IMAGES:
                    shown.append(image)
                bar.update()
                yield members


def _render_chunk(context: tuple[Render, int], numbers: Sequence[int]) -> list[tuple[Members, np.ndarray]]:
    render, seed = context
    return [render(seed, number) for number in numbers]
