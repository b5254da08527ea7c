"""Which part of the restored crop goes into the photo: 1 inside, 0 outside, a soft edge between.

Masks of the crop are S x S float32 in [0, 1] and exactly 0 along the border, so that a paste changes nothing beyond the crop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.warp import Affine, Points, invert, region, scale_of, shifted, transform

Mask = NDArray[np.float32]

# The face in the 512 template: centre, and the half-axes inside which all is face and outside which nothing is.
_CENTRE = (256.0, 282.0)
_INNER = (138.0, 168.0)
_OUTER = (206.0, 226.0)

# ParseNet's classes (order A of CelebAMask-HQ) that are pasted: face, hair, earrings; not background, hat, necklace, neck, cloth.
PASTED_CLASSES = (*range(1, 14), 15)


@cache
def ellipse_mask(size: int = TEMPLATE_SIZE) -> Mask:
    """An upright oval round a frontal face in the template, with a smooth feather. One array for all who ask: it cannot be written to."""
    scale = size / TEMPLATE_SIZE
    x, y = (np.arange(size, dtype=np.float32) + 0.5) / scale - 0.5, (np.arange(size, dtype=np.float32)[:, None] + 0.5) / scale - 0.5
    inner, outer = (np.hypot((x - _CENTRE[0]) / axes[0], (y - _CENTRE[1]) / axes[1]) for axes in (_INNER, _OUTER))
    # along a ray from the centre 1 / inner and 1 / outer are where the two ovals lie, so this runs from 0 on the outer to 1 on the inner
    mask = _cleared(_smoothstep((1 - outer) / np.maximum(inner - outer, 1e-6)))
    mask.setflags(write=False)
    return mask


def hull_mask(landmarks_in_crop: Points, size: int = TEMPLATE_SIZE, *, feather: float = 0.11) -> Mask:
    """The outline of the face that five points imply, with a smooth feather; it follows a face that is turned to a side.

    landmarks_in_crop: 5 x 2 in crop pixels. feather: width of the soft edge, as a part of `size`.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = np.asarray(landmarks_in_crop, np.float64)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    down = mouth - eyes
    across = np.array([down[1], -down[0]])  # to the right, as long as the eyes are above the mouth
    # a face turned to the right shows its nose there, less of its right cheek and more of its left one
    turned = float((nose - (eyes + mouth) / 2) @ across / max(float(across @ across), 1e-9))
    left, right = (across * np.clip(0.78 * (1 + side * turned), 0.4, 1.15) for side in (1, -1))
    outline = [
        eyes - 1.2 * down,
        eyes - 0.95 * down - left,
        eyes - 0.95 * down + right,
        left_eye - 0.35 * down - left,
        right_eye - 0.35 * down + right,
        left_mouth - 0.2 * down - left,
        right_mouth - 0.2 * down + right,
        left_mouth + 0.35 * down - 0.75 * left,
        right_mouth + 0.35 * down + 0.75 * right,
        mouth + 0.75 * down - 0.5 * left,
        mouth + 0.75 * down + 0.5 * right,
        mouth + 0.92 * down,
        nose,
    ]
    hull = cv2.convexHull(np.array(outline, np.float32))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(hull * 16).astype(np.int32), 1, shift=4)
    return _cleared(_feathered(mask, feather * size))


