"""Does a restored clip flicker where the damaged one does not?

Two measures. `flicker` compares a restored clip with its reference pixel by pixel, for restorations of one clip among themselves. `Flicker`
follows the motion that the damaged clip shows, so that a sharper picture of something that moves is no flicker; it gives a number for each
of the two clips, and takes them frame by frame.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.colour import checked_pair, unit


def flicker(restored: Tensor, reference: Tensor) -> Tensor:
    """`flicker[excess]`, in levels of 255: how much more the restored clip changes from frame to frame than the reference does.

    restored, reference: T x 3 x H x W or T x 1 x H x W frames in order, in [0, 1] or uint8; the reference is the truth, or the damaged
    clip where there is none. Of each pixel: |r(t+1) - r(t)| - |c(t+1) - c(t)|, nothing where that is below 0, so that a place which is
    calmer than it should be does not make up for one that flickers; then the mean over pixels and channels.
    Returns T - 1 values, float64; 0 for equal clips and for a restoration that only dims. A moving edge that became sharper counts, too:
    compare restorations of one clip, not clips. Raises InputError for fewer than two frames, for different shapes, and for NaN.
    """
    a, b = checked_pair(restored, reference)
    if len(a) < 2:
        raise InputError("there is no flicker", f"{len(a)} of at least 2 frames")
    # two frames at a time: a clip may be long
    return torch.stack([_excess(a[t : t + 2], b[t : t + 2]) for t in range(len(a) - 1)])


Picture = NDArray[np.float32]

_BLUR = 1.0
"""Sigma in pixels of what the eye does not tell apart from frame to frame; it also keeps interpolation out of the number."""
LEAST_SIDE = 16


class Flicker:
    """`flicker[motion]`, in levels of 255: how much a place changes from frame to frame, followed along the damaged clip's own motion.

    With c the damaged frames, r the restored ones, F the motion from c(t) to c(t+1) (dense inverse search, Kroeger et al., ECCV 2016, on
    the damaged frames alone, since a restoration may not move anything), G a Gaussian of 1 px and m the mask:

        before = mean over t of  sum m |G c(t+1)(x + F(x)) - G c(t)(x)| / sum m,   after: the same of r, with the same F.

    This is the warping error of Lai et al. (ECCV 2018) in levels, without its occlusion test: what the motion cannot explain counts in
    both numbers alike. 0 for a clip that stands still; a moving camera adds next to nothing; noise of a frame's own adds its strength.
    Feed aligned crops of one size (`add`), each face under its own key: then the number does not depend on the face's size.
    """

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, NDArray[np.uint8], Picture, Picture]] = {}
        self._motion = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.sums = np.zeros(3)

    @property
    def pairs(self) -> int:
        """How many pairs of frames were compared."""
        return int(self.sums[2])

    @property
    def before(self) -> float | None:
        """Of the damaged clip; None where there was no pair of frames."""
        return float(self.sums[0] / self.sums[2]) if self.pairs else None

    @property
    def after(self) -> float | None:
        """Of the restored clip."""
        return float(self.sums[1] / self.sums[2]) if self.pairs else None

    def add(self, key: int, frame: int, damaged: NDArray[Any], restored: NDArray[Any], mask: NDArray[np.float32] | None = None) -> None:
        """The next picture of `key`; frames never fall. mask: S x S', where to look.

        damaged, restored: S x S' x 3, uint8, or float in [0, 1], of equal size.

        Only successive frames make a pair. Raises InputError for pictures of unlike or too small a size.
        """
        if damaged.shape != restored.shape or min(damaged.shape[:2]) < LEAST_SIDE:
            raise InputError("there is no flicker to measure", f"pictures of {damaged.shape} and {restored.shape}")
        c, r = _levels(damaged), _levels(restored)
        guide = np.rint(cv2.cvtColor(c, cv2.COLOR_RGB2GRAY)).astype(np.uint8)
        last = self._last.get(key)
        self._last = {other: held for other, held in self._last.items() if held[0] >= frame - 1}  # who is gone is forgotten
        self._last[key] = (frame, guide, c, r)
        if last is None or last[0] != frame - 1 or last[1].shape != guide.shape:
            return
        x, y = places_along(self._motion, last[1], guide)
        inside = (x >= 0) & (y >= 0) & (x <= guide.shape[1] - 1) & (y <= guide.shape[0] - 1)
        weight = inside * (np.ones_like(guide, np.float32) if mask is None else mask)
        if not (total := float(weight.sum())):
            return
        for place, (now, before) in enumerate(((c, last[2]), (r, last[3]))):
            change = np.abs(cv2.remap(now, x, y, cv2.INTER_LINEAR) - before).mean(axis=-1)
            self.sums[place] += float((change * weight).sum()) / total
        self.sums[2] += 1


def places_along(motion: cv2.DenseOpticalFlow, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[Picture, Picture]:
    """Where each pixel of `before` went in `after` (H x W, grey): columns and rows, H x W each."""
    way = motion.calc(before, after, np.zeros((*before.shape, 2), np.float32))
    rows, columns = np.indices(before.shape, np.float32)
    return np.asarray(columns + way[..., 0], np.float32), np.asarray(rows + way[..., 1], np.float32)


def _levels(picture: NDArray[Any]) -> Picture:
    levels = picture.astype(np.float32) * np.float32(1 if picture.dtype == np.uint8 else 255)
    return np.asarray(cv2.GaussianBlur(levels, (0, 0), _BLUR), np.float32)


def _excess(a: Tensor, b: Tensor) -> Tensor:
    change, allowed = ((unit(each[1]).double() - unit(each[0]).double()).abs() for each in (a, b))
    return 255 * (change - allowed).clamp(min=0).mean()
