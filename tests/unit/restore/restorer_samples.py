"""A detector that knows where to look, a judge that says what it is told, and pictures for them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from facewright.faces import Face
from facewright.faces.align import TEMPLATE
from facewright.restore import Restoration

SIDE = 240
PLACES = [(20, 30, 90), (130, 24, 96), (70, 130, 84)]
"""(left, top, side) of the template's square in the photo."""


class Pointer:
    """Finds the faces it was told."""

    name = "pointer"

    def __init__(self, places: list[tuple[int, int, int]] = PLACES) -> None:
        self.places = places

    def detect(self, photo: NDArray[Any]) -> list[Face]:
        found = []
        for left, top, side in self.places:
            points = TEMPLATE * (side / 512) + np.array([left, top])
            box = np.array([left + 0.2 * side, top + 0.2 * side, left + 0.8 * side, top + 0.9 * side])
            found.append(Face(box, points, 0.99))
        return found


def scene(depth: type = np.uint8, grey: bool = False) -> NDArray[Any]:
    """Soft blobs: nothing that is sharper than what the network makes of it."""
    random = np.random.default_rng(0)
    picture = cv2.resize(random.uniform(0.2, 0.8, (14, 14, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    picture = picture.mean(axis=2) if grey else picture
    return np.asarray(np.rint(picture * np.iinfo(depth).max).astype(depth))


class Drift:
    """An identity judge whose distance is `factor` times the part of the network's picture that was blended in."""

    def __init__(self, factor: float, least: float = 0.0) -> None:
        self.factor, self.least, self.full = factor, least, None

    def distance(self, original: Tensor, blended: Tensor) -> Tensor:
        change = (blended - original).abs().mean()
        self.full = change if self.full is None else self.full
        return self.least + self.factor * (change / self.full)[None]


def only(restorations: Any) -> Restoration:
    (one,) = restorations
    return one


def touched(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.bool_]:
    difference = before != after
    return difference.any(axis=2) if difference.ndim == 3 else difference
