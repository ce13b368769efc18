"""Opentrack's preprocessing, step by step as the C++ client does it: what of a frame the two networks see."""

import cv2
import numpy as np

from nntrack.contract import LOCALIZER_SIZE, PREPROCESSING


def roi_square(roi: np.ndarray) -> np.ndarray:
    """The square xyxy (4,) px that stands for a region of interest: about its centre, the side in whole pixels."""
    roi = np.asarray(roi, np.float64)
    centre = (roi[:2] + roi[2:]) / 2
    half = max(1, int((roi[2:] - roi[:2]).max())) / 2
    return np.concatenate([centre - half, centre + half])


def crop_patch(image: np.ndarray, roi: np.ndarray, size: int) -> np.ndarray:
    """The (size, size) uint8 patch of a grey image (H, W) that the client cuts for ``roi`` xyxy.

    The client hands getRectSubPix (bilinear, edge replicated) a centre counted from pixel corners, where OpenCV counts
    from pixel centres; so the patch shows what lies half a pixel right of and below the square. So does this one.
    """
    x0, y0, x1, y1 = (float(v) for v in roi_square(roi))
    side = round(x1 - x0)
    patch = cv2.getRectSubPix(image, (side, side), ((x0 + x1) / 2, (y0 + y1) / 2))
    return cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)


def pose_input(patch: np.ndarray) -> np.ndarray:
    """A grey patch 0..255 as the pose net's input, float32; dark patches are brightened (contract.PREPROCESSING)."""
    rule = PREPROCESSING
    level = float(np.quantile(patch, rule.quantile))
    gain = rule.target / max(rule.floor, level) if level < rule.dark_below else 1 / 255
    return patch.astype(np.float32) * np.float32(gain) - np.float32(rule.offset)


def localizer_input(frame: np.ndarray) -> np.ndarray:
    """A whole grey frame (H, W) uint8 as the localizer's input (224, 288) float32; its aspect ratio is not kept."""
    squeezed = cv2.resize(frame, LOCALIZER_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return squeezed.astype(np.float32) / 255 - 0.5
