import os
import signal
from collections.abc import Callable
from pathlib import Path

# Tests run side by side, one process per core, where several threads per process would be many times slower. Tests of
# threads set their own number. This must come before NumPy and torch are loaded; child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("side by side", deadline=None)  # other tests may take up the cores
settings.load_profile("side by side")


LONGEST = ["test_remotes.py", "test_pipeline.py", "test_distributed.py"]  # files whose slow tests take longest


def pytest_configure() -> None:
    """Restore SIGINT, which shells make programs in the background ignore, and their child processes too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first, the longest before others, so that no process is left alone with one at the end."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("slow") is None:
            return len(LONGEST) + 1
        return LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real samples and reference models beside a checkout; they are never in it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder of real samples beside the checkout")
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Callable[[Path], None]], Path]:
    """``once(name, make)``: a folder filled by ``make(folder)``, once for all test processes. Read-only."""
    own = tmp_path_factory.getbasetemp()
    common = own if worker_id == "master" else own.parent

    def once(name: str, make: Callable[[Path], None]) -> Path:
        done = common / f"{name}.done"
        with FileLock(common / f"{name}.lock"):
            if not done.exists():
                make(common / name)
                done.touch()
        return common / name

    return once


@pytest.fixture(scope="session")
def made(once):
    """A tiny checkout after a complete `dvc repro`. Copy it to run DVC in it."""
    from tests.pipeline import Checkout, tiny

    return Checkout(once("undisturbed", lambda path: tiny(path).dvc("repro")))
