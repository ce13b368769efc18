"""Makes a params.yaml so small that the whole pipeline runs in seconds: ``python -m tests.shrink params.yaml``.

The figures of such a run say nothing about accuracy.
"""

import sys
from pathlib import Path

from ruamel.yaml import YAML

TINY = {
    "threads": 1,
    "synthesize": {
        "aflw2k": 12,
        "w300lp": 16,
        "views": 2,
        "clips": 6,
        "frames": 6,
        "widerface": 24,
        "biwi": 4,
        "clip": 12,
    },
    "localizer": {"steps": 6, "warmup_steps": 1, "batch_size": 4, "validate_every": 3},
    "pose": {"steps": 6, "warmup_steps": 1, "batch_size": 8, "validate_every": 3, "width": 0.25},
    "split": {"held_out": 0.25},
    "evaluate": {"card": {"size": 0.01}},
}


def shrink(path: Path) -> None:
    """Overwrite the keys of TINY in the file."""
    yaml = YAML()
    params = yaml.load(path)
    for name, value in TINY.items():
        if isinstance(value, dict):
            params[name].update(value)
        else:
            params[name] = value
    yaml.dump(params, path)


if __name__ == "__main__":
    shrink(Path(sys.argv[1]))
