"""Boxes of the cascade: proposals, regression, squares, suppression. Arithmetic of facenet-pytorch, in float32 as there.

Boxes are N x 4 (x1, y1, x2, y2) and count pixels from one, both ends included; `last_pixel` says whether a width is x2 - x1 + 1 or x2 - x1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def pyramid(height: int, width: int, min_face: float, factor: float = 0.709, window: int = 12) -> list[tuple[float, tuple[int, int]]]:
    """(scale, (h, w)) of each level, finest first: the smallest face fills P-Net's window on the first, the picture on the last."""
    scale = window / min_face
    shorter = min(height, width) * scale
    levels = []
    while shorter >= window:
        levels.append((scale, (int(height * scale + 1), int(width * scale + 1))))
        scale, shorter = scale * factor, shorter * factor
    return levels


def generate_boxes(
    prob: Floats, offsets: Floats, scale: float, threshold: float, *, stride: int = 2, window: int = 12
) -> tuple[Floats, Floats, Floats]:
    """Windows of P-Net whose `prob` h x w is at least `threshold`: boxes N x 4, scores N, offsets N x 4 (from 4 x h x w), row by row."""
    row, column = np.nonzero(prob >= threshold)
    start = np.stack([column, row], axis=1).astype(np.float32) * stride + 1
    boxes: Floats = np.floor(np.concatenate([start, start + (window - 1)], axis=1) / np.float32(scale))
    return boxes, prob[row, column], offsets[:, row, column].T.reshape(-1, 4)


def regress(boxes: Floats, offsets: Floats, *, last_pixel: int = 1) -> Floats:
    """Move each corner by its offset times the box's width or height."""
    sides = boxes[:, 2:] - boxes[:, :2] + np.float32(last_pixel)
    moved: Floats = boxes + offsets * np.tile(sides, 2)
    return moved


def square(boxes: Floats) -> Floats:
    """Grow the shorter side about the centre."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True, initial=0)
    corner = boxes[:, :2] + sides * np.float32(0.5) - longest * np.float32(0.5)
    return np.concatenate([corner, corner + longest], axis=1)


def clamp(boxes: Floats, height: int, width: int) -> tuple[Indices, Indices, Indices, Indices]:
    """Whole pixels (x1, y1, x2, y2) inside the picture, counted from one, both ends included. x2 < x1 where nothing is left."""
    x1, y1, x2, y2 = np.trunc(boxes).astype(np.intp).T
    return np.maximum(x1, 1), np.maximum(y1, 1), np.minimum(x2, width), np.minimum(y2, height)


def place(points: Floats, boxes: Floats) -> Floats:
    """O-Net's N x 10 fractions (five x, five y) of its boxes as N x 5 x 2 points, counted from zero."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    fractions = points.reshape(-1, 2, 5).transpose(0, 2, 1)
    placed: Floats = fractions * sides[:, None] + boxes[:, None, :2] - 1
    return placed


def suppress(
    boxes: Floats, scores: Floats, threshold: float, *, measure: Literal["union", "min"] = "union", last_pixel: int = 0
) -> Indices:
    """Indices of the boxes that stay, best first: a box goes when it overlaps a better one that stays by more than `threshold`.

    measure: overlap as a part of the union, or of the smaller box (which also finds nested ones).
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2] + np.float32(last_pixel), axis=1)
    left = np.argsort(-scores, kind="stable")
    keep = []
    while left.size:
        best, left = left[0], left[1:]
        keep.append(best)
        shared = np.minimum(boxes[best, 2:], boxes[left, 2:]) - np.maximum(boxes[best, :2], boxes[left, :2]) + np.float32(last_pixel)
        overlap = np.prod(np.maximum(shared, 0), axis=1)
        whole = np.minimum(areas[best], areas[left]) if measure == "min" else areas[best] + areas[left] - overlap
        left = left[overlap <= threshold * whole]
    return np.array(keep, np.intp)
