import numpy as np

from nntrack.synthesis.appearance.creases import CREASES
from nntrack.synthesis.heads import anny, expressions

NAMES = tuple(anny.read().actions)


def test_faces_are_often_nearly_at_rest_sometimes_strong_and_mostly_alike_on_both_sides(rng):
    sampled = np.stack([expressions.sample(rng, NAMES) for _ in range(400)])
    jaw = sampled[:, NAMES.index("jawOpen")]
    assert 0.5 < np.mean(jaw < 0.1) < 0.9 and jaw.max() > 0.6
    right, left = (sampled[:, NAMES.index(f"eyeBlink{side}")] for side in ("Right", "Left"))
    assert 0.8 < np.mean(right == left) < 1
    assert np.mean(sampled[:, NAMES.index("mouthSmileLeft")] > 0.2) > 0.2
    assert np.mean(sampled[:, NAMES.index("browDownLeft")] > 0.4) > 0.08


def test_creases_follow_the_actions_whatever_their_suffix():
    for names in (("browDownLeft", "jawOpen"), ("browDown_L", "jawOpen")):
        np.testing.assert_array_equal(expressions.creases(names, np.array([0.7, 1.0])), [0.7, 0, 0, 0, 0])
    assert len(expressions.creases((), np.zeros(0))) == len(CREASES)
