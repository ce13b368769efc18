"""What faces do: random weights of the 52 facial actions, named as ARKit names them (Left: the subject's)."""

import numpy as np

# Actions that come together: how often, and {action: (least, most)}
_MOODS: dict[str, tuple[float, dict[str, tuple[float, float]]]] = {
    "smile": (0.20, {"mouthSmile": (0.2, 1.0), "cheekSquint": (0.0, 0.7)}),
    "laugh": (
        0.25,
        {"mouthSmile": (0.6, 1.2), "cheekSquint": (0.2, 1.0), "eyeSquint": (0.1, 0.9), "mouthUpperUp": (0.2, 1.0),
         "mouthLowerDown": (0.0, 0.9), "jawOpen": (0.0, 0.35)},
    ),
    "anger": (
        0.05,
        {"browDown": (0.5, 1.4), "noseSneer": (0.1, 1.2), "eyeSquint": (0.1, 0.9), "mouthFrown": (0.0, 0.8),
         "mouthPress": (0.0, 0.8)},
    ),
    "frown": (0.05, {"browDown": (0.4, 1.3), "eyeSquint": (0.0, 0.8)}),
    "screwed up": (
        0.09,
        {"browDown": (0.4, 1.5), "eyeSquint": (0.5, 1.5), "noseSneer": (0.3, 1.4), "cheekSquint": (0.4, 1.4),
         "mouthUpperUp": (0.0, 0.9), "eyeBlink": (0.2, 0.95)},
    ),
    "scream": (
        0.05,
        {"jawOpen": (0.6, 1.1), "mouthStretch": (0.0, 0.9), "mouthUpperUp": (0.2, 1.0), "mouthLowerDown": (0.2, 1.0),
         "browDown": (0.0, 0.9), "eyeSquint": (0.2, 1.2), "noseSneer": (0.0, 1.0)},
    ),
    "surprise": (
        0.05,
        {"browInnerUp": (0.4, 1.0), "browOuterUp": (0.4, 1.1), "eyeWide": (0.2, 1.0), "jawOpen": (0.05, 0.7)},
    ),
    "brows up": (0.05, {"browInnerUp": (0.2, 0.9), "browOuterUp": (0.3, 1.0)}),
    "sad": (0.03, {"browInnerUp": (0.3, 1.0), "mouthFrown": (0.3, 1.0), "mouthShrugLower": (0.0, 0.8)}),
}  # fmt: skip
_NONE = 1 - sum(fraction for fraction, _ in _MOODS.values())
_APART = (
    "eyeBlink",
    "eyeLook",
    "tongueOut",
    "mouthClose",
    "jawOpen",
    "mouthSmile",
    "eyeSquint",
)  # sampled on their own
# What creases the skin, in the order of `creases.CREASES`: actions by how their names begin
_CREASED_BY = (
    ("browDown",),
    ("browOuterUp", "browInnerUp"),
    ("eyeSquint", "cheekSquint"),
    ("mouthSmile",),
    ("noseSneer",),
)


def sample(rng: np.random.Generator, names: tuple[str, ...]) -> np.ndarray:
    """Weights (e,) of the actions ``names``: often nearly at rest, sometimes strong; both sides mostly agree."""
    weights = dict.fromkeys(names, 0.0)
    free = [name for name in names if not name.startswith(_APART)]
    for name in rng.choice(free, rng.integers(0, 4)):
        strength, alike = rng.uniform(0.05, 0.9), rng.random() < 0.7
        for side in (name, _partner(name)) if alike else (name,):
            weights[side] = strength
    weights["jawOpen"] = rng.choice([0.0, rng.uniform(0.01, 0.12), rng.uniform(0.1, 0.6)], p=[0.5, 0.35, 0.15])
    lids = np.full(2, rng.uniform(-0.15, 0.2) if rng.random() < 0.85 else rng.uniform(0.2, 1.0))
    aside, down = rng.normal(0, 0.35), rng.normal(0.1, 0.35) if rng.random() < 0.8 else rng.uniform(0.5, 1.5)
    lids = lids + max(0.0, 0.25 * down)
    if rng.random() < 0.04:  # a wink
        lids[rng.integers(2)] = rng.uniform(0.3, 1)
    moods = list(_MOODS)
    mood = rng.choice([*moods, ""], p=[*(_MOODS[m][0] for m in moods), _NONE])
    strength = rng.uniform(0.6, 1.0)
    for name, (low, high) in _MOODS[mood][1].items() if mood else ():
        amount = strength * rng.uniform(low, high)
        if name == "eyeBlink":
            lids = np.full(2, amount)
        elif name in weights:
            weights[name] = amount
        else:
            weights |= _both(name, amount + rng.normal(0, 0.05, 2))
    weights |= _both("eyeBlink", np.clip(lids, -0.15, 1))
    weights |= _both("eyeLookDown" if down > 0 else "eyeLookUp", np.full(2, abs(down)))
    sides = ("In", "Out") if aside > 0 else ("Out", "In")
    weights |= {f"eyeLook{sides[0]}Right": abs(aside), f"eyeLook{sides[1]}Left": abs(aside)}
    return np.array([weights[name] for name in names])


def creases(names: tuple[str, ...], expression: np.ndarray) -> np.ndarray:
    """How deep the creases of an expression (e,) of actions ``names`` are, 0..1."""
    return np.array(
        [
            max((w for name, w in zip(names, expression, strict=True) if name.startswith(by)), default=0.0)
            for by in _CREASED_BY
        ]
    )


def _both(name: str, strength: np.ndarray) -> dict[str, float]:
    """An action of both sides; strength (2,): the subject's right and left."""
    return {f"{name}Right": strength[0], f"{name}Left": strength[1]}


def _partner(name: str) -> str:
    """The same action on the other side of the face; itself where it has no side."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return name.removesuffix(side) + other
    return name
