"""The page in headless Chromium, whose camera is a rendered clip: it must see what Python sees in the same frames."""

import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from selenium.webdriver.support.wait import WebDriverWait

import nntrack
from nntrack.demo import server
from nntrack.deploy.pretrained import FOLDER, LOCALIZER, POSE_NET
from nntrack.geometry.rotations import geodesic_distance
from nntrack.synthesis.archives import clip
from tests import browser, onnx_files

pytestmark = pytest.mark.skipif(
    not (browser.CHROMIUM and browser.DRIVER),
    reason="needs Chromium and its driver: apt-get install chromium chromium-driver",
)

FRAMES = 24  # of the clip, which the camera shows again and again
LONG = 240  # s, that a busy machine may take to load the page
BITS, CELL = 8, 16  # of the number in a frame's upper left corner; px of a bit

CAMERA = ("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")
# Every pose, with the number that the frame bears. The head is not drawn as far up as that.
RECORD = """
window.record = [];
addEventListener("pose", ({ target, detail: { pose, view } }) => {
  const canvas = target.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, CELL / 2, BITS * CELL, 1);
  let number = 0;
  for (let bit = 0; bit < BITS; bit++) number += data[4 * (bit * CELL + CELL / 2)] > 127 ? 2 ** bit : 0;
  window.record.push({ number, view, pose });
});
""".replace("CELL", str(CELL)).replace("BITS", str(BITS))


def numbered(image, number):
    """A copy with the number in its corner, in black and white cells."""
    out = image.copy()
    for bit in range(BITS):
        out[:CELL, bit * CELL : (bit + 1) * CELL] = 255 * (number >> bit & 1)
    return out


@pytest.fixture(scope="session")
def frames(once):
    """Grey frames of somebody who moves, without the stretch in which nobody is there."""

    def make(folder):
        folder.mkdir()
        seen = [clip.render(3, i, frames=FRAMES, heads={"anny": 1.0}) for i in range(FRAMES)]
        images = [image for (_, (_, row)), image in seen if row.split(b",")[1] == b"1"]
        np.save(folder / "frames.npy", np.stack([numbered(image, i) for i, image in enumerate(images)]))

    return np.load(once("camera", make) / "frames.npy")


@pytest.fixture(autouse=True)
def without_ipp():
    """OpenCV without Intel's library, with which getRectSubPix rounds halves down: the page rounds them up."""
    ipp = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    yield
    cv2.ipp.setUseIPP(ipp)


@pytest.fixture
def camera(frames, tmp_path):
    """A video file for Chromium's camera."""
    height, width = frames.shape[1:]
    path = tmp_path / "camera.y4m"
    with path.open("wb") as stream:
        stream.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420\n".encode())
        for frame in frames:
            planes = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR), cv2.COLOR_BGR2YUV_I420)
            stream.write(b"FRAME\n" + planes.tobytes())
    return path


@pytest.fixture
def stand_ins(tmp_path):
    """Networks whose pose follows the brightness of what they see."""
    folder = tmp_path / "models"
    folder.mkdir()
    onnx_files.localizer(folder / LOCALIZER, logit_box=[[2.0, -0.4, -0.6, 0.4, 0.5]])
    onnx_files.by_mean(folder / POSE_NET, 1.5, box=[[-0.9, -0.9, 0.9, 0.9]])
    return folder


@pytest.fixture
def trained():
    return FOLDER


