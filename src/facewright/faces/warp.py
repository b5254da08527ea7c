"""Similarity warps that neither skip pixels nor touch more than they need.

An affine is 2 x 3 and maps (x, y), pixel centres at integers.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Affine = NDArray[np.float64]
Pixels = NDArray[Any]
Border = Literal["reflect101", "reflect", "replicate", "constant"]

_BORDERS = {
    "reflect101": cv2.BORDER_REFLECT_101,
    "reflect": cv2.BORDER_REFLECT,
    "replicate": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
}
_SHRINKS = 0.8  # below this scale a bilinear warp starts to skip pixels


def warp(
    source: Pixels,
    affine: Affine,
    size: tuple[int, int],
    *,
    border: Border = "constant",
    outside: tuple[float, ...] = (0.0, 0.0, 0.0),
    antialias: bool = True,
) -> NDArray[np.float32]:
    """Move a picture: out[affine @ (x, y)] = source[x, y]; float32 in the source's levels.

    source: H x W or H x W x C; only the part under the result is read. size: (width, height) of the result. outside: the colour beyond a
    "constant" border. antialias: average where the result has fewer pixels than the source (a plain bilinear warp skips some).
    """
    width, height = size
    times = 2 if antialias and scale_of(affine) < _SHRINKS else 1
    fine = finer(affine, times)
    left, top, right, bottom = region(fine, (times * width, times * height), source.shape, margin=2 + 2 / scale_of(fine))
    part, fine = source[top:bottom, left:right], shifted(fine, left, top)
    if times > 1 and scale_of(fine) < 1:
        part, fine = _averaged(part, fine)
    moved = cv2.warpAffine(
        part.astype(np.float32, copy=False),
        fine,
        (times * width, times * height),
        flags=cv2.INTER_LINEAR,
        borderMode=_BORDERS[border],
        borderValue=outside,
    )
    return np.asarray(moved if times == 1 else cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def transform(affine: Affine, points: Points) -> Points:
    """N x 2 points through a 2 x 3 affine."""
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])


def invert(affine: Affine) -> Affine:
    """The 2 x 3 way back."""
    back = np.linalg.inv(affine[:, :2])
    return np.asarray(np.concatenate([back, -back @ affine[:, 2:]], axis=1))


def scale_of(affine: Affine) -> float:
    """Pixels of the result per pixel of the source."""
    return float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))


def region(affine: Affine, size: tuple[int, int], shape: tuple[int, ...], margin: float = 2) -> tuple[int, int, int, int]:
    """The rectangle (left, top, right, bottom; ends excluded) of a source of this shape under a result of size (width, height).

    Never empty: a result that lies wholly outside gets the nearest pixels.
    """
    width, height = size
    corners = transform(invert(affine), np.array([[-1.0, -1], [width, -1], [width, height], [-1, height]]))
    low, high = np.floor(corners.min(axis=0) - margin), np.ceil(corners.max(axis=0) + margin) + 1
    left, top = (int(np.clip(low[axis], 0, shape[1 - axis] - 1)) for axis in (0, 1))
    right, bottom = (int(np.clip(high[axis], start + 1, shape[1 - axis])) for axis, start in ((0, left), (1, top)))
    return left, top, right, bottom


def shifted(affine: Affine, left: float, top: float) -> Affine:
    """The affine for a source whose first pixel is (left, top) of the present one."""
    moved: Affine = affine.copy()
    moved[:, 2] += affine[:, :2] @ np.array([left, top], np.float64)
    return moved


def finer(affine: Affine, times: float) -> Affine:
    """The affine for a result of `times` as many pixels across: outer edges stay, so centres move by half the difference."""
    moved: Affine = affine * times
    moved[:, 2] += (times - 1) / 2
    return moved


def resized(affine: Affine, factors: tuple[float, float]) -> Affine:
    """The affine for a source enlarged (or shrunk) by the factors (x, y): its outer edges stay."""
    across = np.array(factors, np.float64)
    moved: Affine = affine.copy()
    moved[:, :2] /= across
    moved[:, 2] += moved[:, :2] @ ((1 - across) / 2)
    return moved


def _averaged(source: Pixels, affine: Affine) -> tuple[Pixels, Affine]:
    """The source at the scale of the result, by area averages, so that the warp cannot skip a pixel."""
    high, wide = source.shape[:2]
    factor = scale_of(affine)
    size = max(1, round(wide * factor)), max(1, round(high * factor))
    return cv2.resize(source, size, interpolation=cv2.INTER_AREA), resized(affine, (size[0] / wide, size[1] / high))
