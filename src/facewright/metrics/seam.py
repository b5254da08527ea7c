"""Can one see where a face was pasted? Edges that run along the mask's contour, against those that cross it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def seam(picture: NDArray[Any], mask: NDArray[Any], *, before: NDArray[Any] | None = None) -> float:
    """How much stronger edges along the mask's contour are than its surroundings let one expect; 1 = nothing to be seen.

    In the band where the mask changes, the energy of the gradient across the contour is divided by that along it: a seam raises the first
    and not the second. The same quotient beside the band (or, with `before`, in the band of the picture before the paste, which cancels a
    hairline that follows the contour) is what one expects. Returned is the square root of their quotient; a seam is visible from about 1.3.

    picture, before: H x W x 3 or H x W, any levels; mask: H x W in [0, 1]. A mask without a contour gives 1.
    """
    steepness = np.hypot(*_gradient(mask))
    if not steepness.max() > 0:
        return 1.0
    band = steepness > 0.25 * steepness.max()
    across, along = _energies(picture, mask)
    if before is not None:
        expected_across, expected_along = (energy[band] for energy in _energies(before, mask))
    else:
        width = max(5, round(band.sum() / max(1, _contour_length(mask))))
        near = cv2.dilate(band.astype(np.uint8), np.ones((2 * width + 1, 2 * width + 1), np.uint8)).astype(bool) & ~band
        expected_across, expected_along = across[near], along[near]
    found = (across[band].mean() + _NOISE) / (along[band].mean() + _NOISE)
    expected = (expected_across.mean() + _NOISE) / (expected_along.mean() + _NOISE) if len(expected_across) else 1.0
    return float(np.sqrt(found / expected))


_NOISE = (1 / 255) ** 2 / 4  # half a level of 8 bits, so that flat surroundings do not make a seam of nothing


def _energies(picture: NDArray[Any], mask: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Squared slopes, smoothed over one pixel, across and along the contour of the mask; levels in [0, 1]."""
    luma = (
        picture.astype(np.float32)
        if picture.ndim == 2
        else picture[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    )
    if picture.dtype.kind == "u":
        luma = luma / np.float32(np.iinfo(picture.dtype).max)
    x, y = _gradient(np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.0)))
    # the signed distance from the contour has a direction everywhere, also where the mask itself is flat
    inside = (mask > 0.5 * mask.max()).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    nx, ny = _gradient(np.asarray(cv2.GaussianBlur(distance, (0, 0), 2.0)))
    length = np.maximum(np.hypot(nx, ny), 1e-6)
    across = (x * nx + y * ny) / length
    along = (x * ny - y * nx) / length
    return across**2, along**2


def _gradient(picture: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Slopes a pixel in x and y."""
    slopes = (cv2.Sobel(np.asarray(picture, np.float32), cv2.CV_32F, *axes, ksize=3, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    x, y = (np.asarray(slope, np.float32) for slope in slopes)
    return x, y


def _contour_length(mask: NDArray[Any]) -> float:
    outlines, _ = cv2.findContours((mask > 0.5 * mask.max()).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return float(sum(len(outline) for outline in outlines))
