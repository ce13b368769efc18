"""The 68 landmarks of the neutral head: what un-rotated landmarks of any face are compared and aligned with.

Head frame (x right, y down, z into the screen as seen from the front), unit head radii (100 mm), origin at the mean of
the four eye corners. Its pitch is that of AFLW2000-3D's labels: another would bias every label of a rendered head.
"""

import numpy as np

from nntrack.geometry.landmarks import MIRROR

# landmark: x, y, z of the subject's right half and of the middle; the left half mirrors it
_RIGHT_HALF = {
    0: (-0.72, 0.08, 0.71),
    1: (-0.70, 0.28, 0.70),
    2: (-0.67, 0.46, 0.67),
    3: (-0.63, 0.62, 0.62),
    4: (-0.56, 0.79, 0.53),
    5: (-0.47, 0.92, 0.39),
    6: (-0.35, 1.01, 0.20),
    7: (-0.20, 1.07, 0.03),
    8: (0.00, 1.11, -0.05),
    17: (-0.56, -0.14, 0.10),
    18: (-0.48, -0.20, -0.01),
    19: (-0.38, -0.23, -0.09),
    20: (-0.28, -0.22, -0.14),
    21: (-0.18, -0.19, -0.17),
    27: (0.00, 0.00, -0.20),
    28: (0.00, 0.12, -0.29),
    29: (0.00, 0.23, -0.37),
    30: (0.00, 0.33, -0.42),
    31: (-0.13, 0.42, -0.19),
    32: (-0.07, 0.43, -0.23),
    33: (0.00, 0.44, -0.25),
    36: (-0.43, 0.00, 0.03),
    37: (-0.36, -0.05, -0.05),
    38: (-0.27, -0.05, -0.06),
    39: (-0.19, 0.00, -0.03),
    40: (-0.27, 0.03, -0.05),
    41: (-0.36, 0.03, -0.04),
    48: (-0.26, 0.66, -0.07),
    49: (-0.16, 0.60, -0.20),
    50: (-0.06, 0.57, -0.26),
    51: (0.00, 0.58, -0.27),
    59: (-0.16, 0.73, -0.17),
    58: (-0.08, 0.77, -0.22),
    57: (0.00, 0.78, -0.23),
    60: (-0.24, 0.66, -0.08),
    61: (-0.09, 0.64, -0.21),
    62: (0.00, 0.64, -0.23),
    67: (-0.09, 0.66, -0.20),
    66: (0.00, 0.66, -0.22),
}


def _neutral() -> np.ndarray:
    points = np.zeros((68, 3))
    for index, point in _RIGHT_HALF.items():
        points[index] = point
        points[MIRROR[index]] = np.multiply(point, (-1, 1, 1))
    return points


NEUTRAL_LANDMARKS = _neutral()  # (68, 3)

# The ellipsoid of the skull above and behind the face: its centre and half axes
SKULL_CENTRE = np.array([0.0, -0.22, 0.78])
SKULL_AXES = np.array([0.77, 0.91, 0.97])
