"""Draws the synthetic archives: heads of the pipeline's own, in the originals' layout, annotated as the originals are.

Every picture depends on (seed, archive, number) alone, so the bytes are the same whatever the number of workers.
"""

from collections.abc import Callable, Iterator, Sequence
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
from nntrack.synthesis.archives import biwi, formats, w300lp, widerface, ytfaces
from nntrack.synthesis.archives.formats import ZipWriter
from nntrack.synthesis.heads import load

SHEET = 40  # pictures on a contact sheet
_COLUMNS, _TILE = 8, 160  # px, height of a picture on it

Members = list[tuple[str, bytes]]  # path in the archive (its first part is a zip's name, where there are several), data


class Plan(NamedTuple):
    """One archive. draw: (seed, task) to members and one picture to show."""

    dataset: str
    draw: Callable[[int, int], tuple[Members, np.ndarray]]
    tasks: int
    write: Callable[[Path, Iterator[Members]], None]

    @property
    def path(self) -> str:
        """Its name in the folder of archives."""
        return DATASETS[self.dataset].archive


def plans(sizes: Synthesize) -> list[Plan]:
    """What is drawn, and how much."""
    head = sizes.head
    wide = partial(w300lp.w300lp, sizes.views)
    return [
        Plan("aflw2k", partial(w300lp.aflw2k, head=head), sizes.aflw2k, _write_zip),
        Plan("300wlp", partial(wide, head=head), sizes.photos_300wlp, _write_zip),
        Plan("ytfaces", partial(ytfaces.draw, sizes.frames, head=head), sizes.clips, ytfaces.write),
        Plan("widerface", partial(widerface.draw, head=head), sizes.widerface, widerface.write),
        Plan("biwi", partial(biwi.draw, head=head), sizes.biwi, biwi.write),
    ]


def synthesize(folder: Path, sizes: Synthesize, seed: int, workers: int | None = None) -> None:
    """Write the archives, their marks and contact sheets (``sheets/<dataset>.jpg``) into ``folder``.

    workers: processes, None for one per core. Raises FileNotFoundError or ValueError if the head model cannot be read.
    """
    archives = [folder / plan.path for plan in plans(sizes)]
    sheets = [_sheet_path(folder, plan) for plan in plans(sizes)]
    for archive, beside in zip(archives, sheets, strict=True):
        if archive.exists() and not beside.exists():
            raise ValueError(f"{archive} was not written by this stage (there is no {beside}): name another folder")
    zips = [archive for archive in archives if archive.suffix]
    parts = {archive: ("*.zip", "*.csv") for archive in archives if not archive.suffix}
    check_outputs(*zips, *map(marks.mark_path, archives), *sheets, folders=parts, inputs=[sizes.head])
    with one_thread():  # as workers have it that are not forked, and so load it again
        load.load(sizes.head)  # before they start, so that errors are told once
    for plan in plans(sizes):
        shown: list[np.ndarray] = []
        with replacing(folder / plan.path) as partial_path:
            plan.write(partial_path, _drawn(plan, seed, workers, shown))
            height, width = shown[0].shape[:2]
            sheet = images.contact_sheet(shown, _COLUMNS, (_TILE, round(_TILE * width / height)))
            with replacing(_sheet_path(folder, plan)) as sheet_path:  # first, as it tells whose the archive is
                sheet_path.write_bytes(formats.jpeg(sheet, 95))
        marks.write_mark(folder / plan.path)


def _sheet_path(folder: Path, plan: Plan) -> Path:
    return folder / "sheets" / f"{plan.dataset}.jpg"


def _drawn(plan: Plan, seed: int, workers: int | None, shown: list[np.ndarray]) -> Iterator[Members]:
    """Members task by task; the first pictures are kept in ``shown``."""
    numbers = range(plan.tasks)
    chunks = [numbers[i : i + 4] for i in range(0, plan.tasks, 4)]
    with ProgressBar(total=plan.tasks, desc=f"drawing {plan.path}", mininterval=1.0) as bar:
        for results in in_order(_draw_chunk, (plan.draw, seed), chunks, workers):
            for members, picture in results:
                if len(shown) < SHEET:
                    shown.append(picture)
                bar.update()
                yield members


def _draw_chunk(
    context: tuple[Callable[[int, int], tuple[Members, np.ndarray]], int], numbers: Sequence[int]
) -> list[tuple[Members, np.ndarray]]:
    draw, seed = context
    return [draw(seed, number) for number in numbers]


def _write_zip(path: Path, parts: Iterator[Members]) -> None:
    with ZipWriter(path) as archive:
        for members in parts:
            for name, data in members:
                archive.add(name, data)
