import dataclasses
import importlib
import os
import pickle
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from nntrack.contract import LOCALIZER_SIZE
from nntrack.data.datasets import DATASETS
from nntrack.geometry.boxes import face_box, square_around
from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import geodesic_distance, quat_apply, quat_conjugate
from nntrack.readers import _3ddfa, _parallel, _rigid, aflw2k, conversion, widerface, ytfaces
from nntrack.readers._format import Options, Tally, decode, load_mat
from nntrack.readers.archive import Damaged
from tests import archives
from tests.conftest import ROOT

w300lp = importlib.import_module("nntrack.readers.300wlp")
ONE = Options(workers=1)


def read(reader, archive, options=ONE):
    tally = Tally()
    samples = list(reader.read(archive, options, tally))
    assert tally.kept == len(samples)
    return samples, tally


def unposed(sample):
    """Landmarks in the head frame, head radii."""
    position = np.append(sample.labels["pos_size"][:2], 0)
    moved = (sample.labels["landmarks"] - position) / sample.labels["pos_size"][2]
    return quat_apply(quat_conjugate(sample.labels["quat"]), moved)


@pytest.mark.parametrize("dataset", sorted(DATASETS))
class TestEveryReader:
    def test_samples_are_whole(self, dataset, tmp_path):
        reader = conversion.find_reader(dataset)
        samples, tally = read(reader, archives.make(dataset, tmp_path))
        assert samples and not tally.bad
        assert tally.seen == tally.total
        assert len({sample.name for sample in samples}) == len(samples)
        assert len({sample.image.shape for sample in samples}) == 1
        for sample in samples:
            assert sample.image.dtype == np.uint8 and sample.group
            assert {"roi", "face"} <= set(sample.labels)
            if "quat" in sample.labels:
                roi = square_around(sample.labels["bbox"])
                np.testing.assert_allclose(sample.labels["roi"], roi, atol=1e-6)
                assert np.linalg.norm(sample.labels["quat"]) == pytest.approx(1)

    def test_the_number_of_workers_changes_nothing(self, dataset, tmp_path):
        reader, archive = conversion.find_reader(dataset), archives.make(dataset, tmp_path)
        alone, tally = read(reader, archive)
        together, same = read(reader, archive, Options(workers=3))
        assert tally == same
        for a, b in zip(alone, together, strict=True):
            assert (a.name, a.group, a.subset, a.sequence) == (b.name, b.group, b.subset, b.sequence)
            np.testing.assert_array_equal(a.image, b.image)
            assert a.labels.keys() == b.labels.keys()
            for name in a.labels:
                np.testing.assert_array_equal(a.labels[name], b.labels[name])

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_a_limit_gives_the_first_samples(self, dataset, limit, tmp_path):
        reader, archive = conversion.find_reader(dataset), archives.make(dataset, tmp_path)
        everything, _ = read(reader, archive)
        some, _ = read(reader, archive, dataclasses.replace(ONE, limit=limit))
        assert [s.name for s in some] == [s.name for s in everything[:limit]]

    def test_another_archive_is_refused_by_name(self, dataset, tmp_path):
        other = archives.Archive()
        other.contents["holiday/beach.jpg"] = b"x"
        path = other.write(tmp_path / "other" / "WIDER_train.zip")
        path = path if dataset in ("aflw2k", "300wlp") else path.parent
        with pytest.raises((ValueError, FileNotFoundError), match="other"):
            read(conversion.find_reader(dataset), path)

    def test_a_cut_file_is_refused_by_name(self, dataset, tmp_path):
        archive = archives.make(dataset, tmp_path)
        path = archive if archive.is_file() else sorted(archive.glob("*.zip"))[0]
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ValueError, match=rf"{path.name} is not a complete (zip|HDF5)"):
            read(conversion.find_reader(dataset), archive)


