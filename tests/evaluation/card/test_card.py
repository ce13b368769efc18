import json

import numpy as np
import pytest

from nntrack.deploy import pretrained
from nntrack.evaluation.card import card, faces
from nntrack.evaluation.card.lines import LINES
from tests import archives, onnx_files
from tests.faces import crops, samples, write

NETWORKS = pretrained.find(pretrained.FOLDER)


@pytest.fixture
def constant(tmp_path):
    pose = onnx_files.pose(tmp_path / "p.onnx", box=[[-1, -1, 1, 1]], pos_size=[[0, 0, 0.5]])
    return onnx_files.localizer(tmp_path / "l.onnx"), pose


@pytest.fixture
def few(monkeypatch):
    """Only what is quick."""
    monkeypatch.setattr(faces, "DRAWS", 2)
    monkeypatch.setattr(card, "FAMILIES", {name: card.FAMILIES[name] for name in ("light",)})


@pytest.mark.slow
def test_rendered_people_have_every_line_and_curve():
    found = card.measure(NETWORKS, size=0.01)
    section = found["rendered"]
    assert list(section.lines) == list(LINES) and section.source == "synthetic"
    assert section.curves.keys() == {"crop", "gain", "turn", "distance"}
    # a good pair follows
    assert section.lines["gain_yaw_slope"].value == pytest.approx(1, abs=0.15)
    assert section.lines["found_40"].value == 100 and section.lines["live_lost"].value == 0
    truth = np.array([point["true"] for point in section.curves["gain"]])
    assert np.abs(truth - [point["predicted"] for point in section.curves["gain"]]).mean() < 8
    content = json.loads(json.dumps(card.as_json(NETWORKS, found)))
    assert content["networks"] == {"localizer": "head-localizer.onnx", "pose": "head-pose.onnx"}
    assert content["sections"]["rendered"]["lines"]["mirror"]["n"] == 2


def test_workers_and_runs_change_nothing(constant, few):
    alone, together = (card.measure(constant, size=0.1, seed=3, workers=workers) for workers in (1, 2))
    assert alone == together
    assert card.measure(NETWORKS, size=0.1, seed=4, workers=2) != card.measure(NETWORKS, size=0.1, seed=5, workers=2)


def test_faces_of_a_dataset_have_a_section_of_their_own(constant, few, tmp_path, rng):
    stored = write(tmp_path / "faces.h5", samples(rng, 6))
    found = card.measure(constant, size=0.04, datasets=[stored.path], workers=1)
    assert found.keys() == {"rendered", "faces"} and found["faces"].source == "synthetic"
    assert found["faces"].lines["mirror"].n == 4
    assert "found_30" not in found["faces"].lines  # only where frames without a face are there too


def test_the_localizer_is_measured_on_frames_with_and_without_a_face(constant, few, tmp_path, rng):
    stored = write(tmp_path / "frames.h5", crops(rng, 20))
    lines = card.measure(constant, size=0.04, datasets=[stored.path], workers=1)["frames"].lines
    assert lines["false_alarms"].value == 100 and lines["false_alarms"].n == 10  # this one sees a face everywhere
    assert sum(lines[name].n for name in lines if name.startswith("found_")) == 10
    assert "sigma_auroc" in lines and "within_1s_pitch" not in lines


def test_a_dataset_without_faces_is_an_error(constant, tmp_path, rng):
    stored = write(tmp_path / "none.h5", [one for one in crops(rng, 8) if not one.labels["face"]])
    with pytest.raises(ValueError, match=r"none\.h5 holds no face"):
        card.measure(constant, datasets=[stored.path])


def test_videos_of_ytfaces_and_files_have_sections_of_their_own(constant, few, tmp_path, rng):
    folder = archives.ytfaces(
        tmp_path / "YTFaces", {"a": archives.video(rng, 12), "b": archives.video(rng, 12)}, {"a": "x", "b": "y"}
    )
    found = card.measure(constant, size=0.01, clips_of=folder, workers=1)
    assert found["ytfaces"].source == "real" and found["ytfaces"].lines["live_yaw"].n == 2
    with pytest.raises(FileNotFoundError, match="holds no video"):
        card.measure(constant, size=0.01, videos=[tmp_path / "YTFaces"])


def test_what_cannot_be_read_is_an_error_before_anything_is_measured(constant, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(card, "in_order", lambda *_: pytest.fail("measured"))
    (tmp_path / "damaged.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"damaged\.mp4"):
        card.measure(constant, videos=[tmp_path])
    stored = write(tmp_path / "faces.h5", samples(rng, 4))
    with pytest.raises(ValueError, match="two files hold samples of 'faces'"):
        card.measure(constant, datasets=[stored.path, stored.path])


def test_a_file_that_is_no_network_is_an_error(constant, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx"):
        card.measure((constant[0], tmp_path / "gone.onnx"))
