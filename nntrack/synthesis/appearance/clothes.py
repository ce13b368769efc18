"""Random clothes."""

import cv2
import numpy as np

from nntrack.synthesis.textures import material, random_text


def clothes(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A texture (H, W) of clothes on the chest: a material, often with a shirt, a tie, text or buttons."""
    u = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    v = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    cloth = rng.uniform(0.03, 0.95) * material(rng, shape, np.exp(rng.uniform(np.log(12), np.log(120))))
    if rng.random() > 0.5:  # a shirt in the opening of a jacket
        deep, wide = rng.uniform(0.15, 0.7), rng.uniform(0.05, 0.3)
        edge = wide * (1 - v / deep)
        lapel = np.abs(u) < edge + rng.uniform(0.02, 0.12) * (v < 0.9 * deep)
        cloth = np.where(lapel, cloth * rng.uniform(0.6, 1.3), cloth)
        cloth = np.where(np.abs(u) < edge, rng.uniform(0.05, 0.95), cloth)
        if rng.random() < 0.4:
            tie = (np.abs(u) < 0.015 + 0.03 * v) & (v < deep)
            cloth = np.where(tie, rng.uniform(0.03, 0.7) * material(rng, shape, 20), cloth)
    if rng.random() < 0.3:
        mask = np.zeros(shape, np.float32)
        random_text(rng, mask, shape[1] * np.array([rng.uniform(0.35, 0.5), rng.uniform(0.2, 0.4)]), shape[1] * 0.12)
        cloth = cloth * (1 - mask) + rng.uniform(0.02, 0.98) * mask
    if rng.random() < 0.3:
        for at in np.arange(0.05, 1, rng.uniform(0.06, 0.15)):
            centre = (shape[1] // 2, int(at * shape[0]))
            cv2.circle(cloth, centre, int(rng.integers(2, 5)), float(rng.uniform(0.02, 0.95)), -1, cv2.LINE_AA)
    return np.clip(cloth, 0.02, 1).astype(np.float32)
