import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.synthesis.heads.surface import CENTRE, mirrored, openings, project


def test_neutral_landmarks_are_symmetric_and_centred_between_the_eyes():
    np.testing.assert_allclose(mirrored(NEUTRAL_LANDMARKS)[landmarks.MIRROR], NEUTRAL_LANDMARKS)
    np.testing.assert_allclose(NEUTRAL_LANDMARKS[list(landmarks.EYE_CORNERS)].mean(axis=0), 0, atol=1e-12)


def test_neutral_landmarks_agree_with_the_aflw_convention(shared):
    table = np.loadtxt(shared / "mean_landmarks68.csv", delimiter=",", skiprows=3)[:, 1:]
    assert np.sqrt(np.sum((NEUTRAL_LANDMARKS - table) ** 2, axis=1).mean()) <= 0.05
    turn, _ = Rotation.align_vectors(table - table.mean(axis=0), NEUTRAL_LANDMARKS - NEUTRAL_LANDMARKS.mean(axis=0))
    assert np.degrees(turn.magnitude()) <= 1


def test_the_surface_goes_through_the_landmarks():
    np.testing.assert_allclose(project(NEUTRAL_LANDMARKS), NEUTRAL_LANDMARKS, atol=1e-9)


def test_the_surface_is_its_own_mirror_image(rng):
    points = CENTRE + rng.normal(size=(50, 3))
    np.testing.assert_allclose(project(mirrored(points)), mirrored(project(points)), atol=1e-9)


def test_openings_go_through_their_landmarks_upper_edge_first():
    curves = {landmarks.RIGHT_EYE: openings().right_eye, landmarks.INNER_LIPS: openings().mouth}
    for indices, curve in curves.items():
        for point in NEUTRAL_LANDMARKS[list(indices)]:
            assert np.linalg.norm(curve - point, axis=1).min() < 1e-6
        half = len(curve) // 2
        assert curve[:half, 1].mean() < curve[half:, 1].mean()
