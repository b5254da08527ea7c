"""One face of a photo as an aligned crop, and what a manifest says of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces import TEMPLATE, Face, align, similarity
from facewright.faces.colour import tone_of
from facewright.faces.warp import finer, scale_of, transform
from facewright.media import Photo

TEMPLATE_SIZE = 512
_SHARPNESS_AT = 256


@dataclass(frozen=True)
class Crop:
    """pixels: S x S x 3 uint8 RGB. landmarks: 5 x 2 in its pixels. native_width: of the crop in the photo's own pixels.

    sharpness: variance of the Laplacian at 256 pixels. grey: without colour but a tone. inside: the part that the photo covers.
    """

    pixels: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    native_width: int
    score: float
    sharpness: float
    grey: bool
    inside: float


def cut(photo: Photo, face: Face, size: int) -> Crop:
    """The face at the FFHQ template, `size` pixels or as many as the photo has of it; beyond the photo's edge it is mirrored."""
    affine = similarity(face.landmarks, TEMPLATE)
    native = max(1, round(TEMPLATE_SIZE / scale_of(affine)))
    stored = min(size, native)
    affine = finer(affine, stored / TEMPLATE_SIZE)
    crop = align(photo.pixels, affine, stored)
    pixels = np.rint(crop * 255).clip(0, 255).astype(np.uint8)
    return Crop(
        pixels=pixels,
        landmarks=transform(affine, face.landmarks),
        native_width=native,
        score=face.score,
        sharpness=sharpness_of(pixels),
        grey=photo.is_grey or tone_of(crop, np.ones((stored, stored), np.float32)) is not None,
        inside=_inside(affine, stored, photo.pixels.shape),
    )


def sharpness_of(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey crop at 256 pixels, in levels of 255."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    shrinking = len(grey) > _SHARPNESS_AT
    grey = cv2.resize(grey, (_SHARPNESS_AT, _SHARPNESS_AT), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def _inside(affine: NDArray[np.float64], size: int, shape: tuple[int, ...]) -> float:
    """The part of the crop that lies over a photo of this shape, by a grid of 64 x 64 points."""
    axis = (np.arange(64) + 0.5) * size / 64 - 0.5
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    there = (points - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
    height, width = shape[:2]
    return float(((there >= -0.5) & (there <= [width - 0.5, height - 0.5])).all(axis=1).mean())
