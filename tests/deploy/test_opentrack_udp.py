import socket
import struct

import numpy as np
import pytest

from nntrack import Tracker
from nntrack.deploy.opentrack_udp import OpentrackSender
from tests import onnx_files

FRAME = np.full((480, 640, 3), 90, np.uint8)


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        yield receiver


@pytest.fixture
def pose(tmp_path):
    turned = np.array([[0.0, np.sin(0.2), 0, np.cos(0.2)]])
    net = onnx_files.pose(tmp_path / "p.onnx", quat=turned.tolist(), pos_size=[[0.5, -0.8, 0.8]])
    return Tracker(onnx_files.localizer(tmp_path / "l.onnx"), net)(FRAME)


def test_a_datagram_holds_position_and_angles(receiver, pose):
    with OpentrackSender(f"127.0.0.1:{receiver.getsockname()[1]}") as sender:
        sender.send(pose)
    found = struct.unpack("<6d", receiver.recv(100))
    assert found == pytest.approx((*pose.position, pose.yaw, pose.pitch, pose.roll))
    x, y, z, yaw, _, _ = found
    assert 0 < x < 30 and 0 < y < 30 and 50 < z < 100  # cm: to the right, up, away from the camera
    assert 20 < yaw < 40  # 0.4 rad, and what the camera's perspective adds on the right


def test_what_is_not_finite_is_not_sent(receiver, pose):
    with OpentrackSender(f"127.0.0.1:{receiver.getsockname()[1]}") as sender:
        object.__setattr__(pose, "yaw", float("nan"))
        sender.send(pose)
        object.__setattr__(pose, "yaw", 7.0)
        sender.send(pose)
    assert struct.unpack("<6d", receiver.recv(100))[3] == 7


def test_nobody_need_listen(pose):
    with OpentrackSender("127.0.0.1:9") as sender:
        sender.send(pose)
        sender.send(pose)


@pytest.mark.parametrize("address", ["", ":4242", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:0", "127.0.0.1:70000"])
def test_an_address_of_another_form_is_an_error(address):
    with pytest.raises(ValueError, match="expected HOST:PORT, as in"):
        OpentrackSender(address)


def test_an_unknown_host_is_an_error():
    with pytest.raises(OSError, match=r"the host nowhere\.invalid is not known"):
        OpentrackSender("nowhere.invalid:4242")