class TestAflw2k:
    def test_labels_agree_with_the_file(self, tmp_path, rng):
        archive = archives.aflw2k(rng, 5)
        samples, _ = read(aflw2k, archive.write(tmp_path / "a.zip"))
        for sample in samples:
            content = archive.contents[sample.name.replace(".jpg", ".mat")]
            para = load_mat(content, "m", {"Pose_Para": (7,), "pt3d_68": (3, 68)})
            pitch, yaw, roll, *_ = para["Pose_Para"]
            expected = Rotation.from_euler("XYZ", [-pitch, yaw, roll])
            assert (Rotation.from_quat(sample.labels["quat"]).inv() * expected).magnitude() < 1e-5
            np.testing.assert_allclose(sample.labels["landmarks"][:, :2], para["pt3d_68"][:2].T - 0.5)
            np.testing.assert_allclose(unposed(sample), NEUTRAL_LANDMARKS, atol=1e-5)
            assert sample.image.shape == (450, 450)

    @pytest.mark.parametrize("degrees", [99.5, -300.0])
    def test_the_raw_angle_decides(self, degrees, tmp_path, rng):
        archive = archives.aflw2k(rng, 2)
        para = archives.pose(rng)
        para[0, 1] = np.radians(degrees)
        archive.contents["AFLW2000/image00002.mat"] = archives.mat(Pose_Para=para, pt3d_68=np.ones((3, 68)))
        samples, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
        assert len(samples) == 1 and tally.dropped == {"angle beyond 99 degrees": 1} and tally.bad == 0

    def test_a_negative_scale_is_dropped(self, tmp_path, rng):
        archive = archives.aflw2k(rng, 2)
        para = archives.pose(rng)
        para[0, 6] *= -1
        archive.contents["AFLW2000/image00002.mat"] = archives.mat(Pose_Para=para, pt3d_68=np.ones((3, 68)))
        _, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
        assert tally.dropped == {"scale not positive": 1}

    @pytest.mark.parametrize(
        ("name", "data", "message"),
        [
            ("image00002.jpg", b"no picture", "cannot be decoded"),
            ("image00002.jpg", b"", "image is empty"),
            ("image00002.mat", b"no matlab file", "cannot be read"),
            ("image00002.mat", archives.mat(pt3d_68=np.ones((3, 68))), "lacks Pose_Para"),
            ("image00002.mat", archives.mat(Pose_Para=np.ones((1, 7))), "lacks pt3d_68"),
            ("image00002.mat", archives.mat(Pose_Para=np.full((1, 7), np.nan), pt3d_68=np.ones((3, 68))), "not finite"),
            ("image00002.mat", archives.mat(Pose_Para=np.ones((1, 6)), pt3d_68=np.ones((3, 68))), "expected"),
            ("image00002.mat", None, "no .mat beside"),
            ("image00002.jpg", None, "no photo beside"),
        ],
    )
    def test_one_bad_member_is_dropped_counted_and_named(self, name, data, message, tmp_path, rng):
        archive = archives.aflw2k(rng, 3)
        if data is None:
            del archive.contents[f"AFLW2000/{name}"]
        else:
            archive.contents[f"AFLW2000/{name}"] = data
        samples, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
        assert len(samples) == 2 and tally.bad == 1
        assert "a.zip" in tally.messages[0] and "image00002" in tally.messages[0] and message in tally.messages[0]

    def test_a_photo_cut_short_is_noticed(self, rng):
        data = archives.jpeg(rng)
        with pytest.raises(Damaged, match="p is cut short"):
            decode(data[: len(data) // 2], "p")

    def test_damage_inside_the_zip_is_noticed(self, tmp_path, rng):
        path = archives.aflw2k(rng, 3).write(tmp_path / "a.zip")
        data = bytearray(path.read_bytes())
        at = data.index(b"image00003.jpg") + 5000
        data[at] ^= 0xFF
        path.write_bytes(data)
        _, tally = read(aflw2k, path)
        assert tally.bad == 1 and "image00003.jpg" in tally.messages[0]


class Test300wlp:
    def test_landmarks_are_those_of_each_picture(self, tmp_path, rng):
        samples, _ = read(w300lp, archives.w300lp(rng).write(tmp_path / "w.zip"))
        assert [s.group for s in samples] == ["AFW_1_2"] * 2 + ["IBUG_image_092 _01"] * 2
        assert [s.subset for s in samples] == ["AFW"] * 2 + ["IBUG"] * 2
        for sample in samples:
            posed = quat_apply(sample.labels["quat"], NEUTRAL_LANDMARKS) * sample.labels["pos_size"][2]
            points = posed[:, :2] + sample.labels["pos_size"][:2]
            assert sample.labels["landmarks"].shape == (68, 2)
            np.testing.assert_allclose(sample.labels["landmarks"], points, atol=1e-3)
            assert sample.image.shape == (192, 192)
            # the roi is in the middle, two thirds of the crop
            np.testing.assert_allclose(sample.labels["roi"], [32, 32, 160, 160], atol=1e-6)

    def test_without_the_landmark_files_only_the_photo_has_landmarks(self, tmp_path, rng):
        samples, tally = read(w300lp, archives.w300lp(rng, views=3, landmarks=False).write(tmp_path / "w.zip"))
        assert ["landmarks" in s.labels for s in samples] == [True, False, False] * 2
        assert ["bbox" in s.labels for s in samples] == [True, False, False] * 2
        assert all({"quat", "pos_size", "roi"} <= set(s.labels) for s in samples) and not tally.dropped

    @pytest.mark.parametrize("files", [True, False])
    def test_the_basel_model_gives_depth(self, files, tmp_path, rng):
        archive = archives.w300lp(rng, views=3, landmarks=files)
        (tmp_path / "bfm_noneck_v3.pkl").write_bytes(pickle.dumps(archives.basel_model()))
        samples, tally = read(w300lp, archive.write(tmp_path / "w.zip"))
        assert tally.also_used == ["Basel face model: academic"]
        for sample in samples:
            assert sample.labels["landmarks"].shape == (68, 3)
            assert sample.labels["landmarks"][EYE_CORNERS, 2].mean() == pytest.approx(0, abs=1e-9)
            # the model's px are of a picture 448 wide, the radius of one 450 wide; its weights move all z alike
            np.testing.assert_allclose(unposed(sample), NEUTRAL_LANDMARKS, atol=0.03)

    @pytest.mark.parametrize("data", [b"no pickle", pickle.dumps({"u": 1}), pickle.dumps(os.getcwd)])
    def test_another_pickle_is_refused(self, data, tmp_path, rng):
        (tmp_path / "bfm_noneck_v3.pkl").write_bytes(data)
        with pytest.raises(ValueError, match=r"bfm_noneck_v3.pkl is not the Basel model"):
            read(w300lp, archives.w300lp(rng).write(tmp_path / "w.zip"))

    def test_landmarks_of_another_pose_are_noticed(self, tmp_path, rng):
        archive = archives.w300lp(rng)
        name = "300W_LP/landmarks/AFW/AFW_1_2_1_pts.mat"
        archive.contents[name] = archives.mat(pts_3d=np.ones((68, 2)) * 9, pts_2d=np.ones((68, 2)))
        _, tally = read(w300lp, archive.write(tmp_path / "w.zip"))
        assert tally.dropped == {"landmarks contradict the pose": 1} and tally.bad == 1


class TestPose:
    def test_poses_survive_the_way_there_and_back(self, rng):
        quat = Rotation.random(20, rng=1).as_quat()
        pos_size = rng.uniform(100, 300, (20, 3))
        there = _3ddfa.labels_to_pose(quat, pos_size, 450, 450)
        back = _3ddfa.pose_to_labels(there, 450, 450)
        assert geodesic_distance(quat, back["quat"]).max() < 1e-6
        np.testing.assert_allclose(back["pos_size"], pos_size)

    def test_points_survive_the_way_there_and_back(self, rng):
        points = rng.normal(size=(4, 68, 3))
        points[..., 2] -= points[:, EYE_CORNERS, 2].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(_3ddfa.points_from_matlab(_3ddfa.points_to_matlab(points)), points)


class TestYtfaces:
    def test_pose_landmarks_and_pictures(self, tmp_path, rng):
        videos = {"Bo_0": archives.video(rng), "Cy_0": archives.video(rng)}
        persons = {"Bo_0": "Bo", "Cy_0": "Cy", "Gone_1": "Gone"}
        folder = archives.ytfaces(tmp_path / "Y", videos, persons, unpacked=["Cy_0"], word="large")
        samples, tally = read(ytfaces, folder, Options(workers=1, stride=3))
        assert [s.name for s in samples] == [f"{v}/{i}" for v in videos for i in (0, 3, 6)]
        assert {(s.sequence, s.group) for s in samples} == {("Bo_0", "Bo"), ("Cy_0", "Cy")}
        assert tally.dropped == {"neighbour of a kept frame": 10, "video not in the archive": 8}
        for sample in samples:
            np.testing.assert_allclose(unposed(sample), NEUTRAL_LANDMARKS, atol=1e-6)

    def test_the_order_in_memory_does_not_matter(self, tmp_path, rng):
        videos = {"Bo_0": archives.video(rng)}
        found = [
            read(ytfaces, archives.ytfaces(tmp_path / order, videos, {"Bo_0": "Bo"}, order=order))[0] for order in "CF"
        ]
        assert all((a.image == b.image).all() for a, b in zip(*found, strict=True))

    def test_pictures_are_those_of_their_frames(self, tmp_path, rng):
        arrays = archives.video(rng, frames=4)
        arrays["colorImages"][:] = np.uint8([10, 60, 110, 160])  # each frame its own grey
        folder = archives.ytfaces(tmp_path, {"Bo_0": arrays}, {"Bo_0": "Bo"})
        samples, _ = read(ytfaces, folder, Options(workers=1, stride=2))
        assert [np.unique(s.image).tolist() for s in samples] == [[10], [110]]

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda p: p.__setitem__((..., 3), np.random.default_rng(0).uniform(0, 100, (68, 3))), "no face"),
            (lambda p: p.__setitem__((slice(None), 0, 3), p[:, 0, 3] + 60), "jump"),
            (lambda p: p.__setitem__((slice(None), 0), p[:, 0] + 200), "outside"),
            (lambda p: p.__setitem__((0, 0, 3), np.nan), "not finite"),
        ],
    )
    def test_bad_fits_are_counted_by_reason(self, spoil, reason, tmp_path, rng):
        arrays = archives.video(rng)
        spoil(arrays["landmarks3D"])
        samples, tally = read(ytfaces, archives.ytfaces(tmp_path, {"Bo_0": arrays}, {"Bo_0": "Bo"}))
        assert [name for name in tally.dropped if reason in name]
        assert len(samples) + tally.dropped.total() == 8
        if reason != "outside":
            assert [s.name for s in samples] == [f"Bo_0/{i}" for i in range(8) if i != 3]

    @pytest.mark.parametrize("missing", ["colorImages", "landmarks3D"])
    def test_an_array_that_is_missing_is_named(self, missing, tmp_path, rng):
        arrays = archives.video(rng)
        del arrays[missing]
        videos = {"Bo_0": arrays, "Cy_0": archives.video(rng), "Di_0": b"no npz"}
        folder = archives.ytfaces(tmp_path, videos, dict.fromkeys(videos, "Bo"))
        samples, tally = read(ytfaces, folder)
        assert len(samples) == 8 and tally.bad == 16
        assert f"Bo_0.npz lacks {missing}" in tally.messages[0] and "Di_0.npz" in tally.messages[1]

    def test_the_fit_is_that_of_the_bulk_of_the_landmarks(self, rng):
        turn = Rotation.random(30, rng=2)
        points = np.stack([t.apply(NEUTRAL_LANDMARKS) for t in turn]) * 50 + [10, 20, 30]
        points[:, 48:68] += rng.normal(size=(30, 20, 3)) * 25  # a mouth gone astray
        head = _rigid.fit(points)
        assert np.degrees(geodesic_distance(head.quat, turn.as_quat())).max() < 1
        np.testing.assert_allclose(head.pos_size, np.tile([10, 20, 50], (30, 1)), atol=1)


