"""Whether a distance between sets orders damage as people do: the same damage at rising strength must lie further and further away.

The kinds are those by which Heusel et al. (NeurIPS 2017, figure 3) judged FID, and JPEG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade import steps
from facewright.evaluate.damages import Image, generator_of

Kind = Callable[[Image, float, str], Image]
"""Picture, strength and name to the damaged picture."""


def blurred(picture: Image, sigma: float, name: str = "") -> Image:
    """sigma: pixels of a 256 px crop."""
    return steps.quantise(np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma * len(picture) / 256), np.float32))


def noisy(picture: Image, sigma: float, name: str = "") -> Image:
    """sigma: in 255ths."""
    noise = generator_of(name, 7).standard_normal(picture.shape, np.float32)
    return steps.quantise(steps.add_noise(picture, noise, sigma))


def compressed(picture: Image, loss: float, name: str = "") -> Image:
    """loss: 100 less JPEG's quality."""
    return steps.jpeg(picture, int(100 - loss))


def swirled(picture: Image, turn: float, name: str = "") -> Image:
    """turn: radians in the middle, fading to nothing at half the side."""
    side = len(picture)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) - np.float32((side - 1) / 2)
    radius = np.hypot(x, y)
    angle = np.arctan2(y, x) + np.float32(turn) * np.clip(1 - radius / (side / 2), 0, 1) ** 2
    columns, rows = (radius * part + np.float32((side - 1) / 2) for part in (np.cos(angle), np.sin(angle)))
    return steps.quantise(np.asarray(cv2.remap(picture, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR), np.float32))


KINDS: Mapping[str, tuple[Kind, tuple[float, ...]]] = {
    "blur": (blurred, (1, 2, 3, 4, 6)),
    "noise": (noisy, (10, 20, 40, 60, 90)),
    "JPEG": (compressed, (60, 75, 85, 90, 95)),
    "swirl": (swirled, (0.3, 0.6, 1.0, 1.5, 2.0)),
}
"""Kind to how it is done and its rising strengths."""


@dataclass(frozen=True)
class Order:
    """The numbers of one metric over one kind's strengths."""

    kind: str
    metric: str
    strengths: tuple[float, ...]
    numbers: tuple[float, ...]

    @property
    def rises(self) -> bool:
        return all(low < high for low, high in zip(self.numbers, self.numbers[1:], strict=False))


def ordering(
    pictures: NDArray[np.uint8],
    names: list[str],
    vectors: Callable[[list[Image]], NDArray[np.float32]],
    metrics: Mapping[str, Callable[[NDArray[np.float32], NDArray[np.float32]], float]],
) -> list[Order]:
    """pictures: N x S x S x 3; vectors: of some pictures, N x D; metrics: from the vectors of damaged and clean to a distance."""
    clean = [steps.from_eight_bits(each) for each in pictures]
    true, found = vectors(clean), []
    for kind, (make, strengths) in KINDS.items():
        seen = [vectors([make(each, strength, name) for each, name in zip(clean, names, strict=True)]) for strength in strengths]
        for metric, distance in metrics.items():
            found.append(Order(kind, metric, strengths, tuple(distance(each, true) for each in seen)))
    return found
