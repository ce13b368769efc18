"""Images as they are in archives."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from nntrack.readers._format import contradictions, decode
from nntrack.readers.members import Damaged
from tests import archives


def test_exif_does_not_turn_an_image(rng):
    """Labels are in the pixels as they are stored."""
    data = archives.jpeg(rng, 40, 60)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        segment = exif.tobytes()
        turned = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + data[2:]
        assert Image.open(io.BytesIO(turned)).getexif()[0x0112] == orientation
        np.testing.assert_array_equal(decode(turned, "p"), decode(data, "p"))


@pytest.mark.parametrize("progressive", [0, 1])
def test_damage_within_a_jpeg_is_told(progressive, rng, capfd):
    image = cv2.resize(rng.integers(0, 256, (12, 16), np.uint8), (450, 450), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    damaged = data[: len(data) // 2] + b"\xff\xd9"
    with pytest.raises(Damaged, match=r"p: the image cannot be decoded: .*JPEG"):
        decode(damaged, "p")
    assert capfd.readouterr().err == ""
    decode(data, "p")


def test_a_preview_within_a_cut_jpeg_is_not_its_end(rng):
    data = archives.jpeg(rng)
    preview = archives.jpeg(rng, 16, 16)
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2) + preview
    decode(data[:2] + segment + data[2:], "p")
    with pytest.raises(Damaged, match="p is cut short"):
        decode(data[:2] + segment + data[2 : len(data) // 2], "p")


@pytest.mark.parametrize("size", [1, 5000, 100_000])
@pytest.mark.parametrize("make", [archives.jpeg, archives.png])
def test_bytes_behind_an_image_do_no_harm(make, size, rng):
    data = make(rng)
    np.testing.assert_array_equal(decode(data + rng.bytes(size), "p"), decode(data, "p"))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_images_of_16_bits_are_scaled_by_their_range(bits):
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    data = cv2.imencode(".png", grey << (bits - 8))[1].tobytes()
    np.testing.assert_array_equal(decode(data, "p"), grey)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda points, pos_size: None, False),
        (lambda points, pos_size: pos_size.__imul__([1, 1, 1.2]), False),
        (lambda points, pos_size: pos_size.__imul__([1, 1, 2]), True),  # told is the width of a head
        (lambda points, pos_size: pos_size.__imul__([1, 1, 0.5]), True),
        (lambda points, pos_size: points.__itruediv__(200), True),
        (lambda points, pos_size: points.__setitem__(slice(None), points[::-1].copy()), True),
        (lambda points, pos_size: points.__imul__(0), True),
    ],
)
def test_landmarks_are_compared_with_the_pose(change, wrong, depth, rng):
    labels = archives.posed_faces(rng, 1)
    points, pos_size = labels["pt3d_68"][0, :, :depth].copy(), labels["coords"][0].copy()
    change(points, pos_size)
    given = {"quat": labels["quats"], "pos_size": pos_size[None], "landmarks": points[None]}
    (found,) = contradictions(given, [np.zeros((200, 200), np.uint8)])
    assert (found == "landmarks contradict the pose") == wrong
