"""What the CPU's own forms of `nntrack.kernels` save: ``python -m benchmarks.kernels``.

Each is timed in turn with the form that an accelerator uses, on this machine's CPU, as trainings do such work there: on
one thread, for as many steps of the pose net's and of the localizer's as are made ready together.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
import typer

from nntrack import affine, compute, config, contract, kernels
from nntrack.supply import AHEAD
from stages._run import run


def main(repeats: int = typer.Option(30, min=1, help="timings of each, in turn; the median counts")) -> None:
    """Print milliseconds a step; the last line is one JSON object."""
    params = config.load()
    pose, localizer = (contract.POSE_SIZE,) * 2, contract.LOCALIZER_SIZE
    result = {}
    with compute.settings(threads=1):
        for net, count, size, stored in (
            ("pose", params.pose.batch_size, pose, (params.convert.size,) * 2),
            ("localizer", params.localizer.batch_size, localizer, localizer),
        ):
            for name, forms in pairs(AHEAD * count, size, stored).items():
                own, batched = (block / AHEAD for block in medians(forms, repeats))
                result[f"{net}_{name}"] = {
                    "own_ms": round(own, 3),
                    "batched_ms": round(batched, 3),
                    "ratio": round(batched / own, 2),
                }
    print(f"{'':22}{'own, ms':>10}{'batched, ms':>14}{'ratio':>8}")
    for name, row in result.items():
        print(f"{name:22}{row['own_ms']:10.3f}{row['batched_ms']:14.3f}{row['ratio']:8.2f}")
    print(json.dumps(result))


def pairs(
    count: int, size: tuple[int, int], stored: tuple[int, int]
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """By kernel, the CPU's own form and the batched one, on random pictures of the given sizes."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (count, 1, *stored), dtype=torch.uint8, generator=generator)
    turn = (torch.rand(count, generator=generator) - 0.5, torch.rand(count, generator=generator) / 2 + 0.75)
    maps = affine.similarity(*turn, torch.zeros(count, 2))
    shared = maps[torch.arange(count) % (count // kernels.CHANNELS)]  # as training moves them
    shown = pictures[:, :, : size[0], : size[1]].contiguous()
    flat, rank = shown.flatten(1), int(contract.PREPROCESSING.quantile * shown[0].numel())
    strength = 20 * torch.rand(count, generator=generator)
    every = torch.arange(count)
    table = torch.randint(0, 256, (count, 256), dtype=torch.uint8, generator=generator)
    middle = affine.similarity(*turn, torch.tensor([size[1], size[0]]).expand(count, 2) / 2)
    shape = affine.compose(middle, torch.tensor([[40.0, 0, 0], [0, 40.0, 0]]))
    disc, grey, gain = turn[0] < 0, table[:, 0], turn[1] / 255
    # about as many weights as the blur of a training has on average
    weights = torch.zeros(count, 9, 9)
    weights[:, 2:7, 2:7] = 1 / 25
    return {
        "warp": (
            lambda: kernels._warp_each(pictures, shared, size),
            lambda: kernels._warp_batch(pictures, shared, size),
        ),
        "warp_alone": (
            lambda: kernels._warp_each(pictures, maps, size),
            lambda: kernels._warp_batch(pictures, maps, size),
        ),
        "grey_level": (
            lambda: kernels._level_by_histogram(flat, rank),
            lambda: kernels._level_by_halving(flat, rank),
        ),
        "look_up": (
            lambda: kernels._look_up_each(shown, every, table),
            lambda: kernels._look_up_batch(shown, every, table),
        ),
        "cover": (
            lambda: kernels._cover_each(shown, every, shape, disc, grey),
            lambda: kernels._cover_batch(shown, every, shape, disc, grey),
        ),
        "convolve": (
            lambda: kernels._convolve_each(shown, every, weights),
            lambda: kernels._convolve_batch(shown, every, weights),
        ),
        "scaled": (
            lambda: kernels._scaled_each(shown, gain, -0.5),
            lambda: kernels._scaled_batch(shown, gain, -0.5),
        ),
        "noise": (
            lambda: kernels._add_noise_each(shown, strength, generator),
            lambda: kernels._add_noise_batch(shown, strength, generator),
        ),
    }


def medians(forms: tuple[Callable[[], object], ...], repeats: int) -> list[float]:
    """Milliseconds of each, timed in turn after a first time."""
    times: list[list[float]] = [[] for _ in forms]
    for _ in range(repeats + 1):
        for form, found in zip(forms, times, strict=True):
            start = time.perf_counter()
            form()
            found.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(found[1:]) for found in times]


if __name__ == "__main__":
    run(main)
