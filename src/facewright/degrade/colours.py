"""torchvision's four colour adjustments, and how GFPGAN draws them (``color_jitter_pt``). H x W x 3 float32 RGB in [0, 1].

Each but hue blends: clamp(f x + (1 - f) other), other being black, the mean of the picture's luma, or its luma.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

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


def jitter(image: Image, adjustments: Jitter) -> Image:
    for name, factor in adjustments:
        image = ADJUSTMENTS[name](image, factor)
    return image


def brightness(image: Image, factor: float) -> Image:
    return np.asarray(np.clip(image * np.float32(factor), 0, 1))


def contrast(image: Image, factor: float) -> Image:
    return _blend(image, _luma(image).mean(), factor)


def saturation(image: Image, factor: float) -> Image:
    return _blend(image, _luma(image)[..., None], factor)


def hue(image: Image, turn: float) -> Image:
    """h + turn modulo 1 in HSV."""
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + np.float32(360 * turn)) % np.float32(360)
    return np.asarray(np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1))


ADJUSTMENTS: dict[Adjustment, Callable[[Image, float], Image]] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "hue": hue,
}


def _luma(image: Image) -> Image:
    return np.asarray(image @ np.array(LUMA, np.float32))


def _blend(image: Image, other: Image | np.floating, factor: float) -> Image:
    return np.asarray(np.clip(image * np.float32(factor) + other * np.float32(1 - factor), 0, 1), np.float32)