class TestWiderface:
    def test_pairs_of_windows(self, tmp_path, rng):
        samples, tally = read(widerface, archives.widerface(rng, tmp_path))
        assert [s.labels["face"].item() for s in samples] == [1, 0] * 3
        assert [s.group for s in samples[::2]] == [s.group for s in samples[1::2]]
        assert [s.subset for s in samples[::2]] == ["train", "train", "val"]
        assert tally.dropped == {
            "not exactly one face": 3,
            "face flagged invalid, or its box empty": 2,
            "photo not in the archive": 1,
            "no room for a window around the face": 2,
        }
        for sample in samples[::2]:
            x0, y0, x1, y1 = sample.labels["bbox"]
            assert 0 <= x0 < x1 <= 288 and 0 <= y0 < y1 <= 224 and sample.image.shape == LOCALIZER_SIZE
            assert 0.0999 <= (x1 - x0) / 288 <= 0.3301

    def test_windows_hold_the_face_or_nothing_of_it(self, rng):
        for _ in range(300):
            corner = rng.uniform(0, 500, 2)
            box = np.concatenate([corner, corner + rng.uniform(20, 150, 2)])
            window = widerface._window_with(box, 800, 700, rng)
            if isinstance(window, np.ndarray):
                assert (window[:2] <= box[:2]).all() and (box[2:] <= window[2:]).all()
                assert (window >= 0).all() and (window <= [800, 700, 800, 700]).all()
                assert (window[2] - window[0]) / (window[3] - window[1]) == pytest.approx(4 / 3)
            beside = widerface._window_without(box, 800, 700, rng)
            if isinstance(beside, np.ndarray):
                overlap = np.minimum(box[2:], beside[2:]) - np.maximum(box[:2], beside[:2])
                assert overlap.min() <= 0
                assert (beside >= -1e-9).all() and (beside <= np.array([800, 700, 800, 700]) + 1e-9).all()

    def test_another_seed_gives_other_windows(self, tmp_path, rng):
        folder = archives.widerface(rng, tmp_path)
        boxes = [read(widerface, folder, Options(workers=1, seed=s))[0][0].labels["bbox"] for s in (1, 1, 2)]
        assert (boxes[0] == boxes[1]).all() and (boxes[0] != boxes[2]).any()

    @pytest.mark.parametrize("rest", ["many\n1 2 3 4\n", "1\n", "2\n1 2 3 4 0 0 0 0 0 0\n", "1\n1 2\n"])
    def test_a_broken_list_is_named(self, rest):
        with pytest.raises(ValueError, match=r"list.txt, line 1: expected"):
            widerface.parse_list(f"a.jpg\n{rest}", "list.txt")

    @pytest.mark.parametrize("name", ["WIDER_val.zip", "wider_face_split.zip"])
    def test_a_missing_part_is_named(self, name, tmp_path, rng):
        folder = archives.widerface(rng, tmp_path)
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=name):
            read(widerface, folder)


