import numpy as np
import pytest
import scans

from nntrack.geometry import landmarks
from nntrack.geometry.affine import move_landmarks
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply
from nntrack.synthesis import rasterizer, renderer
from nntrack.synthesis.heads import load
from nntrack.synthesis.scene import background

SIZE = (160, 200)
CENTRE, RADIUS = np.array([100.0, 70.0]), 45.0
FLAT = renderer.Light(1.0, np.zeros((0, 3)), np.zeros(0), False)


@pytest.fixture(scope="module", params=["built-in", "scanned"])
def model(request, tmp_path_factory):
    scanned = request.param == "scanned"
    return load.load(str(scans.write(tmp_path_factory.mktemp("scan") / "head")) if scanned else None)


@pytest.fixture(scope="module")
def person(model):
    return renderer.draw_person(np.random.default_rng(3), model)


def draw(person, angles=(0, 0, 0), seed=0, expression=None, **options):
    expression = person.head.at_rest if expression is None else expression
    quat = aflw_angles_to_quat(*np.radians(np.array(angles, float)))
    return renderer.draw(np.random.default_rng(seed), person, expression, SIZE, quat, CENTRE, RADIUS, **options)


def test_a_filled_square_covers_the_pixels_whose_centres_it_holds():
    points = np.array([[3.2, 4.3, 0], [9.4, 4.3, 0], [9.4, 8.1, 0], [3.2, 8.1, 0]])
    layer = rasterizer.rasterise(points, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.ones((4, 3)), (12, 16), 10.0)
    expected = np.zeros((12, 16), bool)
    expected[4:8, 3:9] = True
    np.testing.assert_array_equal(layer.values[..., 0] > 0.5, expected)
    np.testing.assert_array_equal(layer.depth < rasterizer.EMPTY, expected)


def test_the_nearer_triangle_is_seen():
    square = np.array([[2, 2, 5], [14, 2, 5], [2, 14, 5]], float)
    points = np.vstack([square, square - [0, 0, 10]])
    values = np.repeat([0.2, 0.9], 3)[:, None] * np.ones(3)
    triangles = np.array([[3, 4, 5], [0, 1, 2]], np.int32)
    layer = rasterizer.rasterise(points, triangles, values, (16, 16), 1.0)
    assert layer.values[4, 4, 0] == pytest.approx(0.9)
    assert layer.depth[4, 4] == pytest.approx(-5, abs=0.01)


def test_the_same_draws_give_the_same_picture(person):
    first, second = draw(person, (10, 30, 5)), draw(person, (10, 30, 5))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    assert np.any(draw(person, (10, 30, 5), seed=1).image != first.image)


def test_labels_are_what_was_asked_for(person):
    picture = draw(person, (-12, 40, 8))
    np.testing.assert_allclose(picture.pos_size, [*CENTRE, RADIUS])
    assert picture.image.shape == SIZE and picture.image.dtype == np.uint8
    corners = picture.landmarks[list(landmarks.EYE_CORNERS)]
    np.testing.assert_allclose(corners[:, :2].mean(axis=0), CENTRE, atol=0.05 * RADIUS)
    assert corners[:, 2].mean() == pytest.approx(0, abs=1e-3 * RADIUS)


def test_unrotated_landmarks_are_those_of_the_head(person):
    """The one rule that ties rotation, centre, size and landmarks; what is left is the camera's perspective."""
    angles = np.radians([-12.0, 40.0, 8.0])
    picture = draw(person, np.degrees(angles))
    inverse = aflw_angles_to_quat(*angles) * [-1, -1, -1, 1]
    points = quat_apply(inverse, (picture.landmarks - [*CENTRE, 0]) / RADIUS)
    expected = person.rest[person.head.landmarks]
    assert np.sqrt(np.sum((points - expected) ** 2, axis=1).mean()) < 0.06


@pytest.mark.parametrize("angles", [(0, 0, 0), (0, 45, 0), (20, -30, 10)])
def test_landmarks_lie_where_the_mesh_is_drawn(person, angles):
    """A vertex that is marked white, and no other, is white where its label says."""
    head = person.head
    rotmat = renderer.quat_to_rotmat(aflw_angles_to_quat(*np.radians(np.array(angles, float))))
    size, radius = (600, 600), 250.0  # so large that every vertex owns pixels
    camera = renderer._Camera(rotmat, np.zeros(3), np.array([300.0, 200.0]), radius, 12.0, np.array([0.1, 0.3]))
    posed = renderer._pose(person.rest, head.neck, camera, np.zeros(3))
    seen = 0
    for index in range(landmarks.COUNT):
        vertex = head.landmarks[index]
        values = np.zeros((len(posed.pixels), 3))
        values[vertex] = 1
        lit = rasterizer.rasterise(posed.pixels, head.mesh.triangles, values, size, radius).values[..., 0]
        if lit.max() < 0.6:
            continue  # hidden, or on the outline
        row, column = np.unravel_index(np.argmax(lit), lit.shape)
        assert np.hypot(column + 0.5 - posed.pixels[vertex, 0], row + 0.5 - posed.pixels[vertex, 1]) < 3
        seen += 1
    assert seen > 30


def test_a_mirrored_neutral_head_has_mirrored_landmarks(person):
    plain = person._replace(rest=person.head.mesh.points)
    width = SIZE[1]
    flip = np.array([[-1.0, 0, width], [0, 1, 0]])
    right, left = draw(plain, (0, 35, 0)), draw(plain, (0, -35, 0))
    np.testing.assert_allclose(move_landmarks(flip, right.landmarks), left.landmarks, atol=1e-6)


def test_the_background_is_kept_away_from_the_head(person):
    ground = np.full(SIZE, 77, np.uint8)
    picture = draw(person, background=ground)
    assert np.all(picture.image[:20, :15] == 77)
    assert np.mean(picture.image[60:110, 80:120] != 77) > 0.9


def test_a_lamp_from_the_right_lights_the_right(person):
    bare = person._replace(sheets=(), frames=None)
    lamp = renderer.Light(0.1, np.array([[0.9, 0.0, -0.435]]), np.array([1.0]), False)
    picture = draw(bare, light=lamp, background=np.zeros(SIZE, np.uint8))
    x, y = CENTRE.astype(int)
    row = picture.image[y + 18 : y + 28].astype(float)
    assert row[:, x + 10 : x + 25].mean() > row[:, x - 25 : x - 10].mean() + 10


@pytest.mark.parametrize("name", background.PAINTERS)
def test_every_painter_leaves_a_finite_picture_of_the_same_size(rng, name):
    ground = np.full((48, 64), 0.5, np.float32)
    painted = background.PAINTERS[name](rng, ground)
    assert painted.shape == (48, 64) and np.all(np.isfinite(painted))


def test_many_people_can_be_drawn(model):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        somebody = renderer.draw_person(rng, model)
        picture = draw(somebody, rng.uniform(-40, 40, 3), seed, somebody.express(rng))
        assert picture.image.std() > 3
        assert np.all(np.isfinite(picture.landmarks))
