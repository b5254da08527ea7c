"""What happens to a clean face before it is damaged: framing, light and tone, so that a narrow set serves wider pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade.steps import Image, grey

Matrix = NDArray[np.float64]

_SEPIA_TINTS = np.array([[1.07, 0.98, 0.82], [1.04, 1.0, 0.9], [1.1, 0.96, 0.74], [0.97, 1.0, 1.05]], np.float32)


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and ranges; angles in degrees, shifts as parts of the crop."""

    mirror_p: float = 0.5
    angle: float = 6.0
    zoom: float = 0.08
    shift: float = 0.03
    light_p: float = 0.5
    light: float = 0.3
    tone_p: float = 0.3
    grey_p: float = 0.12
    toned_p: float = 0.08

    def __call__(self, pixels: NDArray[np.uint8], size: int, rng: np.random.Generator) -> tuple[Image, Matrix]:
        """pixels: S x S x 3 uint8 RGB. Returns size x size x 3 float32 in [0, 1], and the 2 x 3 affine, that picture <- pixels.

        The affine's determinant is negative where the picture is mirrored.
        """
        matrix = self._framing(pixels.shape[0], size, rng)
        framed = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return self._lit(np.asarray(framed, np.float32) / np.float32(255), size, rng), matrix

    def _lit(self, image: Image, size: int, rng: np.random.Generator) -> Image:
        if rng.random() < self.light_p:
            image = image * _slope(size, rng, self.light)
        if rng.random() < self.tone_p:
            image = np.clip(image, 1e-4, 1) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
            image = (image - 0.5) * np.float32(rng.uniform(0.75, 1.2)) + 0.5 + np.float32(rng.uniform(-0.06, 0.06))
        kind = rng.random()
        if kind < self.grey_p + self.toned_p:
            image = np.clip(grey(image.astype(np.float32)), 0, 1)
            if kind < self.toned_p:
                image = image ** (1 / _SEPIA_TINTS[rng.integers(len(_SEPIA_TINTS))])
        return np.asarray(np.clip(image, 0, 1).astype(np.float32))

    def _framing(self, stored: int, size: int, rng: np.random.Generator) -> Matrix:
        scale = size / stored * np.exp(rng.uniform(-self.zoom, self.zoom))
        middle = (stored - 1) / 2
        matrix = np.asarray(cv2.getRotationMatrix2D((middle, middle), rng.uniform(-self.angle, self.angle), scale), np.float64)
        matrix[:, 2] += (size - 1) / 2 - middle + rng.uniform(-self.shift, self.shift, 2) * size
        if rng.random() < self.mirror_p:
            matrix[0] = -matrix[0]
            matrix[0, 2] += size - 1
        return matrix


def follow(landmarks: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Five points (5 x 2, pixel centres at integers) after an augmentation: left and right are again as seen in the picture."""
    moved = landmarks @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[[1, 0, 2, 4, 3]] if is_mirrored(matrix) else moved)


def is_mirrored(matrix: Matrix) -> bool:
    """Whether the affine turns left into right."""
    return bool(np.linalg.det(matrix[:, :2]) < 0)


def _slope(size: int, rng: np.random.Generator, strength: float) -> Image:
    """Side light: a linear gain across the picture in a random direction."""
    angle = rng.uniform(-np.pi, np.pi)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    ramp = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    return np.asarray(np.clip(1 + rng.uniform(0, strength) * ramp, 0.4, 1.4)[..., None], np.float32)
