from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real samples and reference models kept beside a checkout, never in it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder of real samples beside the checkout")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory):
    """A tiny checkout in which all was made, undisturbed. Leave it as it is."""
    from tests.pipeline import tiny

    found = tiny(tmp_path_factory.mktemp("undisturbed") / "one")
    found.dvc("repro")
    return found
