import re
from pathlib import Path

import pytest

from nntrack import config
from nntrack.data.datasets import DATASETS

PARAMS = Path(__file__).parents[1] / "params.yaml"


@pytest.fixture
def values():
    return config.read_yaml(PARAMS)


def test_the_shipped_parameters_are_valid():
    params = config.load(PARAMS)
    assert params.source in ("synthetic", "real")
    assert params.convert.datasets == ("aflw2k", "w300lp", "ytfaces", "widerface", "biwi")
    assert params.convert.dataset("ytfaces").stride == 4 and params.convert.dataset("aflw2k").stride == 1


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["sed"], 1, "sed: no such parameter"),
        (["seed"], "one", "seed: input should be a valid integer, got 'one'"),
        (["lr"], -1.0, "lr: input should be greater than 0, got -1.0"),
        (["convert", "aflw2k", "use"], "yes", "convert.aflw2k.use: input should be a valid boolean, got 'yes'"),
        (["devices"], 0, "devices: input should be greater than or equal to 1, got 0"),
        (["threads"], 100000, "threads: input should be less than or equal to 1024, got 100000"),
        (["pose", "sampling"], {"w300lp": 0.0}, "pose.sampling: no dataset has a fraction above 0"),
        (["source"], "reel", "source: input should be 'synthetic' or 'real', got 'reel'"),
        (
            ["precision"],
            "bf17",
            "precision: input should be '32-true', 'bf16-mixed', '16-mixed' or 'auto', got 'bf17'",
        ),
    ],
)
def test_a_wrong_key_or_value_is_one_line_that_names_it(values, path, value, message):
    section = values
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    with pytest.raises(ValueError) as caught:
        config.parse(values, "params.yaml")
    assert str(caught.value) == f"params.yaml: {message}"


def test_a_missing_key_is_named(values):
    del values["split"]["held_out"]
    with pytest.raises(ValueError, match=r"^params\.yaml: split\.held_out: is missing$"):
        config.parse(values, "params.yaml")


@pytest.mark.parametrize("text", ["0.00001", "1e-5", "1e-05", "1.0e-5", "1E-5"])
def test_a_small_number_may_be_written_in_any_way(text, tmp_path):
    path = tmp_path / "params.yaml"
    before = "weight_decay: 0.0001"
    assert before in PARAMS.read_text()
    path.write_text(PARAMS.read_text().replace(before, f"weight_decay: {text}"))
    assert config.load(path).pose.weight_decay == 1e-5


def test_what_is_not_yaml_is_named_in_one_line(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: [1\nb: }")
    with pytest.raises(ValueError, match=r"params\.yaml is not YAML") as caught:
        config.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"anny": 0.0, "facekit": 0.0}, "synthesize.heads: one of anny and facekit must be above 0"),
        ({"anny": 1.0, "facekit": 0.5}, "synthesize.facekit: must be the folder with FaceKit's meshes"),
    ],
)
def test_heads_need_a_source(values, heads, message):
    values["synthesize"]["heads"] = heads
    with pytest.raises(ValueError, match=rf"^params\.yaml: {re.escape(message)}"):
        config.parse(values, "params.yaml")


def test_sources_are_those_with_a_weight(values):
    assert config.parse(values, "params.yaml").synthesize.sources == {"anny": 1.0}
    values["synthesize"] |= {"heads": {"anny": 1.0, "facekit": 3.0}, "facekit": "data/facekit"}
    assert config.parse(values, "params.yaml").synthesize.sources == {"anny": 1.0, "data/facekit": 3.0}


def test_an_unknown_dataset_is_told_the_known_ones(values):
    values["convert"]["pointing"] = {"use": True, "limit": None}
    with pytest.raises(ValueError, match=r"^params\.yaml: convert\.pointing: no such dataset; known: aflw2k, "):
        config.parse(values, "params.yaml")


def test_a_dataset_needs_a_reader_and_lines_in_the_parameters_alone(values, monkeypatch):
    monkeypatch.setitem(DATASETS, "pointing", DATASETS["aflw2k"])
    values["convert"]["pointing"] = {"use": True, "limit": 3}
    convert = config.parse(values, "params.yaml").convert
    assert convert.datasets[-1] == "pointing" and convert.dataset("pointing").limit == 3
    assert convert.dataset("opentrack_h5") == config.Dataset()  # converted by hand


def test_digest_depends_on_values_alone():
    assert config.digest({"a": 1, "b": [2.0]}) == config.digest({"b": [2.0], "a": 1})
    assert config.digest({"a": 1}) != config.digest({"a": 2})
