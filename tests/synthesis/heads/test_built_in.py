import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.synthesis.heads import blendshapes, built_in
from nntrack.synthesis.heads.surface import mirrored, neutral_surface

HEAD = built_in.built_in()


def test_neutral_landmarks_are_symmetric_and_centred_between_the_eyes():
    np.testing.assert_allclose(mirrored(NEUTRAL_LANDMARKS)[landmarks.MIRROR], NEUTRAL_LANDMARKS)
    np.testing.assert_allclose(NEUTRAL_LANDMARKS[list(landmarks.EYE_CORNERS)].mean(axis=0), 0, atol=1e-12)


def test_neutral_landmarks_agree_with_the_aflw_convention(shared):
    table = np.loadtxt(shared / "mean_landmarks68.csv", delimiter=",", skiprows=3)[:, 1:]
    assert np.sqrt(np.sum((NEUTRAL_LANDMARKS - table) ** 2, axis=1).mean()) <= 0.05
    turn, _ = Rotation.align_vectors(table - table.mean(axis=0), NEUTRAL_LANDMARKS - NEUTRAL_LANDMARKS.mean(axis=0))
    assert np.degrees(turn.magnitude()) <= 1


def test_landmarks_are_vertices_of_the_surface():
    surface = neutral_surface()
    np.testing.assert_allclose(surface.points[surface.landmarks], NEUTRAL_LANDMARKS, atol=1e-9)
    assert set(surface.landmarks) <= set(surface.triangles.ravel())


def test_the_surface_is_its_own_mirror_image():
    surface = neutral_surface()
    np.testing.assert_allclose(mirrored(surface.points)[surface.mirror], surface.points, atol=1e-9)
    np.testing.assert_array_equal(surface.mirror[surface.mirror], np.arange(len(surface.points)))


def test_the_surface_is_closed_but_for_eyes_and_mouth():
    surface = neutral_surface()
    edges = np.sort(surface.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    rims = np.concatenate([surface.right_lids, surface.left_lids, surface.lips])
    assert set(edges[count == 1].ravel()) == set(rims)
    assert len(edges[count == 1]) == len(rims)


def test_triangles_face_outward():
    surface = neutral_surface()
    a, b, c = (surface.points[surface.triangles[:, i]] for i in range(3))
    volume = np.sum(a * np.cross(b, c)) / 6
    assert 3 < volume < 6  # litres


@pytest.mark.parametrize("name", blendshapes.IDENTITY)
def test_every_difference_between_people_is_seen_but_small(name):
    field = HEAD.identity[list(blendshapes.IDENTITY).index(name)]
    assert 0.004 < np.linalg.norm(field, axis=1).max() < 0.15


def test_people_differ_within_the_range_of_real_labels(rng):
    chosen = HEAD.landmarks
    heads = [HEAD.express(HEAD.sample_identity(rng), HEAD.sample_expression(rng))[chosen] for _ in range(20)]
    spread = [np.sqrt(np.sum((points - NEUTRAL_LANDMARKS) ** 2, axis=1).mean()) for points in heads]
    assert max(spread) <= built_in.MAX_DISTANCE + 1e-6
    assert np.median(spread) > 0.03


def test_identities_keep_the_origin_between_the_eyes(rng):
    corners = HEAD.landmarks[list(landmarks.EYE_CORNERS)]
    for _ in range(5):
        np.testing.assert_allclose(HEAD.sample_identity(rng)[corners].mean(axis=0), 0, atol=1e-3)


def test_rest_changes_nothing(rng):
    rest = HEAD.sample_identity(rng)
    np.testing.assert_allclose(HEAD.express(rest, HEAD.neutral_expression), rest, atol=1e-6)


def test_an_open_jaw_parts_the_lips_and_leaves_the_upper_face():
    expression = HEAD.neutral_expression
    expression[-3] = 0.2
    chosen = HEAD.landmarks
    moved = HEAD.express(HEAD.mesh.points, expression)[chosen] - NEUTRAL_LANDMARKS
    assert moved[66, 1] > 0.1 and moved[8, 1] > 0.1
    np.testing.assert_allclose(moved[[*range(17, 48), 50, 51, 52, 61, 62, 63]], 0, atol=0.01)


@pytest.mark.parametrize(("side", "upper", "lower"), [(0, (37, 38), (41, 40)), (1, (43, 44), (47, 46))])
def test_a_shut_eye_has_its_lids_together(side, upper, lower):
    expression = HEAD.neutral_expression
    expression[-2 + side] = 1
    points = HEAD.express(HEAD.mesh.points, expression)[HEAD.landmarks]
    gap = points[list(lower), 1] - points[list(upper), 1]
    assert np.all(np.abs(gap) < 0.02)
    other = [i for i in range(36, 48) if i not in landmarks.RIGHT_EYE] if side == 0 else list(landmarks.RIGHT_EYE)
    np.testing.assert_allclose(points[other], NEUTRAL_LANDMARKS[other], atol=1e-6)
