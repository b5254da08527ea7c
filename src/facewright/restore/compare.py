"""Before and after on one sheet."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.media import Photo
from facewright.restore.result import Restoration

Pixels = NDArray[Any]


def compare(restoration: Restoration) -> Pixels:
    """Before | after with a thin white gap: H x (2 W + gap) (x 3), of the photo's own type and colour.

    H, W: of the restored photo; where it is enlarged, so is the original. Where the photo is transparent, a checkerboard shows.
    The sheet has no alpha: write it as a photo of its own.
    """
    before, after = visible(restoration.original), visible(restoration.photo)
    height, width = after.shape[:2]
    if before.shape[:2] != (height, width):
        before = cv2.resize(before, (width, height), interpolation=cv2.INTER_CUBIC)
    gap = np.full((height, max(2, round(width / 150)), *after.shape[2:]), np.iinfo(after.dtype).max, after.dtype)
    return np.concatenate([before, gap, after], axis=1)


def visible(photo: Photo) -> Pixels:
    """The photo's pixels as a person sees them: over a pale checkerboard where it is transparent, else as they are."""
    if photo.alpha is None:
        return photo.pixels
    levels = np.iinfo(photo.pixels.dtype).max
    rows, columns = np.ogrid[: photo.height, : photo.width]
    square = max(4, min(photo.height, photo.width) // 48)
    board = np.where((rows // square + columns // square) % 2, np.float32(0.86), np.float32(0.96)) * levels
    opacity = photo.alpha.astype(np.float32) / np.iinfo(photo.alpha.dtype).max
    if not photo.is_grey:
        board, opacity = board[..., None], opacity[..., None]
    return np.asarray(np.rint(photo.pixels * opacity + board * (1 - opacity)).astype(photo.pixels.dtype))
