import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nntrack import contract
from nntrack.deploy import check, pictures
from nntrack.deploy.runtime import load
from tests import onnx_files

SIDE = contract.POSE_SIZE
STEADY = {"box": [[-1, -1, 1, 1]]}  # the window stays as it is


def faults(findings):
    return {finding.point: finding.fault for finding in findings if finding.fault}


def changed(path, change):
    """A file after ``change`` of the model."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def initializer(model, name, value):
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))


def test_a_good_file_has_no_faults(tmp_path):
    for path in (onnx_files.pose(tmp_path / "p.onnx", **STEADY), onnx_files.localizer(tmp_path / "l.onnx")):
        found = check.check_contract(path)
        assert faults(found) == {} and len({finding.point for finding in found}) == len(found) > 10


@pytest.mark.parametrize(
    ("point", "changes", "message"),
    [
        ("output names", {"quat": None}, "no output is called quat"),
        ("output names", {"quat": None, "Quat": onnx_files.POSE["quat"]}, "upper and lower case count"),
        ("output shapes", {"box": [[0, 0, 1]]}, "box has shape (1, 3), expected (1, 4)"),
        ("types", {"extra": np.zeros(3, np.int64)}, "extra is tensor(int64)"),
        ("types", {"quat": np.array([[0, 0, 0, 1]], np.float16)}, "quat is tensor(float16)"),
        ("unit quaternions", {"quat": [[0, 0, 0, 1.01]]}, "length 1.01"),
        ("boxes upright", {"box": [[0.5, -1, -0.5, 1]]}, "expected x0 < x1"),
        ("finite", {"box": [[0, 0, np.nan, 1]]}, "box holds a number that is not finite"),
        ("sizes positive", {"pos_size": [[0, 0, -1]]}, "size is -1"),
        ("factors triangular", {"pos_size_scales_tril": [np.full((3, 3), 1e-9) + np.eye(3)]}, "1e-09 above its diag"),
        ("deviations positive", {"rotaxis_scales_tril": [np.diag([1, 0, 1])]}, "not positive"),
    ],
)
def test_faults_of_outputs_are_named(tmp_path, point, changes, message):
    found = faults(check.check_contract(onnx_files.pose(tmp_path / "a.onnx", **changes)))
    assert message in found[point]


@pytest.mark.parametrize(
    ("point", "changes", "message"),
    [
        ("input shape", {"size": (129, 128)}, "expected a square"),
        ("one input 'x'", {"size": (129, 129), "name": "image"}, "'x', got 'image'"),
        ("input shape", {"size": (129, 129), "batch": "n"}, "all fixed"),
        ("model_version", {"size": (129, 129), "version": 0}, "model_version is 0"),
        ("model_version", {"size": (129, 129), "version": 5}, "model_version is 5"),
    ],
)
def test_faults_of_the_input_and_the_version_are_named(tmp_path, point, changes, message):
    found = faults(check.check_contract(onnx_files.write(tmp_path / "a.onnx", onnx_files.POSE, **changes)))
    assert list(found) == [point] and message in found[point]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"size": (288, 224)}, "expected (224, 288)"), ({"size": (224, 288), "batch": 2}, "all fixed")],
)
def test_faults_of_the_localizers_input_are_named(tmp_path, changes, message):
    path = onnx_files.write(tmp_path / "a.onnx", onnx_files.LOCALIZER, **changes)
    assert message in faults(check.check_contract(path))["input shape"]


def test_a_localizers_inverted_box_is_named(tmp_path):
    path = onnx_files.localizer(tmp_path / "a.onnx", logit_box=[[2, 0.5, 0, -0.5, 1]])
    assert list(faults(check.check_contract(path))) == ["boxes upright"]


def newer_opset(model):
    model.opset_import[0].version = contract.NEWEST_OPSET + 1


def newer_ir(model):
    model.ir_version = contract.NEWEST_IR_VERSION + 1


def identity(model):
    model.graph.node[-1].output[0] = "inner"
    model.graph.node.append(helper.make_node("Identity", ["inner"], [model.graph.output[-1].name]))


def cast(model):
    identity(model)
    model.graph.node[-1].op_type = "Cast"
    model.graph.node[-1].attribute.append(helper.make_attribute("to", TensorProto.FLOAT))


def random(model):
    """The output is a different one each time."""
    node = model.graph.node[1]
    model.graph.node[1].CopyFrom(helper.make_node("RandomUniform", [], list(node.output), shape=[1, 4]))


@pytest.mark.parametrize(
    ("point", "change", "message"),
    [
        ("opset", newer_opset, "opset 20, at most 19"),
        ("IR version", newer_ir, "IR 10, at most 9"),
        ("no idle nodes", identity, "1 of the nodes do nothing: Identity"),
        ("no idle nodes", cast, "1 of the nodes do nothing: Cast"),
        ("deterministic", random, "quat differs by"),
    ],
)
def test_faults_of_the_graph_are_named(tmp_path, point, change, message):
    found = faults(check.check_contract(changed(onnx_files.pose(tmp_path / "a.onnx"), change)))
    assert message in found[point]


def test_weights_in_another_file_are_named(tmp_path):
    model = onnx.load(onnx_files.pose(tmp_path / "a.onnx"))
    initializer(model, "weights", np.ones(5000))
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert "weights is in another file" in faults(check.check_contract(tmp_path / "a.onnx"))["one file"]
    (tmp_path / "weights.bin").unlink()
    assert next(iter(faults(check.check_contract(tmp_path / "a.onnx")))) in ("onnxruntime opens it", "one file")


def test_what_is_not_an_onnx_file_is_named_and_what_is_not_there_is_an_error(tmp_path):
    (tmp_path / "a.onnx").write_text("no model")
    assert "cannot be loaded" in faults(check.check_contract(tmp_path / "a.onnx"))["onnxruntime opens it"]
    with pytest.raises(FileNotFoundError, match="gone"):
        check.check_contract(tmp_path / "gone.onnx")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([-1, -1, 1, 1], None),
        ([-1.02, -1.02, 1.02, 1.02], "the window grows by a factor of 1.02"),
        ([-1.3, -1.3, 1.3, 1.3], "the window grows beyond 1.5 frame widths in 8 frames, from 0.2 frame widths"),
        ([-0.5, -0.5, 0.5, 0.5], "the window shrinks to nothing in 8 frames, from 0.2"),
        ([0.5, 0.5, -0.5, -0.5], "the window shrinks to nothing in 1 frames"),
        ([0, 0, np.inf, 1], "box holds a number that is not finite"),
    ],
)
def test_what_becomes_of_the_window_without_a_face(tmp_path, box, message, monkeypatch):
    monkeypatch.setattr(pictures, "WITHOUT_FACE", {"black": pictures.WITHOUT_FACE["black"]})
    (found,) = check.check_loop(load(onnx_files.pose(tmp_path / "a.onnx", box=[box])))
    assert found.fault is None if message is None else message in found.fault


def test_a_localizer_that_sees_faces_everywhere_is_named(tmp_path):
    assert len(faults(check.check_loop(load(onnx_files.localizer(tmp_path / "a.onnx"))))) == len(pictures.WITHOUT_FACE)
    blind = onnx_files.localizer(tmp_path / "b.onnx", logit_box=[[-2, 0, 0, 1, 1]])
    assert faults(check.check_loop(load(blind))) == {}


def test_pictures_are_whole_frames_with_noise_of_their_own(rng):
    for name, paint in pictures.WITHOUT_FACE.items():
        first, second = paint(rng), paint(rng)
        assert first.shape == pictures.FRAME and first.dtype == np.uint8, name
        assert np.array_equal(first, second) == (name in ("black", "grey", "white")), name


def test_the_loop_is_left_out_where_the_file_cannot_be_used(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "WITHOUT_FACE", {"black": pictures.WITHOUT_FACE["black"]})
    good, bad = onnx_files.pose(tmp_path / "a.onnx"), onnx_files.pose(tmp_path / "b.onnx", quat=None)
    assert check.check_file(good, loop=False) == check.check_file(good)[:-1] == check.check_contract(good)
    assert check.check_file(bad) == check.check_contract(bad)


@pytest.mark.slow
def test_released_models(shared):
    pose = faults(check.check_contract(shared / "opentrack/head-pose-0.4-small-int8.onnx"))
    localizer = faults(check.check_contract(shared / "opentrack/head-localizer.onnx"))
    assert pose == {} and list(localizer) == ["no idle nodes"]
