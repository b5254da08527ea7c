"""Photos as a page shows them: small, 8 bits, in sRGB, as JPEG."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from facewright.media import Photo
from facewright.restore.compare import visible

Pixels = NDArray[Any]

QUALITY = 85


def reduced(photo: Photo, side: int) -> Pixels:
    """At most `side` pixels long, 8 bits, in sRGB or grey, over a checkerboard where it is transparent."""
    factor = side / max(photo.width, photo.height)
    small = photo
    if factor < 1:
        size = max(1, round(photo.width * factor)), max(1, round(photo.height * factor))
        alpha = None if photo.alpha is None else cv2.resize(photo.alpha, size, interpolation=cv2.INTER_AREA)
        small = replace(photo, pixels=cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA), alpha=alpha)
    pixels = visible(small)
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / np.float32(257)).astype(np.uint8)
    return in_srgb(pixels, photo.origin.icc)


def in_srgb(pixels: Pixels, icc: bytes | None) -> Pixels:
    """As a browser shows it without a profile; unchanged where the profile is missing, damaged or for something else."""
    if not icc:
        return pixels
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        turned = ImageCms.profileToProfile(Image.fromarray(pixels), source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        return np.asarray(turned)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return pixels


def as_jpeg(pixels: Pixels) -> bytes:
    """pixels: uint8, H x W (x 3)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
