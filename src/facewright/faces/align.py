"""From five points to the aligned crop that the networks know, and how well a face fits it.

The template is that of FFHQ at 512 as facexlib and GFPGAN use it. Points are (x, y), pixel centres at integers; an affine is 2 x 3,
template <- photo.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from facewright.faces.warp import Affine, Border, Pixels, Points, transform, warp

Crop = NDArray[np.float32]

TEMPLATE: Points = np.array(
    [[192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935], [201.26117, 371.41043], [313.08905, 371.15118]]
)
"""Left eye, right eye (as seen), nose, left and right corner of the mouth in a crop of TEMPLATE_SIZE pixels."""
THREE_POINT_TEMPLATE: Points = np.array([[192.0, 240], [319, 240], [257, 371]])
"""facexlib's `template_3points`: it is matched with the eyes and the nose, although the third point is where the mouth is."""
TEMPLATE_SIZE = 512
PUBLISHED_BORDER = (132, 133, 135)
"""facexlib's colour outside of the photo, RGB, of 255."""


def template(size: int = TEMPLATE_SIZE, ratio: tuple[float, float] = (1, 1), points: Points = TEMPLATE) -> tuple[Points, tuple[int, int]]:
    """The template for a crop of `size`, with room around it: ratio (height, width) >= 1. Returns points and the crop's (width, height)."""
    high, wide = ratio
    shift = np.array([size * (wide - 1) / 2, size * (high - 1) / 2])
    return points * (size / TEMPLATE_SIZE) + shift, (int(size * wide), int(size * high))


def similarity(points: Points, target: Points = TEMPLATE) -> Affine:
    """The 2 x 3 rotation, scale and shift that brings `points` (N x 2, N >= 3; usually five) to `target`, by least median of squares.

    What OpenCV's estimateAffinePartial2D(method=LMEDS) computes, in closed form: of the pairs of points it draws, the one whose exact
    similarity has the smallest median error names the inliers; they are fitted by least squares. One bad point of five does no harm.
    """
    trusted = inliers(points, target)
    return solve(np.asarray(points, np.float32)[trusted].astype(np.float64), np.asarray(target, np.float32)[trusted].astype(np.float64))


def solve(points: Points, target: Points) -> Affine:
    """The least-squares similarity of N >= 2 points, no reflection (Umeyama 1991, in complex form)."""
    z, w = points[:, 0] + 1j * points[:, 1], target[:, 0] + 1j * target[:, 1]
    z0, w0 = z - z.mean(), w - w.mean()
    spread = float((np.abs(z0) ** 2).sum())
    m = (np.conj(z0) * w0).sum() / spread if spread else 0j
    shift = w.mean() - m * z.mean()
    return np.array([[m.real, -m.imag, shift.real], [m.imag, m.real, shift.imag]])


def misfit(points: Points) -> float:
    """How far the points are from any upright frontal face: RMS distance to the template after the best similarity, in eye distances.

    Measured: frontal 0.03 to 0.10, three-quarter 0.12 to 0.20, near profile above 0.20.
    """
    moved = transform(solve(np.asarray(points, np.float64), TEMPLATE), points)
    eyes = np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
    return float(np.sqrt(((moved - TEMPLATE) ** 2).sum(axis=1).mean()) / eyes)


def align(
    pixels: Pixels, affine: Affine, size: int | tuple[int, int] = TEMPLATE_SIZE, *, border: Border = "reflect101", antialias: bool = True
) -> Crop:
    """Cut the aligned crop out of a photo: height x width x 3 RGB in [0, 1], float32, also from a grey photo.

    pixels: H x W x 3 or H x W, uint8 or uint16; only the region under the crop is read. affine: crop <- photo. size: side, or (width,
    height). border: what lies outside the photo; the published programs use "constant", their grey. antialias: average where the crop has
    fewer pixels than the photo; the published programs do not.
    """
    levels = float(np.iinfo(pixels.dtype).max)
    grey = tuple(value / 255 * levels for value in PUBLISHED_BORDER)
    crop = warp(pixels, affine, (size, size) if isinstance(size, int) else size, border=border, outside=grey, antialias=antialias)
    crop /= np.float32(levels)
    return crop if pixels.ndim == 3 else np.repeat(crop[..., None], 3, axis=2)


def inliers(points: Points, target: Points = TEMPLATE) -> NDArray[np.bool_]:
    """Which points `similarity` trusts: those within 2.5 robust standard deviations of the best pair's similarity."""
    z, w = np.asarray(points, np.float32), np.asarray(target, np.float32)
    best, errors = np.inf, np.zeros(len(z), np.float32)
    for pair in _drawn_pairs(len(z)):
        rows = list(pair)
        affine = solve(z[rows].astype(np.float64), w[rows].astype(np.float64))
        squares = ((transform(affine, z.astype(np.float64)) - w).astype(np.float32) ** 2).sum(axis=1)
        if (median := float(np.median(squares))) < best:
            best, errors = median, squares
    sigma = max(0.001, 2.5 * 1.4826 * (1 + 5 / (len(z) - 2)) * best**0.5)
    return np.asarray(errors <= sigma**2)


@cache
def _drawn_pairs(count: int) -> tuple[tuple[int, int], ...]:
    """The pairs of `count` points that OpenCV tries: 13 draws (99 % sure at 45 % outliers) of its generator from its fixed seed.

    For five points these are only six different pairs, so the result depends on which they are.
    """
    state, pairs = 2**64 - 1, []

    def draw() -> int:
        nonlocal state
        state = ((state & 0xFFFFFFFF) * 4164903690 + (state >> 32)) & 0xFFFFFFFFFFFFFFFF
        return (state & 0xFFFFFFFF) % count

    for _ in range(13):
        first = second = draw()
        while second == first:
            second = draw()
        if (first, second) not in pairs and (second, first) not in pairs:
            pairs.append((first, second))
    return tuple(pairs)