@contextmanager
def page(models: Path, folder: Path, *flags: str, width: int = 1280):
    """A driver with the page, whose networks are loaded or refused."""
    with server.serve(models, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            with browser.started(folder, width, flags=flags) as driver:
                driver.set_page_load_timeout(LONG)
                driver.set_script_timeout(LONG)
                driver.get(f"http://localhost:{running.server_port}/")
                ready = "return 'ready' in document.body.dataset || !document.getElementById('message').hidden"
                wait(driver, lambda: driver.execute_script(ready))
                yield driver
        finally:
            running.shutdown()
            thread.join()


def wait(driver, condition):
    return WebDriverWait(driver, LONG).until(lambda _: condition())


def message(driver):
    return driver.find_element("id", "message").text


def errors(driver):
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def value(driver, name):
    return driver.find_element("css selector", f"[data-value={name}]").text


def follow(models, frames, numbers):
    """What Python's tracker sees in the frames of those numbers, one after the other."""
    tracker = nntrack.Tracker(models / LOCALIZER, models / POSE_NET, smooth=False)
    return [tracker(frames[number]) for number in numbers]


def recorded(driver, count):
    """Of ``count`` looks or more: the numbers of their frames, and the poses."""
    wait(driver, lambda: driver.execute_script("return window.record.length") >= count)
    found = driver.execute_script("return window.record")
    return [look["number"] for look in found], [look["pose"] for look in found]


def seen_by_camera(driver):
    """As `recorded`, of some looks through the camera."""
    driver.execute_script(RECORD)
    driver.find_element("id", "camera").click()
    return recorded(driver, 12)


@pytest.mark.slow
def test_the_camera_is_followed_as_in_python(stand_ins, camera, frames, tmp_path):
    with page(stand_ins, tmp_path, *CAMERA, f"use-file-for-fake-video-capture={camera}") as driver:
        numbers, poses = seen_by_camera(driver)
        assert len(set(numbers)) > 3
        for theirs, ours in zip(follow(stand_ins, frames, numbers), poses, strict=True):
            assert abs(theirs.pitch - ours["pitch"]) < 1.0  # the camera's levels are rounded on their way
            assert np.allclose(theirs.pos_size, ours["posSize"], atol=2.0)
        assert value(driver, "pitch").endswith("°") and value(driver, "distance").endswith("cm")
        assert errors(driver) == []
        own = driver.current_url
        assert all(address.startswith((own, "data:")) for address in browser.requests(driver))


@pytest.mark.slow
def test_trained_networks_see_the_head_as_in_python(trained, camera, frames, tmp_path):
    with page(trained, tmp_path, *CAMERA, f"use-file-for-fake-video-capture={camera}") as driver:
        numbers, poses = seen_by_camera(driver)
        pairs = [(t, o) for t, o in zip(follow(trained, frames, numbers), poses, strict=True) if t and o]
        assert len(pairs) >= 0.9 * len(poses)
        angles = [geodesic_distance(t.quat.astype(float), np.array(o["quat"])) for t, o in pairs]
        assert np.degrees(np.median(angles)) < 1.0


@pytest.mark.slow
def test_a_picture_on_a_phone(stand_ins, frames, tmp_path):
    """Without loss it is seen exactly as in Python, after as many looks; nothing is wider than the screen."""
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), frames[0])
    with page(stand_ins, tmp_path, width=390) as driver:
        driver.execute_script(RECORD)
        driver.find_element("id", "file").send_keys(str(path))
        _, [pose] = recorded(driver, 1)
        expected = follow(stand_ins, frames, [0] * 5)[-1]
        assert pose["pitch"] == pytest.approx(expected.pitch, abs=0.05)
        assert pose["position"][2] / 10 == pytest.approx(expected.position[2], abs=0.05)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
        assert errors(driver) == []


@pytest.mark.slow
def test_another_pair_is_compared_or_refused(stand_ins, frames, tmp_path):
    path, other, text = tmp_path / "picture.png", tmp_path / "other.onnx", tmp_path / "text.onnx"
    cv2.imwrite(str(path), frames[0])
    text.write_text("no network")
    with page(stand_ins, tmp_path) as driver:

        def refusal(file):
            driver.find_element("id", "models").send_keys(str(file))
            wait(driver, lambda: file.name in message(driver))
            return message(driver)

        assert "text.onnx was refused" in refusal(text)
        refused = {
            "quat": ({"quat": None}, "no output is called quat"),
            "length": ({"quat": [[0, 0, 0, 2.0]]}, "quaternion has length 2.000"),
            "shape": ({"box": [[0, 0, 1.0]]}, "output box has the shape 1x3, expected 1x4"),
        }
        for name, (changes, why) in refused.items():
            assert why in refusal(onnx_files.pose(tmp_path / f"{name}.onnx", **changes))
        assert "model_version is 9, expected 2 to 4" in refusal(
            onnx_files.write(tmp_path / "version.onnx", onnx_files.POSE, (129, 129), version=9)
        )
        assert len(driver.find_elements("css selector", ".view")) == 1

        driver.execute_script(RECORD)
        onnx_files.by_mean(other, -1.5, box=[[-0.9, -0.9, 0.9, 0.9]])
        driver.find_element("id", "file").send_keys(str(path))
        driver.find_element("id", "models").send_keys(str(other))
        wait(driver, lambda: driver.execute_script("return window.record.some(({ view }) => view === 1)"))
        first, second = (element.text for element in driver.find_elements("css selector", "[data-value=pitch]"))
        assert first[0] != second[0]
        assert message(driver) == ""
        driver.find_element("css selector", ".view:last-child .remove").click()
        wait(driver, lambda: len(driver.find_elements("css selector", ".view")) == 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "said"),
    [((), "No camera was found"), (("use-fake-device-for-media-stream", "deny-permission-prompts"), "not allowed")],
    ids=["none", "denied"],
)
def test_without_a_camera_the_page_says_why(stand_ins, tmp_path, flags, said):
    with page(stand_ins, tmp_path, *flags) as driver:
        driver.find_element("id", "camera").click()
        wait(driver, lambda: message(driver))
        assert said in message(driver)


@pytest.mark.slow
def test_a_network_that_is_none_is_told(stand_ins, tmp_path):
    (stand_ins / POSE_NET).write_bytes(b"")
    shutil.copy(stand_ins / POSE_NET, tmp_path)
    with page(stand_ins, tmp_path) as driver:
        assert f"{POSE_NET} was refused" in message(driver)
