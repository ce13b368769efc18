"""Makes a params.yaml so small that the whole pipeline runs in seconds: ``python -m tests.shrink params.yaml``.

The figures of such a run say nothing about accuracy.
"""

import sys
from pathlib import Path

import yaml

TINY = {
    "threads": 1,
    "synthesize": {"aflw2k": 12, "300wlp": 16, "views": 2, "clips": 6, "frames": 6, "widerface": 24, "biwi": 4},
    "localizer": {"steps": 6, "warmup_steps": 1, "batch_size": 4, "validate_every": 3},
    "pose": {"steps": 6, "warmup_steps": 1, "batch_size": 8, "validate_every": 3, "width": 0.25},
    "split": {"held_out": 0.25},
    "evaluate": {"stability": {"faces": 3, "draws": 4}},
}


def shrink(path: Path) -> None:
    """Overwrite the keys of TINY in the file."""
    params = yaml.safe_load(path.read_text())
    for name, value in TINY.items():
        params[name] = params[name] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(params, sort_keys=False))


if __name__ == "__main__":
    shrink(Path(sys.argv[1]))
