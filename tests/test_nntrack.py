import doctest

import cv2
import numpy as np
import pytest

import nntrack
from tests import onnx_files


def test_the_example_works(tmp_path, monkeypatch):
    onnx_files.localizer(tmp_path / "head-localizer.onnx")
    onnx_files.pose(tmp_path / "head-pose.onnx")
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((48, 64), 90, np.uint8))
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(nntrack)
    assert results.attempted == 7 and not results.failed


def test_the_public_names_are_there_and_no_others():
    assert all(getattr(nntrack, name) for name in nntrack.__all__)
    with pytest.raises(AttributeError, match="module 'nntrack' has no attribute 'train'"):
        getattr(nntrack, "train")  # noqa: B009
