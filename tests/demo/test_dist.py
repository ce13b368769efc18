"""The built page that is committed is the one that its source gives."""

import gzip
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "nntrack/demo/page"
VITE = PAGE / "node_modules/.bin/vite"
MOST = 4e6  # bytes that everybody downloads with the package


def contents(folder):
    """Of each file; unpacked, because other versions of zlib pack otherwise."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in files.items()}


def test_the_built_page_is_small_and_asks_nobody_else():
    files = sorted((PAGE.parent / "dist").iterdir())
    assert sum(path.stat().st_size for path in files) < MOST
    policy = (PAGE.parent / "dist/index.html").read_text()
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("node") and VITE.exists()), reason="needs `npm ci` in nntrack/demo/page")
def test_the_built_page_is_up_to_date(tmp_path):
    subprocess.run([VITE, "build", "--outDir", tmp_path, "--logLevel", "error"], cwd=PAGE, check=True, timeout=300)
    assert contents(tmp_path) == contents(PAGE.parent / "dist")
