"""What the CPU's own forms of `nntrack.training.kernels` save: ``python -m benchmarks.kernels``.

Each is timed in turn with the form that an accelerator uses, on this machine's CPU, as trainings do such work there: on
one thread, for as many steps of the pose net's and of the localizer's as are made ready together.
"""

import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import typer

from nntrack import config, contract
from nntrack.command_line import run
from nntrack.geometry import affine
from nntrack.training import augment, changes, kernels, torch_settings
from nntrack.training.batches import AHEAD


def main(repeats: int = typer.Option(30, min=1, help="timings of each, in turn; the median counts")) -> None:
    """Print milliseconds a step; the last line is one JSON object."""
    params = config.load()
    pose, localizer = (contract.POSE_SIZE,) * 2, contract.LOCALIZER_SIZE
    result = {}
    with torch_settings.settings(threads=1):
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
    maps = affine.similarity(
        torch.rand(count, generator=generator) - 0.5,
        torch.rand(count, generator=generator) / 2 + 0.75,
        torch.zeros(count, 2),
    )
    few = kernels.stack_count(count)
    shared = maps[kernels.stack_of(count)]  # as training moves them
    shown = pictures[:, :, : size[0], : size[1]].contiguous()
    flat, rule = shown.flatten(1), contract.PREPROCESSING
    place = rule.quantile * (flat.shape[1] - 1)
    # random levels are bright; some pictures of a training are dark
    flat[: count // 4] //= 2
    found = {
        "warp": (
            lambda: kernels._vary_each(pictures, shared, size, ()),
            lambda: kernels._warp_batch(pictures, shared, size),
        ),
        "warp_alone": (
            lambda: kernels._vary_each(pictures, maps, size, ()),
            lambda: kernels._warp_batch(pictures, maps, size),
        ),
        "grey_quantile": (
            lambda: kernels._quantile_each(flat, place, rule.dark_below),
            lambda: kernels._quantile_batch(flat, place, rule.dark_below),
        ),
    }
    stacks = shown.view(kernels.CHANNELS, few, *size).permute(1, 2, 3, 0).contiguous().numpy()
    every = torch.arange(few)
    for draw in (augment.occlude, augment.relight, augment.blur):
        found[draw.__name__] = both_forms(draw(every, generator), stacks, shown)
    found["noise"] = both_forms(changes.AddNoise(20 * torch.rand(few, generator=generator), generator), stacks, shown)
    return found


def both_forms(
    change: kernels.Change, stacks: np.ndarray, shown: torch.Tensor
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Those of a change of all ``stacks`` (S, H, W, CHANNELS), which are the images ``shown`` (B, 1, H, W), too."""

    def each() -> None:
        for number, work in change.each(stacks.shape[1:3]).items():
            work(stacks[number])

    return each, lambda: change.batch(shown)


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
