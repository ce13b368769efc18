"""The docs hold: links and commands lead somewhere, the README is short, the programs that draw its images run."""

import importlib.util
import re
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from nntrack import cli
from tests import onnx_files
from tests.conftest import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/real/README.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name(path):
    return path.relative_to(ROOT).as_posix()


def anchors(path):
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_code_that_are_named_exist(page):
    text = page.read_text()
    assert {*re.findall(r"(?:`|^ {4})nntrack\s+([a-z][a-z-]+)", text, re.MULTILINE)} <= {*cli.COMMANDS}
    for kind, module in re.findall(r"python -m (stages|benchmarks)\.(\w+)", text):
        assert (ROOT / kind / f"{module}.py").is_file(), module
    for path in re.findall(r"`([\w.]+/[\w/.]+\.(?:py|sh|md))`", text):
        assert path.startswith("reports/") or (ROOT / path).is_file() or (ROOT / "nntrack" / path).is_file(), path


def script(name):
    """The module docs/<name>.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_images_of_the_docs_can_be_drawn_again(tmp_path):
    onnx_files.localizer(tmp_path / "head-localizer.onnx")
    onnx_files.pose(tmp_path / "head-pose.onnx", landmarks=np.zeros((1, 68, 3), np.float32))
    script("draw_example").main(tmp_path, tmp_path / "example.jpg")
    script("draw_frame").main(tmp_path / "frame.png")
    for name in ("example.jpg", "frame.png"):
        assert cv2.imread(str(tmp_path / name)).shape == cv2.imread(str(ROOT / "docs" / name)).shape
