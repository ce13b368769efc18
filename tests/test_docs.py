"""The texts keep what they promise: links lead somewhere, the README is short, commands are those that exist."""

import re
from urllib.parse import unquote

import pytest

from nntrack import cli
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
    assert {*re.findall(r"(?:`|^ {4})nntrack\s+([a-z-]+)", text, re.MULTILINE)} <= {*cli.COMMANDS}
    for kind, module in re.findall(r"python -m (stages|benchmarks)\.(\w+)", text):
        assert (ROOT / kind / f"{module}.py").is_file(), module
    for path in re.findall(r"`((?:nntrack|stages|tests|benchmarks|docs)/[\w/.]+\.(?:py|sh|md|png|jpg))`", text):
        assert (ROOT / path).is_file(), path
