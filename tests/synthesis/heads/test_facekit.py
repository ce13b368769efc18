import numpy as np
import pytest
import scans

from nntrack.synthesis.heads import facekit


@pytest.fixture
def broken(scanned_folder, tmp_path):
    """A folder of links to the good one's files, to be spoilt."""
    for path in scanned_folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def spoil(path, change):
    text = path.read_text()
    path.unlink()
    path.write_text(change(text))


def test_modes_are_differences_from_the_neutral_mesh(scanned_folder):
    found = facekit.read(scanned_folder)
    neutral = facekit.read_vertices(scanned_folder / "generic_neutral_mesh.obj")
    np.testing.assert_array_equal(found.neutral, neutral)
    jaw = facekit.read_vertices(scanned_folder / "jawOpen.obj") - neutral
    np.testing.assert_allclose(found.expressions["jawOpen"], jaw, atol=1e-6)
    assert list(found.expressions) == ["eyeBlink_L", "eyeBlink_R", "jawOpen", "mouthSmile_L", "mouthSmile_R"]
    assert found.identities.shape == (2, facekit.SOLID, 3)


def test_quads_become_two_triangles_of_the_same_outline(tmp_path):
    scans.write_mesh(tmp_path / "a.obj", np.zeros((facekit.VERTICES, 3)), "f 1/4 2/5 3/6 4/7\nf 7//1 8//2 9//3\n")
    triangles = facekit.read_triangles(tmp_path / "a.obj")
    np.testing.assert_array_equal(triangles, [[0, 1, 2], [0, 2, 3], [6, 7, 8]])


def test_layers_to_be_seen_through_are_left_out(tmp_path):
    last = facekit.VERTICES
    scans.write_mesh(tmp_path / "a.obj", np.zeros((last, 3)), f"f 1 2 3\nf {last} {last - 1} {last - 2}\n")
    np.testing.assert_array_equal(facekit.read_triangles(tmp_path / "a.obj"), [[0, 1, 2]])


def test_landmarks_are_vertices_of_the_skin():
    assert len(set(facekit.LANDMARKS)) == 68
    assert set(facekit.LANDMARKS) <= set(facekit.SKIN)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*synthesize\.head"):
        facekit.read(tmp_path / "nowhere")


@pytest.mark.parametrize(("gone", "named"), [("generic*", "generic_neutral_mesh.obj"), ("identity*", "identity")])
def test_missing_files_are_named(broken, gone, named):
    for path in broken.glob(gone):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=named):
        facekit.read(broken)


def test_every_mesh_of_another_size_is_named(broken):
    for name in ("jawOpen", "identity001"):
        spoil(broken / f"{name}.obj", lambda text: text.replace("\nv ", "\nw ", 1))
    with pytest.raises(ValueError, match=r"identity001.*26719 vertices.*26718.*jawOpen"):
        facekit.read(broken)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.replace("\nv ", "\nv x", 1), "not made of numbers"),
        (lambda t: t.replace("\nv ", "\nv 1 ", 1), "three numbers"),
    ],
)
def test_vertices_that_are_no_points_are_reported(broken, change, reason):
    spoil(broken / "jawOpen.obj", change)
    with pytest.raises(ValueError, match=f"jawOpen.obj: .*{reason}"):
        facekit.read(broken)


def test_a_vertex_that_is_not_finite_is_reported(broken):
    def change(text):
        lines = text.splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith("v "))
        lines[first + 7] = "v 0 nan 0"
        return "\n".join(lines)

    spoil(broken / "jawOpen.obj", change)
    with pytest.raises(ValueError, match="vertex 7 is not finite"):
        facekit.read(broken)


@pytest.mark.parametrize("faces", ["", "f 1 2 30000\n", "f 1 2 x\n"])
def test_faces_must_be_of_vertices_that_exist(tmp_path, faces):
    scans.write_mesh(tmp_path / "a.obj", np.zeros((facekit.VERTICES, 3)), faces)
    with pytest.raises(ValueError, match=r"a\.obj"):
        facekit.read_triangles(tmp_path / "a.obj")