def soft_parsed_mask(labels: NDArray[Any], size: int, classes: tuple[int, ...] = PASTED_CLASSES, *, feather: float = 0.06) -> Mask:
    """Our mask of a parse map (S x S class numbers): like `parsed_mask`, but its feather lies inside of what was parsed.

    So what the parser calls background, hat or cloth stays the photo's own; the border is reached by a ramp instead of a step; specks are
    dropped and holes filled. feather: width of the soft edge, as a part of `size`.
    """
    inside = np.isin(labels, classes).astype(np.uint8)
    inside = _without_specks(inside, inside.size // 64)
    inside = 1 - _without_specks(1 - inside, inside.size // 64)
    soft = _feathered(inside, feather * len(inside))
    return _cleared(soft if len(soft) == size else cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR))


def parsed_mask(labels: NDArray[Any], size: int, classes: tuple[int, ...] = PASTED_CLASSES) -> Mask:
    """GFPGAN's soft mask of a parse map (512 x 512 class numbers): blurred twice, ten pixels of border cleared, resized to the crop."""
    mask: NDArray[Any] = np.isin(labels, classes).astype(np.float64) * 255
    for _ in range(2):
        mask = cv2.GaussianBlur(mask, (101, 101), 11)
    for edge in (mask[:10], mask[-10:], mask[:, :10], mask[:, -10:]):
        edge[:] = 0
    return np.asarray(cv2.resize(mask / 255, (size, size)), np.float32)


@dataclass(frozen=True)
class PlainMask:
    """facexlib's mask of a square face, in the rectangle (top, bottom, left, right) of the photo outside of which it is 0."""

    rows: slice
    columns: slice
    eroded: Mask
    center: Mask
    soft: Mask


def plain_mask(affine: Affine, size: tuple[int, int], shape: tuple[int, ...], upscale: float = 1, *, whole: bool = False) -> PlainMask:
    """The published mask without a parser: the crop's square, eroded by 2 `upscale`, then by a tenth of its side, blurred.

    affine: crop of size (width, height) <- enlarged photo of this shape. Only the face's rectangle is computed; what is in it is equal to
    the published full-frame arithmetic, because a margin as wide as the erosions and the blur is kept. whole: compute all of it.
    """
    width, height = size
    reach = int((width * height) ** 0.5 / scale_of(affine)) // 20 * 2 + 4 + int(2 * upscale)
    left, top, right, bottom = (0, 0, shape[1], shape[0]) if whole else region(affine, size, shape, margin=reach)
    # published quirk: ones of shape (width, height) used as (rows, columns)
    ones = np.ones((width, height), np.float32)
    square = cv2.warpAffine(ones, invert(shifted(affine, left, top)), (right - left, bottom - top))
    eroded = cv2.erode(square, np.ones((int(2 * upscale), int(2 * upscale)), np.uint8))
    edge = int(float(eroded.sum()) ** 0.5) // 20
    center = cv2.erode(eroded, np.ones((edge * 2, edge * 2), np.uint8)) if edge else cv2.erode(eroded, np.ones((3, 3), np.uint8))
    soft = cv2.GaussianBlur(center, (edge * 2 + 1, edge * 2 + 1), 0)
    return PlainMask(slice(top, bottom), slice(left, right), *(np.asarray(mask, np.float32) for mask in (eroded, center, soft)))


def landmarks_in_crop(affine: Affine, landmarks: Points) -> Points:
    """Points of the photo in the crop."""
    return transform(affine, np.asarray(landmarks, np.float64))


def _feathered(mask: NDArray[np.uint8], width: float) -> Mask:
    """1 where the mask is, and `width` pixels from where it ends; smoothly to 0 on the way there, and at the border."""
    mask = mask.copy()
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    inside = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,)), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(cv2.GaussianBlur(_smoothstep(inside / width), (0, 0), width / 6), np.float32)


def _without_specks(mask: NDArray[np.uint8], area: int) -> NDArray[np.uint8]:
    """Without the connected parts of less than `area` pixels."""
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    large = facts[:, cv2.CC_STAT_AREA] >= area
    large[0] = False
    return np.asarray(large[numbers], np.uint8)


def _smoothstep(x: NDArray[Any]) -> Mask:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def _cleared(mask: NDArray[Any]) -> Mask:
    """Exactly 0 along the border, and fading to it over a sixteenth of the side, whatever the mask was."""
    size = len(mask)
    ramp = _smoothstep(np.minimum(np.arange(size), np.arange(size)[::-1]) / max(1, size / 16))
    return np.asarray(np.clip(mask, 0, 1) * ramp * ramp[:, None], np.float32)
