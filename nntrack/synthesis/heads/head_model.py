"""The interface that every source of heads implements."""

from typing import Protocol

import numpy as np

from nntrack.synthesis.mesh import Mesh


class HeadModel(Protocol):
    """A mesh of n vertices that can be any person with any expression. Frame and unit of `geometry.neutral_face`.

    An expression is a vector (e,), whose meaning is the model's own; two of them may be interpolated.
    """

    @property
    def mesh(self) -> Mesh:
        """The neutral head; its first s vertices are those of the skin, and no others are."""

    @property
    def landmarks(self) -> np.ndarray:
        """Vertex indices (68,) of the landmarks."""

    @property
    def occlusion(self) -> np.ndarray:
        """How much of the ambient light reaches each vertex (n,), 0..1."""

    @property
    def neck(self) -> np.ndarray:
        """How each vertex (n,) moves: 0 with the head, 1 with the shoulders."""

    @property
    def surface_points(self) -> np.ndarray:
        """Where each skin vertex lies on the neutral surface (s, 3), for which hair and texture are made."""

    @property
    def hair_freedom(self) -> np.ndarray:
        """How freely hair may stand off at each skin vertex (s,), 0..1."""

    @property
    def neutral_expression(self) -> np.ndarray:
        """The expression of a face at rest (e,)."""

    def skull(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Size (3,) of the skull of a head (n, 3) at rest, relative to the neutral one's, and its centre (3,)."""

    def sample_identity(self, rng: np.random.Generator) -> np.ndarray:
        """The vertices (n, 3) of a random person's head at rest, its eye corners' mean at the origin."""

    def sample_expression(self, rng: np.random.Generator) -> np.ndarray:
        """A random expression (e,)."""

    def express(self, rest: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The vertices (n, 3) of a head (n, 3) at rest with an expression (e,)."""

    def creases(self, expression: np.ndarray) -> np.ndarray:
        """How deep each of `appearance.creases.CREASES` is with an expression (e,): 0 not at all, 1 deep."""
