"""The single steps of the published degradations, on H x W x 3 float32 RGB in [0, 1] (BasicSR, GFPGAN).

The published programs work in BGR; every step here but JPEG and grey treats the channels alike, and those two know the order.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def blur(image: Image, kernel: NDArray[np.float64]) -> Image:
    """Correlate with the kernel, border reflect-101."""
    return np.asarray(cv2.filter2D(image, -1, kernel), np.float32)


def resize(image: Image, width: int, height: int) -> Image:
    """Bilinear without antialiasing, pixel centres at halves."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def shrink(image: Image, scale: float) -> Image:
    """To (int(w // scale), int(h // scale)), at least one pixel; a scale under 1 enlarges."""
    height, width = image.shape[:2]
    return resize(image, max(1, int(width // scale)), max(1, int(height // scale)))


def add_noise(image: Image, noise: Image, sigma: float) -> Image:
    """image + noise * sigma / 255, clipped to [0, 1]; noise: standard normal, H x W x 3 (colour) or H x W x 1 (grey)."""
    return np.asarray(np.clip(image + noise * np.float32(sigma / 255.0), 0, 1))


def jpeg(image: Image, quality: int) -> Image:
    """Through JPEG (4:2:0) and back; the encoder rounds to 8 bits."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(np.ascontiguousarray(decoded[..., ::-1], np.float32) / np.float32(255))


def shift_colour(image: Image, shift: NDArray[np.float64]) -> Image:
    """Add one number per channel (RGB, in [0, 1] units), clip."""
    return np.asarray(np.clip(image + shift.astype(np.float32), 0, 1))


def grey(image: Image) -> Image:
    """Rec. 601 luma (0.299, 0.587, 0.114) copied to three channels."""
    luma = image @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(luma[..., None], 3, axis=2)


def quantise(image: Image) -> Image:
    """Clip and round to 256 levels, half to even."""
    return np.asarray(np.clip(np.rint(image * 255), 0, 255).astype(np.float32) / np.float32(255))
