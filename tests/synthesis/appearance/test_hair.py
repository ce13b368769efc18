import numpy as np
import pytest

from nntrack.synthesis.appearance import hair


@pytest.mark.parametrize("style", hair.STYLES)
def test_every_style_leaves_the_nose_free(style, rng, monkeypatch):
    monkeypatch.setattr(hair, "STYLES", {style: 1.0})
    for _ in range(10):
        sheet = hair.sample_hair(rng, np.ones(3), 0.2, 0.1)
        assert np.all(np.isfinite(sheet.points)) and sheet.texture.min() >= 0 and sheet.texture.max() <= 1
        front = sheet.points[(np.abs(sheet.points[:, 0]) < 0.1) & (sheet.points[:, 2] < 0)]
        assert not np.any(front[:, 1] > 0.2)


def test_most_foreheads_are_bare():
    assert hair.STYLES["fringe"] < 0.2 and sum(hair.STYLES.values()) == pytest.approx(1)
