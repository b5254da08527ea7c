"""torchvision's four colour adjustments, and how GFPGAN draws them (``color_jitter_pt``). H x W x 3 float32 RGB in [0, 1].

Each but hue blends: clamp(f x + (1 - f) other), other being black, the mean of the picture's luma, or its luma.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade.steps import Image

Adjustment = Literal["brightness", "contrast", "saturation", "hue"]
Jitter = tuple[tuple[Adjustment, float], ...]
"""What is adjusted by how much, in order."""

RANGES: dict[Adjustment, tuple[float, float]] = {
    "brightness": (0.5, 1.5),
    "contrast": (0.5, 1.5),
    "saturation": (0.0, 1.5),
    "hue": (-0.1, 0.1),
}
"""The published ranges."""

LUMA = (0.2989, 0.587, 0.114)
"""torchvision's; not Rec. 601's to the last digit."""


def draw_jitter(rng: np.random.Generator, ranges: dict[Adjustment, tuple[float, float]] = RANGES) -> Jitter:
    """All of `ranges` in a random order."""
    names = list(ranges)
    return tuple((names[i], float(rng.uniform(*ranges[names[i]]))) for i in rng.permutation(len(names)))


def jitter(image: Image, adjustments: Jitter, out: Image | None = None) -> Image:
    """out: where to, which may be the picture itself."""
    for name, factor in adjustments:
        image = out = ADJUSTMENTS[name](image, factor, out)
    return image


def brightness(image: Image, factor: float, out: Image | None = None) -> Image:
    return _mixed(image, factor * np.eye(3), out)


def contrast(image: Image, factor: float, out: Image | None = None) -> Image:
    mean = float(np.dot(cv2.mean(image)[:3], LUMA))
    return _mixed(image, np.hstack([factor * np.eye(3), np.full((3, 1), (1 - factor) * mean)]), out)


def saturation(image: Image, factor: float, out: Image | None = None) -> Image:
    return _mixed(image, factor * np.eye(3) + (1 - factor) * np.tile(LUMA, (3, 1)), out)


def hue(image: Image, turn: float, out: Image | None = None) -> Image:
    """h + turn modulo 1 in HSV."""
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)
    cv2.transform(hsv, np.column_stack([np.eye(3), (360 * (turn % 1), 0, 0)]), dst=hsv)  # what passes 360 comes round again by itself
    return _clipped(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=out))


ADJUSTMENTS: dict[Adjustment, Callable[[Image, float, Image | None], Image]] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "hue": hue,
}


def _mixed(image: Image, matrix: NDArray[np.float64], out: Image | None) -> Image:
    """Each pixel through a 3 x 3 or 3 x 4 matrix, clipped: all blends are that."""
    return _clipped(cv2.transform(image, matrix, dst=out))


def _clipped(image: NDArray[Any]) -> Image:
    return np.asarray(np.clip(image, 0, 1, out=image), np.float32)
