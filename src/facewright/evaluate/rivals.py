"""What a patient person does without a trained network: the rivals that a model has to beat."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import cv2
import numpy as np

from facewright.degrade import steps
from facewright.errors import UsageError
from facewright.evaluate.damages import Damaged, Image

SLOW = "deep-image-prior"
SLOW_LIMIT = 16
"""Faces: it takes a minute or two each on a processor."""


def bicubic(damaged: Damaged) -> Image:
    """The small picture, enlarged smoothly."""
    return _enlarged(damaged, cv2.INTER_CUBIC)


def lanczos_and_unsharp(damaged: Damaged) -> Image:
    """The small picture, enlarged by Lanczos' window of eight, then an unsharp mask (radius 2 px of 256, 80 %)."""
    return _unsharp(_enlarged(damaged, cv2.INTER_LANCZOS4))


def denoise_and_sharpen(damaged: Damaged) -> Image:
    """Non-local means on the damaged picture, then the same unsharp mask."""
    smooth = cv2.fastNlMeansDenoisingColored(steps.eight_bits(damaged.picture), None, 5, 7, 5, 15)
    return _unsharp(steps.from_eight_bits(np.asarray(smooth, np.uint8)))


def deep_image_prior(damaged: Damaged) -> Image:
    from facewright.evaluate.prior import deep_image_prior as fit

    return fit(damaged.small, damaged.picture.shape[0])


RIVALS: dict[str, Callable[[Damaged], Image]] = {
    "damaged": lambda damaged: damaged.picture,
    "bicubic": bicubic,
    "lanczos+unsharp": lanczos_and_unsharp,
    "denoise+sharpen": denoise_and_sharpen,
    SLOW: deep_image_prior,
}
DEFAULT = ("damaged", "bicubic", "lanczos+unsharp", "denoise+sharpen")


def chosen(names: tuple[str, ...]) -> dict[str, Callable[[Damaged], Image]]:
    """Rivals by name, the damaged picture always first. Raises UsageError with the nearest names."""
    for name in names:
        if name not in RIVALS and name != "none":
            near = get_close_matches(name, RIVALS, 2) or list(RIVALS)
            raise UsageError(f"there is no rival called {name!r}", what_to_do=f"use one of: {', '.join([*near, 'none'])}")
    return {name: RIVALS[name] for name in RIVALS if name == "damaged" or name in names}


def _enlarged(damaged: Damaged, interpolation: int) -> Image:
    height, width = damaged.picture.shape[:2]
    return steps.quantise(np.asarray(cv2.resize(damaged.small, (width, height), interpolation=interpolation), np.float32))


def _unsharp(image: Image) -> Image:
    sigma = 2 * min(image.shape[:2]) / 256
    return steps.quantise(np.asarray(1.8 * image - 0.8 * cv2.GaussianBlur(image, (0, 0), sigma), np.float32))
