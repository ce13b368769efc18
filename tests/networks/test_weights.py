import pytest
import torch
from safetensors.torch import save_file

from nntrack.networks import weights


def test_comes_back_and_bytes_repeat(tmp_path):
    tensors = {"b": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "a": torch.tensor(3)}
    config = {"width": 0.5, "name": "x", "a": [1, 2]}
    weights.write(tmp_path / "one", tensors, config)
    weights.write(tmp_path / "two", dict(reversed(tensors.items())), dict(reversed(config.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found, values = weights.read(tmp_path / "one")
    assert values == config
    for name, value in tensors.items():
        assert torch.equal(found[name], value)


def test_foreign_and_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none .*dvc repro"):
        weights.read(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="bad holds no network"):
        weights.read(tmp_path / "bad")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(ValueError, match="foreign holds no network"):
        weights.read(tmp_path / "foreign")
