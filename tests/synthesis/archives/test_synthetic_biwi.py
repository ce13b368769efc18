import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry.perspective import FACE_MIDDLE, ray_quat
from nntrack.geometry.rotations import geodesic_distance
from nntrack.readers import biwi as reader
from nntrack.readers._format import Options, Tally
from nntrack.synthesis import renderer
from nntrack.synthesis.archives import biwi


def motion(seed, person):
    rng = np.random.default_rng([seed, biwi._STREAM, person])
    renderer.sample_person(rng)
    return biwi._motion(rng)


def test_labels_are_those_of_the_rendered_head(tmp_path):
    """The head's own landmarks, seen through the camera of the labels, lie where the pose says."""
    rendered = [biwi.render(7, number, heads={"anny": 1.0}) for number in (0, 9, 20, 30)]
    biwi.write(tmp_path / "BIWI", [members for members, _ in rendered])
    tally = Tally()
    samples = list(reader.read(tmp_path / "BIWI", Options(workers=1), tally))
    assert [s.name for s in samples] == ["01/frame_00003", "01/frame_00012", "01/frame_00023"]
    # the second person's calibration comes with the first frame, which was not rendered
    assert tally.dropped == {"camera not known": 1} and "02 has no rgb.cal" in tally.messages[0]
    quats, places = motion(7, 0)
    lens = biwi.LENS
    for sample, (_, image) in zip(samples, rendered, strict=False):
        np.testing.assert_array_equal(sample.image, image)
        labels = sample.labels
        index = int(sample.name[-5:]) - 3
        assert np.degrees(geodesic_distance(labels["quat"], quats[index])) < 1e-3
        np.testing.assert_allclose(labels["camera"], [lens.focal, lens.focal, *lens.middle])
        place = places[index]
        expected = [*(lens.middle + lens.focal * place[:2] / place[2]), lens.focal * 100 / place[2]]
        np.testing.assert_allclose(labels["pos_size"], expected, atol=1e-2)
        if "bbox" in labels:  # the face is where the labels say
            centre = (labels["bbox"][:2] + labels["bbox"][2:]) / 2
            assert np.abs(centre - labels["pos_size"][:2]).max() < 0.8 * labels["pos_size"][2]


def test_a_head_is_seen_as_if_the_camera_looked_at_the_face():
    """The rotation that the outline alone shows, turned with the ray to the face's middle, is the label."""
    person = renderer.sample_person(np.random.default_rng(3))
    face = person.rest[person.head.landmarks]
    face = face - face[[36, 39, 42, 45]].mean(axis=0)
    lens, rng = biwi.LENS, np.random.default_rng(5)
    camera = np.array([[lens.focal, lens.focal, *lens.middle]])
    expression = person.head.neutral_expression
    raw, corrected = [], []
    for _ in range(10):
        turn = Rotation.from_euler("XYZ", rng.normal(0, [12, 20, 8]), degrees=True)
        eyes = np.array([*(rng.choice([-1, 1], 2) * biwi._MAX_ASIDE), 1]) * 900
        centre, radius = lens.middle + lens.focal * eyes[:2] / eyes[2], lens.focal * 100 / eyes[2]
        found = renderer.render(rng, person, expression, (40, 40), turn.as_quat(), centre, radius, lens=lens).landmarks
        points = (face @ turn.as_matrix().T * 100 + eyes) / radius  # every landmark as the pinhole has it
        expected = lens.middle + lens.focal * points[:, :2] / points[:, 2:]
        np.testing.assert_allclose(found[:, :2], expected, atol=1e-3)
        seen = flat_fit(face, (found[:, :2] - centre) / radius)
        middle = centre + turn.apply(FACE_MIDDLE)[:2] * radius
        raw.append((turn.inv() * seen).magnitude())
        corrected.append((turn.inv() * Rotation.from_quat(ray_quat(middle[None], camera)[0]) * seen).magnitude())
    assert np.degrees(np.mean(corrected)) < 1.5 < 15 < np.degrees(np.mean(raw))


def flat_fit(face, points):
    """The rotation of a scaled orthographic view (68, 2) of a face (68, 3)."""
    rows = np.linalg.lstsq(np.column_stack([face, np.ones(68)]), points, rcond=None)[0][:3].T  # (2, 3)
    u, _, v = np.linalg.svd(rows, full_matrices=False)
    rows = u @ v
    return Rotation.from_matrix(np.vstack([rows, np.cross(*rows)]))
