import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from nntrack.config import Synthesize
from nntrack.data.datasets import DATASETS
from nntrack.data.hdf5 import Stored
from nntrack.readers import conversion
from nntrack.readers._format import Options
from nntrack.readers.widerface import WITHOUT
from nntrack.synthesis import write_archives
from nntrack.synthesis.archives import aflw2000

TINY = Synthesize.model_validate(
    {"heads": {"anny": 1.0, "facekit": 0.0}, "facekit": None}
    | {"aflw2k": 5, "w300lp": 2, "views": 3, "clips": 2, "frames": 4, "widerface": 5, "biwi": 2, "clip": 5},
)
PATHS = {plan.name: plan.path for plan in write_archives.plans(TINY)}
ARCHIVES = {name: path for name, path in PATHS.items() if name in DATASETS}
OPTIONS = Options(limit=None, size=64, margin=1.5, stride=1, seed=0)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    write_archives.synthesize(folder, TINY, seed=3, workers=1)
    return folder


@pytest.fixture(scope="module", params=ARCHIVES)
def converted(request, rendered, tmp_path_factory):
    """(dataset, its HDF5, the tally)."""
    out = tmp_path_factory.mktemp("converted") / f"{request.param}.h5"
    tally = conversion.convert(
        request.param, rendered / ARCHIVES[request.param], out, OPTIONS, source="synthetic", max_bad_share=0.0, use=True
    )
    return request.param, Stored(out), tally


def test_the_bytes_depend_on_the_seed_alone(rendered, tmp_path):
    """Neither on the number of workers, nor on what was there before, nor on how many samples there are."""
    for seed in (4, 3):
        write_archives.synthesize(tmp_path, TINY, seed, workers=2)
    assert contents(tmp_path) == contents(rendered)
    with zipfile.ZipFile(rendered / "AFLW2000-3D.zip") as archive:
        assert all(archive.read(name) == data for name, data in aflw2000.render(3, 1, heads={"anny": 1.0})[0])


def test_every_archive_has_a_mark_and_a_sheet(rendered):
    marks = [f"{name}.mark" for name in PATHS.values()]
    assert sorted(p.name for p in rendered.iterdir()) == sorted([*PATHS.values(), *marks, "sheets"])
    assert {p.stem for p in (rendered / "sheets").iterdir()} == set(PATHS)


def test_the_readers_take_every_sample(converted):
    dataset, stored, tally = converted
    assert len(stored) == {"aflw2k": 5, "w300lp": 6, "biwi": 2, "clip": 5}.get(dataset, len(stored)) > 0
    assert tally.bad == 0
    with h5py.File(stored.path) as file:
        assert file.attrs["source"] == "synthetic"


def test_labels_of_a_face_fit_together(converted):
    dataset, stored, _ = converted
    if dataset == "widerface":
        faces = stored.labels["face"] == 1
        assert faces.sum() == len(stored) / (1 + WITHOUT)
        box = stored.labels["bbox"][faces]
        assert (box[:, :2] >= -1).all() and (box[:, 2:] <= [289, 225]).all()
        return
    if dataset == "biwi":  # the face is in its box
        assert not stored.masks["landmarks"].any() and stored.masks["camera"].all()
        box, place = stored.labels["bbox"], stored.labels["pos_size"][:, :2]
        assert (box[:, :2] < place).all() and (place < box[:, 2:]).all()
        return
    corners = stored.labels["landmarks"][:, [36, 39, 42, 45]].mean(axis=1)
    pos_size = stored.labels["pos_size"]
    distance = np.linalg.norm(corners[:, :2] - pos_size[:, :2], axis=1) / pos_size[:, 2]
    assert distance.max() < 0.1
    assert stored.masks["landmarks_depth"].all() == (dataset != "w300lp")


def test_keys_shapes_and_types_are_the_originals(rendered):
    with zipfile.ZipFile(rendered / "AFLW2000-3D.zip") as archive:
        with archive.open("AFLW2000/image00002.mat") as member:
            found = loadmat(member)
    expected = {
        "Pose_Para": ((1, 7), np.float32),
        "pt3d_68": ((3, 68), np.float32),
        "pt2d": ((2, 21), np.float64),
        "roi": ((1, 4), np.int16),
        "Shape_Para": ((199, 1), np.float64),
        "Exp_Para": ((29, 1), np.float64),
        "Illum_Para": ((1, 10), np.float64),
        "Color_Para": ((1, 7), np.float64),
        "Tex_Para": ((199, 1), np.float64),
    }
    assert {k: (v.shape, v.dtype.type) for k, v in found.items() if not k.startswith("__")} == expected


def test_views_of_a_photo_turn_further_from_the_first(rendered):
    angles = {}
    with zipfile.ZipFile(rendered / "300W-LP.zip") as archive:
        names = [n for n in archive.namelist() if n.endswith(".mat") and "_Flip" not in n and "landmarks" not in n]
        for name in names:
            photo, view = name.removesuffix(".mat").rsplit("_", 1)
            with archive.open(name) as member:
                angles.setdefault(photo, {})[int(view)] = loadmat(member)["Pose_Para"][0, 1]
        assert {n.replace("300W_LP/", "300W_LP/landmarks/").replace(".mat", "_pts.mat") for n in names} <= set(
            archive.namelist()
        )
    for views in angles.values():
        yaw = np.array([views[k] for k in sorted(views)])
        assert (np.diff(np.abs(yaw[1:])) > 0).all() and np.abs(yaw).max() < np.radians(95)
