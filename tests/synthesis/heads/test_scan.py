import zipfile

import numpy as np
import pytest
import scans
from scipy.spatial.transform import Rotation

from nntrack.config import Synthesize
from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.readers import _rigid
from nntrack.synthesis import write_archives
from nntrack.synthesis.archives import aflw2000
from nntrack.synthesis.heads import facekit, scan, scan_fit
from nntrack.synthesis.heads.load import load
from nntrack.synthesis.mesh import Part


@pytest.fixture(scope="module")
def model(scanned_folder):
    return load(str(scanned_folder))


@pytest.fixture(scope="module")
def facekit_model(shared, tmp_path_factory):
    """The real FaceKit, where there is a copy of it."""
    archive = shared / "facekit" / "FaceXModel.zip"
    if not archive.is_file():
        pytest.skip("needs FaceKit's meshes beside the checkout")
    folder = tmp_path_factory.mktemp("facekit")
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder)
    return scan.load(next(folder.rglob(f"{facekit.NEUTRAL}.obj")).parent)


def test_alignment_undoes_pitch_size_and_place():
    matrix, shift = scan_fit.align(scans.to_files(NEUTRAL_LANDMARKS))
    np.testing.assert_allclose(scans.to_files(NEUTRAL_LANDMARKS) @ matrix.T + shift, NEUTRAL_LANDMARKS, atol=1e-9)


def test_alignment_minds_neither_brows_nor_contour():
    marks = scans.to_files(NEUTRAL_LANDMARKS)
    moved = marks.copy()
    moved[: landmarks.NOSE_BRIDGE.start] += (0.3, 1.0, 2.0)
    for found, expected in zip(scan_fit.align(moved), scan_fit.align(marks), strict=True):
        np.testing.assert_allclose(found, expected)


def test_the_contour_follows_the_jaw_whatever_the_files_say():
    points = np.vstack([NEUTRAL_LANDMARKS, NEUTRAL_LANDMARKS[:17] - (0, 0, 0.2)])
    claimed = np.r_[np.arange(68, 85), np.arange(17, 68)]
    np.testing.assert_array_equal(scan_fit.with_contour(claimed, points), np.arange(68))


def test_the_neutral_head_has_the_reference_landmarks(model):
    np.testing.assert_allclose(model.mesh.points[model.landmarks], NEUTRAL_LANDMARKS, atol=1e-4)


def test_left_is_the_subjects_left(model):
    rest = model.mesh.points
    expression = model.neutral_expression
    expression[model.names.index("eyeBlink_L")] = 1
    moved = np.linalg.norm(model.express(rest, expression) - rest, axis=1)
    assert rest[moved > 0.01, 0].min() > 0
    assert rest[model.landmarks[0], 0] < 0


def test_a_mode_is_what_its_mesh_adds(model, scanned_folder):
    opened, neutral = (facekit.read_vertices(scanned_folder / f"{name}.obj") for name in ("jawOpen", facekit.NEUTRAL))
    turned = Rotation.from_rotvec([-scans.PITCH, 0, 0]).apply((opened - neutral) * (0.1, -0.1, -0.1)) / scans.SCALE
    expression = model.neutral_expression
    expression[model.names.index("jawOpen")] = 0.5
    moved = (model.express(model.mesh.points, expression) - model.mesh.points)[model.landmarks]
    np.testing.assert_allclose(moved, 0.5 * turned[facekit.LANDMARKS], atol=1e-5)


def test_skin_comes_first_and_every_triangle_is_of_one_part(model):
    part = model.mesh.part
    assert np.all(part[: len(model.surface_points)] == Part.SKIN) and not np.any(
        part[len(model.surface_points) :] == Part.SKIN
    )
    assert np.all(part[model.mesh.triangles] == part[model.mesh.triangles[:, :1]])
    assert {Part.EYE, Part.MOUTH, Part.UPPER_TEETH, Part.RIM, Part.BODY} <= set(part.tolist())


def test_skin_lies_on_the_atlas_where_it_is_on_the_face(model):
    skin = model.mesh.points[: len(model.surface_points)]
    face = (skin[:, 2] < 0.3) & (skin[:, 1] < 0.3)
    np.testing.assert_allclose(model.surface_points[face], skin[face], atol=0.05)


