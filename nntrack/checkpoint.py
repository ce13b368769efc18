"""Weights and the configuration that alone suffices to rebuild their network, in one safetensors file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized

from nntrack.store import replacing

_KEY = "config"  # the only metadata key: safetensors writes several in no fixed order


def save(path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-like ``config``; the same content gives the same bytes."""
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as partial:
        # not by save_file, whose errors are no OSError and whose files only their owner may read
        partial.write_bytes(serialized(plain, {_KEY: json.dumps(config, sort_keys=True)}))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and config. Raises FileNotFoundError or ValueError, naming the file."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro` or get it with `dvc pull`")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            config = json.loads((file.metadata() or {})[_KEY])
        if not isinstance(config, dict):
            raise ValueError("its configuration has no names")
        return tensors, config
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no network of this project: {error!r}") from error
