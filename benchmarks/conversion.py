"""How near conversion is to what reading the archive costs at least: ``python -m benchmarks.conversion [archive]``.

The floor is one process that reads each pair from the zip, decodes the photo in grey and loads the .mat. Both are timed
in one run, in turn. A small archive is repeated under other names until it holds ``--pairs``. Memory is that of the
process and its workers (shared pages counted once) beyond what they hold after their imports.
"""

import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from scipy.io import loadmat

from nntrack.command_line import run
from nntrack.readers import conversion
from nntrack.readers._format import Options

ARCHIVE = Path("data/synthetic/300W-LP.zip")
KINDS = {"AFLW2000-3D.zip": "aflw2k", "300W-LP.zip": "w300lp"}
_PHOTO = re.compile(r"(AFLW2000|300W_LP/(AFW|HELEN|IBUG|LFPW))/[^/]+\.jpg")


def main(
    archive: Annotated[Path, typer.Argument(help="AFLW2000-3D.zip or 300W-LP.zip")] = ARCHIVE,
    pairs: Annotated[int, typer.Option(help="repeat the archive's members until it holds so many")] = 4000,
    repeats: Annotated[int, typer.Option(help="timings of each, in turn; the median counts")] = 3,
    measured: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print the floor, our conversion, their ratio and peak memory; the last line is one JSON object."""
    if measured is not None:
        _convert_when_told(archive, measured)
        return
    if not archive.exists():
        raise FileNotFoundError(f"{archive} does not exist: draw it with `dvc repro`, or name another archive")
    with tempfile.TemporaryDirectory() as folder:
        large, out = repeat(archive, Path(folder) / archive.name, pairs), Path(folder) / "out.h5"
        floors, ours = [], []
        for _ in range(repeats):
            count, seconds = timed(floor, large)
            floors.append(seconds / count * 1e3)
            out.unlink(missing_ok=True)  # as DVC does
            tally, seconds = timed(convert, large, out)
            ours.append(seconds / tally.seen * 1e3)
        result = {
            "archive": archive.name,
            "pairs": count,
            "floor_ms": round(statistics.median(floors), 4),
            "ours_ms": round(statistics.median(ours), 4),
            "ratio": round(statistics.median(ours) / statistics.median(floors), 3),
            "peak_mb": peak_memory(large, out),
            "cores": os.cpu_count(),
        }
    print(f"{result['pairs']} pairs of {archive}, {result['cores']} cores")
    print(f"{'floor (one process)':24} {result['floor_ms']:8.3f} ms a pair")
    print(f"{'conversion':24} {result['ours_ms']:8.3f} ms a pair, {result['ratio']} x the floor")
    print(f"{'peak memory':24} {result['peak_mb']} MB beyond imports")
    print(json.dumps(result))


def repeat(archive: Path, large: Path, pairs: int) -> Path:
    """A zip with the members of ``archive``, again and again under other names, until it holds ``pairs`` photos."""
    with zipfile.ZipFile(archive) as old:
        photos = [name for name in old.namelist() if _PHOTO.fullmatch(name)]
        if len(photos) >= pairs:
            return archive
        with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as new:
            for i in range(pairs):
                photo = photos[i % len(photos)]
                copy = f"r{i // len(photos)}x"
                for member in {photo: 0, f"{photo[:-4]}.mat": 0, _landmarks_of(photo): 0}:
                    if member in old.NameToInfo:
                        parent, _, name = member.rpartition("/")
                        new.writestr(f"{parent}/{copy}{name}", old.read(member))
    return large


def _landmarks_of(photo: str) -> str:
    return re.sub(r"300W_LP/(\w+)/(.+)\.jpg", r"300W_LP/landmarks/\1/\2_pts.mat", photo)


def floor(archive: Path) -> int:
    """Read, decode and load every pair; returns how many."""
    count = 0
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if _PHOTO.fullmatch(name):
                cv2.imdecode(np.frombuffer(opened.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
                loadmat(io.BytesIO(opened.read(f"{name[:-4]}.mat")))
                count += 1
    return count


def convert(archive: Path, out: Path):
    """Our conversion, as the stage does it."""
    dataset = KINDS[archive.name]
    return conversion.convert(dataset, archive, out, Options(), source="real", max_bad_share=1.0, progress=False)


def timed(function, *arguments):
    """What ``function`` returns, and seconds of wall clock."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def peak_memory(archive: Path, out: Path) -> float | None:
    """MB of a process that converts, and its workers, beyond what it held before; None where the system cannot tell."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    command = [sys.executable, "-m", "benchmarks.conversion", str(archive), "--measured", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()  # imports are done
        before = peak = _resident(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.02)
    return round((peak - before) / 1024, 1)


def _convert_when_told(archive: Path, out: Path) -> None:
    conversion.find_reader(KINDS[archive.name])
    print("ready", flush=True)
    sys.stdin.readline()
    convert(archive, out)


def _resident(pid: int) -> int:
    """KiB of a process and those below it; a page that several share counts once."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += _resident(int(child))
    except (OSError, ValueError):  # it has just ended
        pass
    return total


if __name__ == "__main__":
    run(main)