def _die(context, task):
    if task == 3:
        os._exit(9)
    return [task]


def _fail(context, task):
    raise ZeroDivisionError(context)


def _interrupt(context, task):
    os.kill(os.getpid(), signal.SIGINT)
    return [task]


def _echo(context, task):
    return [context * task]


class TestParallel:
    def test_results_come_in_order(self):
        assert list(_parallel.in_order(_echo, 2, range(50), 3)) == [[2 * i] for i in range(50)]

    def test_a_dead_worker_is_an_error(self):
        with pytest.raises(ChildProcessError, match="a worker process died"):
            list(_parallel.in_order(_die, None, range(20), 2))

    def test_errors_of_workers_come_through(self):
        with pytest.raises(ZeroDivisionError):
            list(_parallel.in_order(_fail, "x", range(20), 2))

    def test_workers_leave_interruptions_to_who_started_them(self):
        assert list(_parallel.in_order(_interrupt, None, range(3), 2)) == [[0], [1], [2]]

    @pytest.mark.parametrize("started", ["fork", "forkserver"])
    def test_workers_end_with_a_killed_parent(self, started, tmp_path):
        (tmp_path / "program.py").write_text(STARTED.format(work=ENDLESS, workers=2))
        env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
        command = [sys.executable, "program.py", started]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
            workers = {process.stdout.readline() for _ in range(2)}
            process.kill()
            process.communicate(timeout=30)  # until nobody can write there any more
        assert len(workers) == 2

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("started", ["fork", "forkserver"])
    def test_numpy_computes_on_one_thread(self, started, workers, tmp_path):
        (tmp_path / "program.py").write_text(STARTED.format(work=COUNTS, workers=workers))
        env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        command = [sys.executable, "program.py", started]
        found = subprocess.check_output(command, cwd=tmp_path, env=env | {"PYTHONPATH": os.fspath(ROOT)}, text=True)
        assert set(found.split()) == {"1"}

    def test_interrupted_twice_it_ends_all_the_same(self, tmp_path):
        (tmp_path / "program.py").write_text(TWICE)
        env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
        done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=env, timeout=60, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


