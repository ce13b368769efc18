import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nntrack.geometry.boxes import square_around
from nntrack.geometry.rotations import geodesic_distance, quat_to_aflw_angles
from nntrack.readers import biwi
from nntrack.readers.members import Damaged
from tests import archives
from tests.reading import ONE, read

TURN = Rotation.from_rotvec([0.02, -0.01, 0.005])


class TestPose:
    def test_angles_are_those_that_everybody_compares(self):
        """The usual formulas on the transpose of what the file holds, as published code has them."""
        turns = Rotation.from_euler("XYZ", np.random.default_rng(1).uniform(-1.2, 1.2, (50, 3)))
        camera = biwi.parse_camera(archives.biwi_camera().decode(), "c")
        for turn in turns:
            m = turn.as_matrix().T
            expected = [np.arctan2(m[2, 1], m[2, 2]), -np.arctan2(-m[2, 0], np.hypot(m[2, 1], m[2, 2]))]
            expected.append(-np.arctan2(m[1, 0], m[0, 0]))
            labels = biwi.pose_to_labels(turn.as_matrix(), np.array([0, 0, 1000.0]), camera)
            np.testing.assert_allclose(quat_to_aflw_angles(labels["quat"]), expected, atol=1e-12)

    @given(
        turn=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
        camera_turn=st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=3),
        eyes=st.tuples(st.floats(-400, 400), st.floats(-300, 300), st.floats(500, 2000)),
    )
    def test_a_head_survives_the_way_through_the_files(self, turn, camera_turn, eyes):
        """What is seen where in the colour camera, written as the depth camera saw it, is read again."""
        head, between, shift = Rotation.from_rotvec(turn), Rotation.from_rotvec(camera_turn), np.array([-24.0, 3, -8])
        place = between.inv().apply(eyes - head.apply(biwi.BETWEEN_EYES) - shift)
        pose = archives.numbers((between.inv() * head).as_matrix(), place).decode()
        camera = biwi.parse_camera(archives.biwi_camera(between, shift).decode(), "c")
        labels = biwi.pose_to_labels(*biwi.parse_pose(pose, "p"), camera)
        assert geodesic_distance(labels["quat"], head.as_quat()) < 1e-6
        expected = [321.5 + 520 * eyes[0] / eyes[2], 238 + 520 * eyes[1] / eyes[2], 520 * 100 / eyes[2]]
        np.testing.assert_allclose(labels["pos_size"], expected, atol=1e-3)
        np.testing.assert_allclose(labels["camera"], [520, 520, 321.5, 238])

    def test_distortion_moves_the_point(self):
        bent = archives.biwi_camera(distortion=(0.1, -0.02, 0.001, 0.002)).decode()
        pose = np.eye(3), np.array([200.0, 100, 900])
        labels = biwi.pose_to_labels(*pose, biwi.parse_camera(bent, "c"))
        eyes = pose[1] + [-24, 3, -8] + biwi.BETWEEN_EYES
        matrix = np.array([[520, 0, 321.5], [0, 520, 238], [0, 0, 1]])
        expected = cv2.projectPoints(eyes[None], np.zeros(3), np.zeros(3), matrix, np.array([0.1, -0.02, 0.001, 0.002]))
        np.testing.assert_allclose(labels["pos_size"][:2], expected[0].ravel())


