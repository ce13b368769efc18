import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.commands.compare import main
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation import compare, evaluate
from nntrack.evaluation.protocols import EvalInputs
from tests import onnx_files, stores
from tests.conftest import ROOT

INPUTS = EvalInputs({"bbox_scale": 1.2, "center_crop": 0.6})


@pytest.fixture
def stored(tmp_path, rng):
    angles = rng.uniform(-40, 40, (60, 3))
    return stores.posed(tmp_path / "aflw2k.h5", Rotation.from_euler("xyz", angles, degrees=True).as_quat(), rng)


def measured(stored, path, angles=(0, 0, 0), **changes):
    quat = Rotation.from_euler("xyz", [angles], degrees=True).as_quat()
    return evaluate.evaluate(PoseModel(onnx_files.pose(path, quat=quat.astype(np.float32), **changes)), stored, INPUTS)


def by_name(rows):
    return {(row.protocol, row.metric.name): row for row in rows}


def test_a_net_does_not_differ_from_itself(stored, tmp_path):
    one = measured(stored, tmp_path / "a.onnx")
    for row in compare.compare([one, one, one], seed=1, headlines=False):
        assert row.figures[0] == row.figures[1] == row.figures[2]
        assert [difference[:3] for difference in row.differences] == [(0, None, None)] * 2


def test_a_difference_is_paired(stored, tmp_path):
    nets = [measured(stored, tmp_path / "a.onnx"), measured(stored, tmp_path / "b.onnx", (0, 5, 0))]
    row = by_name(compare.compare(nets, seed=1))["bbox", "geodesic"]
    a, b = (one["bbox"].table["geodesic"] for one in nets)
    (difference,) = row.differences
    assert difference.value == pytest.approx((b - a).mean(), abs=6e-4)
    assert row.figures[0] == nets[0]["bbox"].figures(1)["geodesic"]
    # as wide as that of the mean of the differences, and far narrower than those of the two
    width = 2 * 1.96 * (b - a).std(ddof=0) / np.sqrt(60)
    assert difference.high - difference.low == pytest.approx(width, rel=0.1)
    assert 2 * (difference.high - difference.low) < row.figures[0].high - row.figures[0].low


def test_a_missing_output_is_a_dash(stored, tmp_path):
    landmarks = np.zeros((1, 68, 3), np.float32)
    nets = [measured(stored, tmp_path / "a.onnx"), measured(stored, tmp_path / "b.onnx", landmarks=landmarks)]
    row = by_name(compare.compare(nets, seed=1))["bbox", "nme2d"]
    assert row.figures[0] is None and row.figures[1].value > 0 and row.differences == (None,)
    assert cells(compare.markdown([row], ["a", "b"]))[-1][2::2] == ["-", "-"]


def cells(markdown):
    """The cells of each row of a table, without padding."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]


def test_differences_beyond_noise_are_bold(stored, tmp_path):
    nets = [measured(stored, tmp_path / "a.onnx"), measured(stored, tmp_path / "b.onnx", (0, 30, 0))]
    text = compare.markdown(compare.compare(nets, 1, headlines=False), ["one", "two"])
    assert text.startswith("- A: one\n- B: two\n\n|")
    titles, _, *rows = cells(text)
    assert titles == ["protocol", "metric", "A", "B", "B - A"] and {len(row) for row in rows} == {5}
    difference = {tuple(row[:2]): row[4] for row in rows}
    assert difference["bbox", "yaw error (degrees)"].startswith("**+")
    assert "**" not in difference["bbox", "roll error (degrees)"]
    with pytest.raises(ValueError, match="27 nets are too many"):
        compare.markdown([], ["x"] * 27)


def test_other_samples_are_an_error(stored, tmp_path, rng):
    other = stores.posed(tmp_path / "b.h5", [stores.FRONTAL], rng)
    with pytest.raises(ValueError, match="not measured on the same samples under 'bbox'"):
        compare.compare([measured(stored, tmp_path / "a.onnx"), measured(other, tmp_path / "a.onnx")], 1)
    with pytest.raises(ValueError, match="no samples to compare nets on"):
        compare.compare([{}, {}], 1)


def test_notes_name_few_and_rendered_samples(stored, tmp_path, rng):
    text = " ".join(compare.notes(measured(stored, tmp_path / "a.onnx"), stored, several=True))
    assert "n = 60 of the original's 1969" in text and "fewer than 100" in text and "are synthetic" in text
    many = stores.posed(tmp_path / "b.h5", [stores.FRONTAL] * 120, rng, source="real", reader="mine")
    text = " ".join(compare.notes(measured(many, tmp_path / "a.onnx"), many, several=False))
    assert "n = 120;" in text and "With fewer" not in text and "synthetic" not in text and "paired" not in text


@pytest.fixture
def command(monkeypatch, capsys):
    """The command `nntrack compare`; returns what it prints."""
    monkeypatch.chdir(ROOT)  # where params.yaml is
    return lambda *arguments, **options: main(*arguments, **options) or capsys.readouterr().out


def test_the_command_prints_one_table(command, stored, tmp_path):
    models = [onnx_files.pose(tmp_path / name) for name in ("a.onnx", "b.onnx")]
    text = command(stored.path, models, protocol=["center"])
    assert f"- B: {models[1]}" in text and {row[0] for row in cells(text)[2:]} == {"center"}


def test_released_nets_can_be_compared(command, shared, tmp_path, rng):
    stored = stores.framed(tmp_path / "a.h5", [(1, "val"), (0, "val"), (1, "val")], rng)
    ours = onnx_files.localizer(tmp_path / "ours.onnx")
    text = command(stored.path, [ours, shared / "opentrack/head-localizer.onnx"], full=True)
    assert cells(text)[2][:2] == ["val", "face or no face classified correctly (fraction)"]
