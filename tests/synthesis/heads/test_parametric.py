import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.readers import _rigid
from nntrack.synthesis.heads import identities, parametric
from nntrack.synthesis.mesh import Part

HEAD = parametric.parametric()


def expression(**weights):
    """Weights of actions by name; those without a side stand for both."""
    return np.array([next((w for n, w in weights.items() if name in (n, f"{n}Left", f"{n}Right")), 0.0)
                     for name in HEAD.action_names])  # fmt: skip


def rms(points):
    return np.sqrt(np.sum((points - NEUTRAL_LANDMARKS) ** 2, axis=-1).mean(axis=-1))


def test_the_mean_person_has_the_neutral_landmarks():
    assert rms(HEAD.mesh.points[HEAD.landmarks]) < 0.04


def test_people_look_up_a_little_and_agree_with_the_aflw_convention_otherwise(shared):
    """Against the neutral face, and against the mean of real labels."""
    rng = np.random.default_rng(0)
    marks = np.stack([HEAD.sample_identity(rng)[HEAD.landmarks] for _ in range(100)])
    turn = np.degrees(Rotation.from_quat(_rigid.fit(marks).quat).as_rotvec()).mean(axis=0)
    np.testing.assert_allclose(turn, [-parametric.LOOK_UP, 0, 0], atol=0.7)
    table = np.loadtxt(shared / "mean_landmarks68.csv", delimiter=",", skiprows=3)[:, 1:]
    assert np.sqrt(np.sum((marks.mean(axis=0) - table) ** 2, axis=1).mean()) < 0.05


def test_people_differ_as_real_labels_do(rng):
    """Half of AFLW2000-3D's lie within 0.046 radii (rms) of their mean, hardly any beyond 0.12."""
    rest = rms(np.stack([HEAD.sample_identity(rng)[HEAD.landmarks] for _ in range(60)]))
    assert 0.035 < np.median(rest) < 0.055 and rest.max() < 0.09


def test_identities_keep_the_origin_and_the_size(rng):
    marks = np.stack([HEAD.sample_identity(rng)[HEAD.landmarks] for _ in range(20)])
    np.testing.assert_allclose(marks[:, list(landmarks.EYE_CORNERS)].mean(axis=1), 0, atol=0.01)
    assert abs(_rigid.fit(marks).pos_size[:, 2].mean() - 1) < 0.03


def test_rest_changes_nothing(rng):
    rest = HEAD.sample_identity(rng)
    np.testing.assert_allclose(HEAD.express(rest, HEAD.neutral_expression), rest, atol=1e-6)


def test_an_open_jaw_parts_the_lips_and_leaves_the_upper_face():
    moved = (HEAD.express(HEAD.mesh.points, expression(jawOpen=0.5)) - HEAD.mesh.points)[HEAD.landmarks]
    assert moved[66, 1] > 0.1 and moved[8, 1] > 0.1
    np.testing.assert_allclose(moved[[*range(17, 48), 50, 51, 52, 61, 62, 63]], 0, atol=0.03)


@pytest.mark.parametrize(("side", "upper", "lower"), [("Right", (37, 38), (41, 40)), ("Left", (43, 44), (47, 46))])
def test_a_shut_eye_has_its_lids_together(side, upper, lower, rng):
    for rest in (HEAD.mesh.points, HEAD.sample_identity(rng)):
        points = HEAD.express(rest, expression(**{f"eyeBlink{side}": 1.0}))[HEAD.landmarks]
        before = rest[HEAD.landmarks]
        gap = (points[list(lower), 1] - points[list(upper), 1]).mean()
        assert abs(gap) < 0.35 * (before[list(lower), 1] - before[list(upper), 1]).mean()
        other = list(landmarks.LEFT_EYE if side == "Right" else landmarks.RIGHT_EYE)
        np.testing.assert_allclose(points[other], before[other], atol=1e-6)


def test_a_laugh_shows_teeth():
    points = HEAD.express(HEAD.mesh.points, expression(mouthSmile=1, mouthUpperUp=0.8, jawOpen=0.2))
    lips = points[HEAD.landmarks][[62, 66], 1]
    teeth = points[HEAD.mesh.part == Part.UPPER_TEETH]
    assert np.any((teeth[:, 1] > lips[0]) & (teeth[:, 1] < lips[1]) & (np.abs(teeth[:, 0]) < 0.1))


def test_skin_comes_first_and_every_triangle_is_of_one_part():
    part, skin = HEAD.mesh.part, len(HEAD.surface_points)
    assert np.all(part[:skin] == Part.SKIN) and not np.any(part[skin:] == Part.SKIN)
    assert np.all(part[HEAD.mesh.triangles] == part[HEAD.mesh.triangles[:, :1]])
    assert set(part.tolist()) == set(Part) - {Part.WORN}
    assert HEAD.landmarks.max() < skin and len(set(HEAD.landmarks)) == 68


def test_fractions_are_fractions():
    for fractions in (HEAD.occlusion, HEAD.neck, HEAD.hair_freedom):
        assert np.all((fractions >= 0) & (fractions <= 1))
    assert np.all(HEAD.neck[HEAD.landmarks] == 0)


def test_kinds_are_products_of_choices():
    weights = identities.kind_weights(HEAD.kind_names, gender=0.0, age=1.0, origins=np.array([0, 1, 1]))
    used = {name: weight for name, weight in zip(HEAD.kind_names, weights, strict=True) if weight}
    assert used == {"female old averagemuscle averageweight": 1.0, "asian female old": 0.5, "caucasian female old": 0.5}


def test_local_changes_go_one_way_and_nearly_alike_on_both_sides(rng):
    names = HEAD.local_names
    weights = np.stack([identities.sample_local(rng, names) for _ in range(300)])
    assert weights.min() >= 0 and weights.max() <= 1
    signed = {n: weights[:, names.index(n)] - weights[:, names.index(f"{n} -")] for n in names if f"{n} -" in names}
    assert np.corrcoef(signed["l-eye-scale-incr"], signed["r-eye-scale-incr"])[0, 1] > 0.85
    assert abs(np.corrcoef(signed["nose-hump-incr"], signed["l-eye-scale-incr"])[0, 1]) < 0.25
    assert np.all(weights[:, names.index("head-trans-up")] == 0)
