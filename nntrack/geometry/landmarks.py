"""The 68 iBUG landmarks: their numbers (0-based; sides are the subject's) and what they belong to."""

import numpy as np

COUNT = 68
JAW = range(0, 17)
RIGHT_BROW = range(17, 22)
LEFT_BROW = range(22, 27)
NOSE_BRIDGE = range(27, 31)  # 30 is the tip
NOSTRILS = range(31, 36)
RIGHT_EYE = range(36, 42)
LEFT_EYE = range(42, 48)
OUTER_LIPS = range(48, 60)
INNER_LIPS = range(60, 68)
EYE_CORNERS = (36, 39, 42, 45)
OUTER_EYE_CORNERS = (36, 45)

# (indices, closed): the lines that are drawn for a face
STROKES = (
    (JAW, False),
    (RIGHT_BROW, False),
    (LEFT_BROW, False),
    (NOSE_BRIDGE, False),
    (NOSTRILS, False),
    (RIGHT_EYE, True),
    (LEFT_EYE, True),
    (OUTER_LIPS, True),
    (INNER_LIPS, True),
)

# MIRROR[i]: the landmark that takes the place of i when left and right are swapped; its own inverse
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)
