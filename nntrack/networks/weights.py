"""Trained weights with the configuration that their network is rebuilt from, in one safetensors file."""

import json
import os
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized

from nntrack.files import replacing
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.pose_net import PoseConfig, PoseNet

_Net = TypeVar("_Net", PoseNet, LocalizerNet)
_KEY = "config"  # the only metadata key: safetensors writes several in no fixed order


def write(path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-like ``config``; the same content has the same bytes."""
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as partial:
        # save_file raises no OSError, and its files can be read by their owner alone
        partial.write_bytes(serialized(plain, {_KEY: json.dumps(config, sort_keys=True)}))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and config. Raises FileNotFoundError or ValueError, naming the file."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro` or get it with `dvc pull`")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            config = json.loads((file.metadata() or {})[_KEY])
        if not isinstance(config, dict):
            raise ValueError("its configuration is not an object")
        return tensors, config
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no network of this project: {error!r}") from error


def save(
    path: str | os.PathLike[str], net: PoseNet | LocalizerNet, tensors: dict[str, torch.Tensor] | None = None
) -> None:
    """Weights (``tensors`` in place of the net's own, if given) and config in one file."""
    config = {"network": type(net).__name__, **asdict(net.config)}
    write(path, net.state_dict() if tensors is None else tensors, config)


def load_pose(path: str | os.PathLike[str]) -> PoseNet:
    """The pose net saved in ``path``, in eval mode. Raises FileNotFoundError or ValueError."""
    return _load(path, PoseNet, PoseConfig)


def load_localizer(path: str | os.PathLike[str]) -> LocalizerNet:
    """The localizer saved in ``path``, in eval mode. Raises FileNotFoundError or ValueError."""
    return _load(path, LocalizerNet, LocalizerConfig)


def _load(path: str | os.PathLike[str], network: type[_Net], config: type[Any]) -> _Net:
    tensors, values = read(path)
    kind = values.pop("network", "file of unknown kind")
    if kind != network.__name__:
        raise ValueError(f"{path} holds a {kind}, expected a {network.__name__}")
    try:
        net = network(config(**values))
        net.load_state_dict(tensors)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        reason = textwrap.shorten(str(error), 200)  # torch lists every tensor
        raise ValueError(f"{path} does not fit this version of the network: {reason}") from error
    return net.eval()