class TestArchive:
    @pytest.mark.parametrize("kind", ["folder", "zip", "zip in a folder", "another top folder"])
    def test_every_form_gives_the_same(self, kind, tmp_path):
        archive = archives.biwi(np.random.default_rng(4), top="faces_0/" if kind.startswith("another") else "hpdb/")
        expected, _ = read(biwi, archives.biwi(np.random.default_rng(4)).write(tmp_path / "expected.zip"))
        path = tmp_path / "BIWI"
        if kind == "folder":
            for name, data in archive.contents.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        else:
            archive.write(path / "hpdb.zip")
            path = path / "hpdb.zip" if kind == "zip" else path
        samples, tally = read(biwi, path)
        assert [s.name for s in samples] == [s.name for s in expected] and tally.seen == tally.total == 12
        for one, other in zip(samples, expected, strict=True):
            np.testing.assert_array_equal(one.image, other.image)
            assert all((one.labels[name] == other.labels[name]).all() for name in other.labels)

    def test_who_was_recorded_twice_is_one_person(self, tmp_path, rng):
        archive = archives.biwi(rng, persons=("07", "08", "22"), frames=1)
        samples, _ = read(biwi, archive.write(tmp_path / "b.zip"))
        assert [(s.sequence, s.group) for s in samples] == [("07", "07"), ("08", "08"), ("22", "07")]

    def test_a_stride_keeps_every_so_manyth_frame_of_a_video(self, tmp_path, rng):
        samples, tally = read(
            biwi, archives.biwi(rng, frames=5).write(tmp_path / "b.zip"), dataclasses.replace(ONE, stride=3)
        )
        assert [s.name[-1] for s in samples] == ["3", "6"] * 2
        assert tally.dropped == {"neighbour of a kept frame": 6} and tally.seen == tally.total and not tally.bad

    def test_boxes_are_the_users(self, tmp_path, rng):
        archives.biwi_boxes(tmp_path, ["1,3,200,100,300,250", "22,4,10.5,20,30,40"])
        samples, _ = read(biwi, archives.biwi(rng, frames=2).write(tmp_path / "b.zip"))
        assert all({"quat", "pos_size", "camera", "roi", "face"} == set(s.labels) - {"bbox"} for s in samples)
        assert [("bbox" in s.labels) for s in samples] == [True, False, False, True]
        np.testing.assert_array_equal(samples[3].labels["bbox"], [10.5, 20, 30, 40])
        for sample in samples:  # with or without one the window is about the face
            roi = sample.labels["roi"]
            assert roi[2] - roi[0] == pytest.approx(roi[3] - roi[1])
            if "bbox" in sample.labels:
                np.testing.assert_array_equal(roi, square_around(sample.labels["bbox"]))
            else:
                assert (roi[:2] < sample.labels["pos_size"][:2]).all() and (
                    sample.labels["pos_size"][:2] < roi[2:]
                ).all()

    @pytest.mark.parametrize(
        ("rows", "columns", "message"),
        [
            (["1,3,1,2,3"], "person,frame,x0,y0,x1", r"biwi_boxes.csv has the columns person,frame,x0,y0,x1, not"),
            (["1,3,1,2,3,x"], "person,frame,x0,y0,x1,y1", r"biwi_boxes.csv, line 2: expected person,frame"),
            (["1,3,1,2,3"], "person,frame,x0,y0,x1,y1", r"biwi_boxes.csv, line 2: expected person,frame"),
            (["1,3,9,2,3,4"], "person,frame,x0,y0,x1,y1", r"biwi_boxes.csv, line 2: .* is not a box"),
            (["1,3,1,2,nan,4"], "person,frame,x0,y0,x1,y1", r"biwi_boxes.csv, line 2: .* is not a box"),
            (["99,3,1,2,3,4"], "person,frame,x0,y0,x1,y1", r"biwi_boxes.csv .* names no frame"),
        ],
    )
    def test_wrong_boxes_are_refused(self, rows, columns, message, tmp_path, rng):
        archives.biwi_boxes(tmp_path, rows, columns)
        with pytest.raises(ValueError, match=message):
            read(biwi, archives.biwi(rng, frames=1).write(tmp_path / "b.zip"))

    @pytest.mark.parametrize(
        ("name", "data", "message"),
        [
            ("rgb.png", b"no picture", "cannot be decoded"),
            ("rgb.png", None, "no photo beside"),
            ("rgb.png", archives.png(np.random.default_rng(0), 48, 64), "64x48 px, not 640x480"),
            ("rgb.png", archives.png(np.random.default_rng(0))[:-900], "cut short"),
            ("pose.txt", None, "no pose beside"),
            ("pose.txt", b"", "has [0] numbers in its paragraphs, expected [9, 3]"),
            ("pose.txt", b"1 0 0\n0 1 0\n0 0 1\n", "has [9] numbers"),
            ("pose.txt", archives.numbers(np.eye(3), [1, 2]), "has [9, 2] numbers"),
            ("pose.txt", archives.numbers(np.eye(3), [0, 0, 900]).replace(b"9", b"x"), "no number"),
            ("pose.txt", archives.numbers(np.eye(3), [0, 0, np.nan]), "not finite"),
            ("pose.txt", archives.numbers(np.eye(3) * 2, [0, 0, 900]), "no rotation"),
            ("pose.txt", archives.numbers(np.diag([1, 1, -1]), [0, 0, 900]), "no rotation"),
            ("pose.txt", archives.numbers(np.eye(3), [0, 0, -900]), "mm from the camera"),
            ("pose.txt", archives.numbers(np.eye(3), [1e8, 0, 900]), "mm from the camera"),
            ("pose.txt", archives.numbers(np.eye(3), [1e300, 0, 900]), "beyond reason"),
            ("pose.txt", b"\xff\xfe\x00", "no number"),
        ],
    )
    def test_one_bad_frame_is_dropped_counted_and_named(self, name, data, message, tmp_path, rng):
        archive = archives.biwi(rng, frames=3)
        member = f"hpdb/01/frame_00004_{name}"
        if data is None:
            del archive.contents[member]
        else:
            archive.contents[member] = data
        samples, tally = read(biwi, archive.write(tmp_path / "b.zip"))
        assert len(samples) == 5 and tally.bad == 1 and tally.seen == tally.total
        assert "b.zip" in tally.messages[0] and "01/frame_00004" in tally.messages[0] and message in tally.messages[0]

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (None, "01 has no rgb.cal"),
            (b"520 0 320", "numbers in its paragraphs"),
            (archives.biwi_camera(focal=-1.0), "holds no camera"),
            (archives.biwi_camera(distortion=(0, 0)), "holds no camera"),
            (archives.biwi_camera().replace(b"640 480", b"320 240"), "of photos of 320x240 px"),
        ],
    )
    def test_without_a_camera_a_video_is_lost(self, data, message, tmp_path, rng):
        archive = archives.biwi(rng, frames=3)
        archive.contents["hpdb/01/rgb.cal"] = data
        if data is None:
            del archive.contents["hpdb/01/rgb.cal"]
        samples, tally = read(biwi, archive.write(tmp_path / "b.zip"))
        assert {s.sequence for s in samples} == {"22"} and tally.dropped == {"camera not known": 3} and tally.bad == 3
        assert message in tally.messages[0]

    @given(st.binary(max_size=80))
    def test_no_text_gets_further_than_an_error_that_names_it(self, data):
        for parse in (biwi.parse_pose, biwi.parse_camera):
            with pytest.raises(Damaged, match=r"^the file "):
                parse(data.decode("ascii", "replace"), "the file")
