"""Finds the head models that the parameters ask for."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from nntrack.synthesis.heads import parametric, scan
from nntrack.synthesis.heads.head_model import HeadModel

Sources = Mapping[str, float]  # fraction of the people whose heads are of each source: "anny", or a folder of scans


@cache
def load(source: str) -> HeadModel:
    """The head model of a source; made once per process. Raises FileNotFoundError or ValueError as `facekit.read`."""
    return parametric.parametric() if source == "anny" else scan.load(Path(source))


def sample_head(rng: np.random.Generator, sources: Sources) -> HeadModel:
    """The head model of a random person."""
    names = list(sources)
    total = sum(sources.values())
    return load(names[0] if len(names) == 1 else rng.choice(names, p=[sources[name] / total for name in names]))
