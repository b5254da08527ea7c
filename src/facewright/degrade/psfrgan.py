"""PSFRGAN's degradation, which its authors wrote with imgaug.

Chen, Li, Yang, Lin, Zhang, Wong, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration", CVPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from facewright.degrade import steps
from facewright.degrade.kernels import motion_kernel
from facewright.degrade.pipeline import Degradation, Range
from facewright.degrade.steps import Image

Blur = Literal["gaussian", "average", "median", "motion"]
BLURS: tuple[Blur, ...] = ("gaussian", "average", "median", "motion")
INTERPOLATIONS = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}


@dataclass(frozen=True)
class PsfrganDraws:
    """blur: kind and its sigma (Gaussian) or side; angle, direction: of the motion; side: of the shrunk picture; None: left out."""

    grey: bool
    blur: tuple[Blur, float] | None
    angle: float
    direction: float
    side: int
    interpolation: str
    noise_sigma: float | None
    noise_grey: bool
    noise_seed: int
    quality: int | None


@dataclass(frozen=True)
class Psfrgan(Degradation):
    """sigma, average, median, motion: of the four blurs, in pixels of a `size` picture; side: of the shrunk one. Grey is the truth too."""

    grey_p: float = 0.3
    blur_p: float = 0.5
    sigma: Range = (3, 15)
    average: tuple[int, int] = (3, 15)
    median: tuple[int, int] = (3, 15)
    motion: tuple[int, int] = (5, 25)
    side: tuple[int, int] = (32, 255)
    noise_p: float = 0.2
    noise: Range = (0, 25.5)
    noise_grey_p: float = 0.5
    compression_p: float = 0.7
    compression: tuple[int, int] = (10, 65)
    size: int = 512

    def scaled(self, size: int) -> Psfrgan:
        factor = size / self.size

        def sides(bounds: tuple[int, int]) -> tuple[int, int]:
            return max(1, round(bounds[0] * factor)), max(1, round(bounds[1] * factor))

        return replace(
            self,
            size=size,
            sigma=(self.sigma[0] * factor, self.sigma[1] * factor),
            average=sides(self.average),
            median=sides(self.median),
            motion=sides(self.motion),
            side=sides(self.side),
        )

    def draw(self, rng: np.random.Generator) -> PsfrganDraws:
        grey = bool(rng.random() < self.grey_p)
        kind = BLURS[int(rng.integers(4))]
        bounds = {"average": self.average, "median": self.median, "motion": self.motion}.get(kind)
        strength = float(rng.uniform(*self.sigma)) if bounds is None else float(rng.integers(bounds[0], bounds[1] + 1))
        return PsfrganDraws(
            grey=grey,
            blur=(kind, strength) if rng.random() < self.blur_p else None,
            angle=rng.uniform(-np.pi, np.pi),
            direction=rng.uniform(-1, 1),
            side=int(rng.integers(self.side[0], self.side[1] + 1)),
            interpolation=str(rng.choice(list(INTERPOLATIONS))),
            noise_sigma=rng.uniform(*self.noise) if rng.random() < self.noise_p else None,
            noise_grey=bool(rng.random() < self.noise_grey_p),
            noise_seed=int(rng.integers(2**32)),
            quality=100 - int(rng.integers(self.compression[0], self.compression[1] + 1)) if rng.random() < self.compression_p else None,
        )

    def truth(self, clean: Image, draws: PsfrganDraws) -> Image:
        return steps.grey(clean) if draws.grey else clean

    def apply(self, clean: Image, draws: PsfrganDraws) -> Image:
        height, width = clean.shape[:2]
        image = self.truth(clean, draws)
        if draws.blur is not None:
            image = blurred(image, *draws.blur, draws.angle, draws.direction)
        part = draws.side / self.size
        small = max(1, round(width * part)), max(1, round(height * part))
        image = np.clip(cv2.resize(image, small, interpolation=INTERPOLATIONS[draws.interpolation]), 0, 1)
        if draws.noise_sigma is not None:
            shape = (*image.shape[:2], 1 if draws.noise_grey else 3)
            image = steps.add_noise(image, np.random.default_rng(draws.noise_seed).standard_normal(shape, np.float32), draws.noise_sigma)
        if draws.quality is not None:
            image = steps.jpeg(image, draws.quality)
        return steps.quantise(np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)))


def blurred(image: Image, kind: Blur, strength: float, angle: float, direction: float) -> Image:
    """strength: sigma of the Gaussian, side of the others (made odd for median and motion)."""
    if kind == "gaussian":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(strength, 0.1)))
    side = max(1, int(strength))
    if kind == "average":
        return np.asarray(cv2.blur(image, (side, side)))
    side += 1 - side % 2
    if kind == "median":
        return steps.from_eight_bits(np.asarray(cv2.medianBlur(steps.eight_bits(image), side), np.uint8))
    return steps.blur(image, motion_kernel(side, angle, direction))
