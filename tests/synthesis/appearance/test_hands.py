import numpy as np

from nntrack.synthesis.appearance import face_texture, hands
from nntrack.synthesis.heads import built_in


def look(rng):
    return face_texture.draw_looks(rng, built_in.built_in().placed)


def test_arms_are_closed_sheets_of_valid_triangles(rng):
    for sheet in hands.draw_arms(rng, look(rng)):
        assert np.isfinite(sheet.points).all() and sheet.triangles.max() < len(sheet.points) == len(sheet.follows)
        assert ((sheet.uv >= 0) & (sheet.uv <= 1)).all()
        assert (sheet.texture[..., 1] == 1).all()


def test_bones_keep_their_lengths_wherever_the_wrist_goes(rng):
    for wrist in rng.normal(0, 6, (200, 3)):
        elbow, reached = hands.bent(hands.SHOULDER, wrist, rng.normal(0, 1, 3))
        assert np.isclose(np.linalg.norm(elbow - hands.SHOULDER), hands.UPPER)
        assert np.isclose(np.linalg.norm(reached - elbow), hands.FORE)


def test_the_arms_hang_on_either_side(rng):
    right, left = hands.draw_arms(rng, look(rng))
    assert right.points[: hands.TURNS, 0].max() < 0 < left.points[: hands.TURNS, 0].min()
