"""Area averages of any rectangle of a picture from its summed-area table (Crow 1984): a window costs the same whatever its size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.boxes import Floats, clamp

Pixels = NDArray[Any]
Levels = NDArray[Any]


class Summed:
    """A picture that is resampled by averaging whole pixels: output cell i of n is the mean of input floor(i*L/n) .. ceil((i+1)*L/n).

    This is the "area" resize of the published cascade (adaptive average pooling), shrinking and growing alike.
    image: H x W x 3, best uint8 (ten times as fast as float32); the table takes 24 bytes a pixel, so the caller bounds the size.
    published: resize the whole in this way too, rather than by OpenCV's area, which weighs partly covered pixels and is ten times as fast.
    """

    def __init__(self, image: Pixels, *, published: bool = True) -> None:
        self.height, self.width = image.shape[:2]
        self.image = None if published else image
        self.table = np.asarray(cv2.integral(np.ascontiguousarray(image), sdepth=cv2.CV_64F), np.float64)

    def whole(self, size: tuple[int, int]) -> Levels:
        """The picture at (h, w): h x w x 3."""
        if self.image is not None:
            return np.asarray(cv2.resize(self.image, (size[1], size[0]), interpolation=cv2.INTER_AREA))
        top, bottom = _cells(np.zeros(1, np.intp), np.array([self.height]), size[0])
        left, right = _cells(np.zeros(1, np.intp), np.array([self.width]), size[1])
        rows = self.table[bottom[0]] - self.table[top[0]]
        sums = rows[:, right[0]] - rows[:, left[0]]
        areas = (bottom[0] - top[0])[:, None] * (right[0] - left[0])[None, :]
        return np.asarray(sums / areas[..., None])

    def holds(self, boxes: Floats) -> NDArray[np.bool_]:
        """Which boxes cover at least one pixel."""
        x1, y1, x2, y2 = clamp(boxes, self.height, self.width)
        return (x2 >= x1) & (y2 >= y1)

    def cut(self, boxes: Floats, size: int) -> Levels:
        """The part of each box that lies in the picture, at size x size (so a box across the border is stretched): N x size x size x 3."""
        x1, y1, x2, y2 = clamp(boxes, self.height, self.width)
        top, bottom = _cells(y1 - 1, y2, size)
        left, right = _cells(x1 - 1, x2, size)
        top, bottom = top[:, :, None], bottom[:, :, None]
        left, right = left[:, None, :], right[:, None, :]
        sums = self.table[bottom, right] - self.table[top, right] - self.table[bottom, left] + self.table[top, left]
        return np.asarray(sums / ((bottom - top) * (right - left))[..., None])


def _cells(start: NDArray[np.intp], stop: NDArray[np.intp], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Borders N x count of `count` cells between start and stop."""
    length = (stop - start)[:, None]
    i = np.arange(count)[None, :]
    return start[:, None] + i * length // count, start[:, None] + -(-(i + 1) * length // count)
