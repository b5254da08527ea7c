"""The crop that ArcFace-like embeddings know: five points at fixed places in 112 x 112 pixels.

Deng, Guo, Xue, Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv:1801.07698. The fit is that
of MATLAB's cp2tform, which the published programs carry: least squares from the template to the photo, then inverted, so that its scale
differs a little from that of `align.similarity`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import solve
from facewright.faces.warp import Affine, Points, invert, transform, warp

ARCFACE_TEMPLATE: Points = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
ARCFACE_SIZE = 112


def arcface_affine(points: Points) -> Affine:
    """112 x 112 crop <- photo, 2 x 3; points: 5 x 2. A mirrored crop where that fits the points better."""
    points = np.asarray(points, np.float64)
    upright = invert(solve(ARCFACE_TEMPLATE, points))
    mirrored = invert(solve(ARCFACE_TEMPLATE * [-1, 1], points)) * [[-1], [1]]
    return min(upright, mirrored, key=lambda affine: float(np.linalg.norm(transform(affine, points) - ARCFACE_TEMPLATE)))


def arcface_crop(picture: NDArray[Any], points: Points) -> NDArray[np.uint8]:
    """Cut the crop, 112 x 112 x 3, black where the photo ends. picture: H x W x 3, uint8."""
    moved = warp(picture, arcface_affine(points), (ARCFACE_SIZE, ARCFACE_SIZE), antialias=False)
    return np.rint(moved).astype(np.uint8)
