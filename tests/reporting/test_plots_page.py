"""The page that `dvc plots show` writes, opened in a browser without a network; results are made up."""

import csv
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nntrack.reporting import card, titles
from nntrack.reporting.plots_page import plots_page
from tests import browser
from tests.conftest import ROOT

PROJECT = ("dvc.yaml", "params.yaml", ".dvc/config", ".dvc/plots")
CHARTS = 7  # two protocols, their distribution, the localizer, three training curves
CURVES = {
    "pose": ("train/loss", "valid/score", "valid/geodesic_degrees"),
    "localizer": ("train/loss", "valid/score"),
}


def test_a_page_holds_its_scripts_and_states_its_source():
    text, real = plots_page("synthetic"), plots_page("real")
    assert "rendered itself" in text and 'class="source synthetic"' in text
    assert text.count("{plot_divs}") == 1 and "window.vegaEmbed=" in text and "<script src" not in text
    assert "rendered itself" not in real and 'class="source real"' in real


def errors(rng, n, factor):
    """A row per sample as the evaluation writes them, text."""
    for i, (spread, true, error) in enumerate(
        zip(rng.uniform(1, 4, n), rng.normal(0, 30, (n, 3)), rng.normal(0, factor, (n, 3)), strict=True)
    ):
        off = spread * error
        yield {
            "index": i,
            "name": f"photo {i}",
            **{f"true_{name}": f"{value:.4f}" for name, value in zip(("yaw", "pitch", "roll"), true, strict=True)},
            **{f"{name}_error": f"{abs(value):.4f}" for name, value in zip(("yaw", "pitch", "roll"), off, strict=True)},
            "geodesic": f"{np.linalg.norm(off):.4f}",
            "nme2d": f"{3 * factor * rng.random():.4f}",
            "sigma_rotation": f"{spread * factor:.4f}",
        }


def faces(rng, n):
    for i in range(n):
        face = int(i % 2)
        row = {"index": i, "face": face, "reported": face, "score": f"{np.clip(rng.normal(face, 0.3), 0, 1):.4f}"}
        yield row | {"iou": f"{rng.random():.4f}" if face else ""}


def table(path, rows, delimiter=","):
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def results(root, seed, n, factor):
    """Write what the page shows."""
    rng = np.random.default_rng(seed)
    for name in ("aflw2k_bbox", "aflw2k_center"):
        table(root / f"reports/errors/{name}.csv", errors(rng, n, factor))
    table(root / "reports/errors/widerface_val.csv", faces(rng, n))
    for net, curves in CURVES.items():
        for name in curves:
            rows = [{"step": step, name.split("/")[1]: f"{factor / step:.5f}"} for step in range(1, 20)]
            table(root / f"models/{net}/live/plots/metrics/{name}.tsv", rows, "\t")
    (root / "reports/pictures").mkdir(exist_ok=True)
    for name in ("poses_best_median_worst", "dataset_aflw2k"):
        picture = rng.integers(0, 256, (300, 1600, 3), np.uint8)
        cv2.imwrite(str(root / f"reports/pictures/{name}.jpg"), picture)
    (root / "reports/card").mkdir(exist_ok=True)
    for name, chart in card.charts(
        {"distance": [{"width": 5, "found": 40 * factor}, {"width": 80, "found": 100}]}
    ).items():
        (root / f"reports/card/{name}.svg").write_text(chart)


def dvc(root, *arguments):
    run = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(run, cwd=root, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def pages(once):
    """What `dvc plots show` and `dvc plots diff` write for made-up results of two revisions."""
    root = once("page", show)
    return {name: root / name / "index.html" for name in ("show", "diff")}


def show(root):
    for name in PROJECT:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, root / name)
    results(root, 0, 300, 1.0)
    (root / "reports/page_template.html").write_text(plots_page("synthetic"))
    git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for arguments in (["init", "-q"], ["add", "-f", "."], ["commit", "-q", "-m", "old results"]):
        subprocess.run([*git, *arguments], cwd=root, check=True)
    results(root, 1, 300, 0.5)
    dvc(root, "plots", "show", "-o", "show")
    dvc(root, "plots", "diff", "HEAD", "-o", "diff")


@pytest.fixture(params=[390, 1200], ids=["phone", "desktop"])
def width(request):
    return request.param


@pytest.fixture
def opened(tmp_path):
    if not (browser.CHROMIUM and browser.DRIVER):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")

    def opened(path, width):
        return browser.opened(path, tmp_path, width)

    return opened


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["show", "diff"])
def test_the_page_is_drawn_without_a_network(pages, opened, width, kind):
    with opened(pages[kind], width) as driver:
        marks = driver.execute_script(browser.MARKS)
        assert len(marks) == CHARTS and min(marks) > 300, "axes alone"
        complaints = [entry["message"] for entry in driver.get_log("browser")]
        assert complaints == []
        asked = browser.requests(driver)
        assert pages[kind].as_uri() in asked and {address.split(":")[0] for address in asked} <= {"file", "data"}
        sizes = driver.execute_script("return [...document.images].map((image) => image.naturalWidth)")
        assert min(sizes) > 400 and sizes.count(1600) == (2 if kind == "show" else 4)
        assert len(sizes) == (3 if kind == "show" else 6), "the chart of the report card too"
        wide = driver.execute_script(
            "return [...document.querySelectorAll('body *')]"
            ".filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.tagName + e.id)"
        )
        assert wide == [] and driver.execute_script("return document.documentElement.scrollWidth") <= width
        squeezed = "return [...document.querySelectorAll('canvas')].map((c) => c.width - c.clientWidth)"
        assert max(driver.execute_script(squeezed)) <= 0
        headings = driver.execute_script("return [...document.querySelectorAll('h2')].map((e) => e.textContent)")
        assert (
            "Errors (synthetic): AFLW2000-3D, centre crop" in headings
            and titles.PICTURES["dataset_aflw2k"] in headings
            and titles.CARD["distance"] in headings
        )
        assert "synthetic" in driver.find_element("css selector", "header").text