TWICE = """
import os, signal, threading, time
from nntrack.readers import _parallel

def work(context, task):
    time.sleep(0.5)
    return [task]

if __name__ == "__main__":
    results = _parallel.in_order(work, None, range(9), 2)
    next(results)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    results.close()  # as the first interruption does
"""
ENDLESS = """
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600)
"""
COUNTS = """
    for pool in threadpool_info():
        os.write(1, f"{pool['num_threads']}\\n".encode())
    return [task]
"""
STARTED = """
import os, sys, threading, time
from threadpoolctl import threadpool_info
from nntrack.processes import end_with_launcher
from nntrack.readers import _parallel

def work(context, task):{work}
if __name__ == "__main__":
    if sys.argv[1] == "forkserver":  # forking is for processes that have one thread
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    bar = _parallel.ProgressBar(total=2)  # as whoever shows progress has one ...
    end_with_launcher()  # ... and whom DVC started does
    assert _parallel._start_method().get_start_method() == sys.argv[1]
    list(_parallel.in_order(work, None, range(2), {workers}))
"""


@pytest.fixture(scope="module")
def mean(shared):
    """The mean of the real labels' landmarks, head radii."""
    rows = [line.split(",") for line in (shared / "mean_landmarks68.csv").read_text().splitlines()]
    return np.array([[float(n) for n in row[1:]] for row in rows if row[0].isdigit()])


