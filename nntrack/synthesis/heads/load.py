"""What draws a head: the built-in one or a scanned one, behind the same few names."""

from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from nntrack.synthesis.heads import built_in, scan
from nntrack.synthesis.heads.mesh import Mesh


class HeadModel(Protocol):
    """A mesh that can be any person with any expression. Frame and unit of `reference`.

    mesh: n neutral vertices, those of the skin first. landmarks (68,): vertex indices. occlusion (n,): how much of the
    light from all around arrives, 0..1. neck (n,): 0 moves with the head, 1 with the shoulders. placed (s, 3): where
    each of the s skin vertices lies on the built-in neutral surface, which is what hair and texture are drawn for.
    grows (s,): how freely hair may stand off there, 0..1.
    """

    @property
    def mesh(self) -> Mesh: ...  # noqa: D102
    @property
    def landmarks(self) -> np.ndarray: ...  # noqa: D102
    @property
    def occlusion(self) -> np.ndarray: ...  # noqa: D102
    @property
    def neck(self) -> np.ndarray: ...  # noqa: D102
    @property
    def placed(self) -> np.ndarray: ...  # noqa: D102
    @property
    def grows(self) -> np.ndarray: ...  # noqa: D102

    @property
    def at_rest(self) -> np.ndarray:
        """The expression of a face at rest. Expressions are vectors (e,) that may be interpolated."""

    def skull(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How much larger than the built-in neutral skull that of a head at rest is (3,), and its middle (3,)."""

    def draw_identity(self, rng: np.random.Generator) -> np.ndarray:
        """The vertices (n, 3) of a random person's head at rest."""

    def draw_expression(self, rng: np.random.Generator) -> np.ndarray:
        """A random expression."""

    def express(self, rest: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The vertices (n, 3) of a head at rest with an expression."""


@cache
def load(folder: str | None) -> HeadModel:
    """The scanned head of a folder, or the built-in one; made once per process.

    Raises FileNotFoundError or ValueError as `facekit.read` does.
    """
    return built_in.built_in() if folder is None else scan.load(Path(folder))
