"""Images without a face, of which a pose net learns that it cannot know: windows of photos, and plain ones."""

import cv2
import numpy as np

from nntrack.data.hdf5 import Stored
from nntrack.data.sample import FIELDS, MASKS

PLAIN = 4  # for so many crops of photos there is one plain image, as of a covered camera ...
LEAST_PLAIN = 16  # ... but at least so many in all
GREYS = 256
# Windows in an image, as fractions xyxy of its sides: far backgrounds and their details are seen.
WINDOWS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0), (0.5, 0.0, 1.0, 0.5))


class FaceFree:
    """The middle of some images of a dataset, in several windows each, and plain images: what `Stored` has.

    image: (N, size, size) uint8, made when asked for. labels: ``face`` is 0, ``roi`` the window; nothing else is known.
    masks, strings, path: as those of `Stored`.
    """

    def __init__(self, stored: Stored, rows: np.ndarray, size: int) -> None:
        """
        Args:
            stored: a dataset with the label ``face``.
            rows: of it; those that show a face are left out.
            size: side of the images, px.
        """
        self.path = stored.path
        rows = rows[stored.masks["face"][rows] & (stored.labels["face"][rows] == 0)]
        self.image = _Images(stored, np.repeat(rows, len(WINDOWS)), size)
        count = len(self.image)
        self.labels = {name: np.zeros((count, *row.shape), np.float32) for name, row in FIELDS.items()}
        self.labels["roi"][:] = np.resize(WINDOWS, (count, 4)) * np.float32(size)
        self.masks = {name: np.full(count, name in ("face", "roi")) for name in MASKS}
        self.strings = {"name": np.array([f"without a face {number}" for number in range(count)])}

    def __len__(self) -> int:
        return len(self.image)

    def announce(self, rows: np.ndarray) -> None:
        """Tell the system which images will be looked at; see `Stored.announce`."""
        self.image.announce(rows)


class _Images:
    def __init__(self, stored: Stored, rows: np.ndarray, size: int) -> None:
        self._stored, self._rows, self._size = stored, rows, size
        self.shape = (len(rows) + max(len(rows) // PLAIN, LEAST_PLAIN), size, size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> np.ndarray:
        if number >= len(self._rows):
            return _plain(np.random.default_rng(number), self._size)
        image = self._stored.image[self._rows[number]]
        side = min(image.shape)
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        middle = image[top : top + side, left : left + side]
        return cv2.resize(middle, self.shape[1:], interpolation=cv2.INTER_AREA)

    def announce(self, numbers: np.ndarray) -> None:
        stored = self._rows[numbers[numbers < len(self._rows)]]
        if len(stored):
            self._stored.announce(stored)


def _plain(rng: np.random.Generator, size: int) -> np.ndarray:
    """One grey, noise, a gradient, or soft blots, (size, size) uint8."""
    grey, other = rng.integers(0, GREYS, 2)
    match rng.integers(4):
        case 0:
            return np.full((size, size), grey, np.uint8)
        case 1:
            return rng.integers(0, GREYS, (size, size), np.uint8)
        case 2:
            return np.tile(np.linspace(grey, other, size).astype(np.uint8)[:, None], (1, size))
        case _:
            cells = int(2 ** rng.uniform(1, 6))
            blots = rng.integers(0, GREYS, (cells, cells), np.uint8)
            return cv2.resize(blots, (size, size), interpolation=cv2.INTER_CUBIC)
