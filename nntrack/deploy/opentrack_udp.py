"""Sends poses to Opentrack's input "UDP over network".

A datagram is six little-endian float64: x, y, z in cm, then yaw, pitch, roll in degrees. Opentrack takes them as what
its trackers report (``tracker-udp/ftnoir_tracker_udp.cpp``: ``FTNoIR_Tracker::run`` reads ``double[6]`` into the order
``TX, TY, TZ, Yaw, Pitch, Roll`` of ``api/plugin-api.hpp``). So what is sent is what its NeuralNet tracker would report,
with its signs (``tracker-neuralnet/ftnoir_tracker_neuralnet.cpp``: ``NeuralNetTracker::data``).
"""

import math
import socket
import struct
from types import TracebackType
from typing import Any

from nntrack.deploy.tracker import HeadPose

PORT = 4242  # Opentrack's default
PACKET = struct.Struct("<6d")


class OpentrackSender:
    """Sends poses to one address; a context that closes its socket.

    Args:
        address: ``HOST:PORT`` or ``HOST``.

    Raises ValueError for an address of another form, OSError if the host is unknown.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":") if ":" in address else (address, "", str(PORT))
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"'{address}' is no address to send to: expected HOST:PORT, as in 127.0.0.1:{PORT}")
        try:
            found = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
        except OSError as error:
            raise OSError(f"{address}: the host {host} is not known ({error.strerror})") from error
        family, kind, protocol, _, place = found[0]
        self._address: Any = place  # its form depends on the family
        self._socket = socket.socket(family, kind, protocol)

    def send(self, pose: HeadPose) -> None:
        """Send one pose. A pose with a number that is not finite is left out, as Opentrack does with it."""
        values = (*(float(value) for value in pose.position), pose.yaw, pose.pitch, pose.roll)
        if all(math.isfinite(value) for value in values):
            self._socket.sendto(PACKET.pack(*values), self._address)

    def __enter__(self) -> "OpentrackSender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
