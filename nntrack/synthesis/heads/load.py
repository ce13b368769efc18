"""Finds the head model that the parameters ask for."""

from functools import cache
from pathlib import Path

from nntrack.synthesis.heads import built_in, scan
from nntrack.synthesis.heads.head_model import HeadModel


@cache
def load(folder: str | None) -> HeadModel:
    """The scanned head of a folder, or the built-in one if there is none; made once per process.

    Raises FileNotFoundError or ValueError as `facekit.read` does.
    """
    return built_in.built_in() if folder is None else scan.load(Path(folder))
