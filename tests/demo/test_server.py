import threading
import urllib.error
import urllib.request

import pytest

from nntrack.demo import server
from nntrack.deploy.pretrained import LOCALIZER, POSE_NET


@pytest.fixture
def models(tmp_path):
    for name in (LOCALIZER, POSE_NET):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "secret.txt").write_text("no part of the page")
    return tmp_path


@pytest.fixture
def get(models):
    """``get(path)``: the status, headers and content of an answer."""
    with server.serve(models, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()

        def get(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{running.server_port}{path}", timeout=30) as answer:
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers, b""

        yield get
        running.shutdown()
        thread.join()


def test_it_serves_the_page_and_both_networks_and_nothing_else(get):
    status, headers, content = get("/")
    assert status == 200 and headers["Cache-Control"] == "no-cache" and b"nntrack" in content
    assert get(f"/models/{POSE_NET}")[2] == POSE_NET.encode()
    assert get(f"/models/{LOCALIZER}?again")[2] == LOCALIZER.encode()
    assert "javascript" in get("/runtime.mjs")[1]["Content-Type"]  # or browsers would not run it
    for path in ("/models/secret.txt", "/models/", "/../server.py", "/%2e%2e/server.py"):
        assert get(path)[0] == 404


def test_a_taken_port_is_one_line(models):
    with server.serve(models, 0) as running:
        with pytest.raises(OSError, match=rf"port {running.server_port} is taken.*--port"):
            server.serve(models, running.server_port)


def test_missing_networks_are_named(models):
    (models / POSE_NET).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{POSE_NET} does not exist.*dvc repro.*--models"):
        server.serve(models, 0)


def test_a_page_that_was_not_built_is_told(models, monkeypatch, tmp_path):
    monkeypatch.setattr(server, "PAGE", tmp_path / "dist")
    with pytest.raises(FileNotFoundError, match="npm ci && npm run build"):
        server.serve(models, 0)
