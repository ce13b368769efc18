import pytest
import scans


@pytest.fixture(scope="session")
def scanned_folder(tmp_path_factory):
    """A small scanned head in FaceKit's layout."""
    return scans.write(tmp_path_factory.mktemp("scan") / "head")