def test_fractions_are_fractions(model):
    for fractions in (model.occlusion, model.neck, model.hair_freedom):
        assert np.all((fractions >= 0) & (fractions <= 1))
    assert np.all(model.neck[model.landmarks] == 0)


def test_people_keep_the_origin_and_mean_size(model, rng):
    marks = np.stack([model.sample_identity(rng)[model.landmarks] for _ in range(20)])
    np.testing.assert_allclose(marks[:, list(landmarks.EYE_CORNERS)].mean(axis=1), 0, atol=1e-6)
    assert abs(_rigid.fit(marks).pos_size[:, 2].mean() - 1) < 0.03
    assert np.std(marks, axis=0).max() > 0.005


def test_expressions_are_often_weak_and_lids_mostly_shut_together(model, rng):
    sampled = np.stack([model.sample_expression(rng) for _ in range(200)])
    assert sampled.min() >= -0.2 and sampled.max() <= 1.1
    right, left = (sampled[:, model.names.index(f"eyeBlink_{side}")] for side in "RL")
    assert 0.8 < np.mean(right == left) < 1
    assert np.mean(sampled[:, model.names.index("jawOpen")] < 0.1) > 0.4


def test_people_of_a_folder_without_expressions_are_at_rest(scanned_folder, tmp_path, rng):
    for path in scanned_folder.iterdir():
        if path.name.startswith(("generic", "identity")):
            (tmp_path / path.name).symlink_to(path)
    stiff = load(str(tmp_path))
    rest = stiff.sample_identity(rng)
    np.testing.assert_array_equal(stiff.express(rest, stiff.sample_expression(rng)), rest)


TINY = {"aflw2k": 1, "w300lp": 1, "views": 1, "clips": 1, "frames": 2, "widerface": 1, "biwi": 1, "clip": 2}


def test_archives_are_rendered_from_it(scanned_folder, tmp_path):
    heads = {"heads": {"anny": 0.0, "facekit": 1.0}, "facekit": str(scanned_folder)}
    plan = Synthesize.model_validate(TINY | heads)
    write_archives.synthesize(tmp_path, plan, seed=3, workers=1)
    with zipfile.ZipFile(tmp_path / "AFLW2000-3D.zip") as archive:
        image = archive.read("AFLW2000/image00002.jpg")
    same, other = (dict(aflw2000.render(3, 0, heads={source: 1.0})[0]) for source in (str(scanned_folder), "anny"))
    assert image == same["AFLW2000/image00002.jpg"] != other["AFLW2000/image00002.jpg"]


def test_a_head_that_cannot_be_read_leaves_nothing_behind(tmp_path):
    heads = {"heads": {"anny": 0.5, "facekit": 0.5}, "facekit": str(tmp_path / "nowhere")}
    plan = Synthesize.model_validate(TINY | heads)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_archives.synthesize(tmp_path / "out", plan, seed=3)
    assert not (tmp_path / "out").exists()


def test_facekit_agrees_with_the_aflw_convention(facekit_model, shared):
    """Over many people nobody hangs: neither against the reference nor against the mean of real labels."""
    rng = np.random.default_rng(0)
    marks = np.stack([facekit_model.sample_identity(rng)[facekit_model.landmarks] for _ in range(100)])
    turn = np.degrees(Rotation.from_quat(_rigid.fit(marks).quat).as_rotvec()).mean(axis=0)
    np.testing.assert_allclose(turn, 0, atol=0.5)
    mean = marks.mean(axis=0)
    table = np.loadtxt(shared / "mean_landmarks68.csv", delimiter=",", skiprows=3)[:, 1:]
    turn, _ = Rotation.align_vectors(table - table.mean(axis=0), mean - mean.mean(axis=0))
    assert np.degrees(turn.magnitude()) < 1
    assert np.sqrt(np.sum((mean - table) ** 2, axis=1).mean()) < 0.05


def test_facekit_has_ears_that_stay_bare(facekit_model):
    ears = facekit_model.mesh.points[facekit_model.mesh.part == Part.EAR]
    assert np.all(np.abs(ears[:, 0]) > 0.6) and {-1, 1} == set(np.sign(ears[:, 0]).astype(int).tolist())
    assert facekit_model.hair_freedom.min() == 0