class TestOnRealSamples:
    def test_aflw2k(self, shared, mean):
        samples, tally = read(aflw2k, shared / "real" / "AFLW2000-3D.zip")
        assert len(samples) == 8 and not tally.dropped
        for sample in samples:
            assert np.sqrt(((unposed(sample) - mean) ** 2).sum(axis=-1).mean()) < 0.12
            centre = sample.labels["landmarks"][EYE_CORNERS, :2].mean(axis=0)
            assert np.linalg.norm(centre - sample.labels["pos_size"][:2]) < 0.05 * sample.labels["pos_size"][2]

    def test_rotations_agree_with_the_files(self, shared):
        samples, _ = read(aflw2k, shared / "real" / "AFLW2000-3D.zip")
        with zipfile.ZipFile(shared / "real" / "AFLW2000-3D.zip") as file:
            for sample in samples:
                with file.open(sample.name.replace(".jpg", ".mat")) as stream:
                    pitch, yaw, roll = loadmat(stream)["Pose_Para"][0, :3]
                expected = Rotation.from_euler("XYZ", [-pitch, yaw, roll])
                assert (Rotation.from_quat(sample.labels["quat"]).inv() * expected).magnitude() < 1e-5

    def test_a_rigid_fit_finds_the_labelled_pose(self, shared):
        samples, _ = read(aflw2k, shared / "real" / "AFLW2000-3D.zip")
        head = _rigid.fit(np.stack([sample.labels["landmarks"] for sample in samples]))
        error = np.degrees(geodesic_distance(head.quat, np.stack([sample.labels["quat"] for sample in samples])))
        assert error.max() < 6 and head.misfit.max() < ytfaces.MAX_MISFIT / 2

    def test_300wlp(self, shared):
        samples, tally = read(w300lp, shared / "real" / "300W-LP.zip")
        assert [("landmarks" in s.labels) for s in samples] == [True, False] * 2 and not tally.dropped
        assert {s.group for s in samples} == {"AFW_134212_1", "HELEN_232194_1"}
        for sample in samples[::2]:
            box = face_box(sample.labels["landmarks"], sample.labels["quat"], sample.labels["pos_size"])
            np.testing.assert_allclose(box, sample.labels["bbox"], atol=1e-6)

    def test_widerface(self, shared):
        samples, tally = read(widerface, shared / "real" / "wider_faces", dataclasses.replace(ONE, limit=20))
        assert len(samples) == 20 and not tally.bad
