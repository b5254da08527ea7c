"""DFDNet's degradation: Pillow's arithmetic on 8-bit pictures.

Li, Chen, Zhou, Lin, Zuo, Zhang, "Blind Face Restoration via Deep Multi-scale Component Dictionaries", ECCV 2020. Its 32 recorded camera
shakes are not ours to ship: `kernels.shake_kernel` stands in for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image as Picture

from facewright.degrade import colours, steps
from facewright.degrade.colours import Adjustment, Jitter
from facewright.degrade.kernels import shake_kernel
from facewright.degrade.pipeline import Degradation
from facewright.degrade.steps import Image

JITTER: dict[Adjustment, tuple[float, float]] = {"brightness": (0.7, 1.3), "contrast": (0.7, 1.3), "saturation": (0.7, 1.3)}


@dataclass(frozen=True)
class DfdnetDraws:
    """blur: side and sigma of a Gaussian; shake: which camera shake (0 to 31); side: of the shrunk picture; None: left out."""

    jitter: Jitter
    blur: tuple[int, float] | None
    shake: int | None
    side: int | None
    noise_sigma: int | None
    noise_seed: int
    quality: int | None


@dataclass(frozen=True)
class Dfdnet(Degradation):
    """Integer ranges, ends included. blur_half: sides 2 n + 1; sigma10, scale10: tenths. ColorJitter is on the truth too."""

    blur_p: float = 0.9
    gaussian_p: float = 0.65
    blur_half: tuple[int, int] = (1, 17)
    sigma10: tuple[int, int] = (3, 20)
    shake_size: int = 31
    scale_p: float = 0.95
    scale10: tuple[int, int] = (20, 100)
    noise_p: float = 0.9
    noise: tuple[int, int] = (1, 10)
    quality_p: float = 0.6
    quality: tuple[int, int] = (40, 80)
    size: int = 512

    def scaled(self, size: int) -> Dfdnet:
        return replace(self, size=size)

    def draw(self, rng: np.random.Generator) -> DfdnetDraws:
        def integer(bounds: tuple[int, int]) -> int:
            return int(rng.integers(bounds[0], bounds[1] + 1))

        jitter = colours.draw_jitter(rng, JITTER)
        kind, gaussian = rng.random(), self.blur_p * self.gaussian_p
        blur = (2 * integer(self.blur_half) + 1, integer(self.sigma10) / 10) if kind < gaussian else None
        shake = int(rng.integers(32)) if gaussian <= kind < self.blur_p else None
        # at 512 px as published; a smaller crop is a smaller picture of the face, and shrunk less
        side = max(4, int(512 * 10 / integer(self.scale10))) if rng.random() < self.scale_p else None
        noise = integer(self.noise) if rng.random() < self.noise_p else None
        seed = int(rng.integers(2**32))
        quality = integer(self.quality) if rng.random() < self.quality_p else None
        return DfdnetDraws(jitter, blur, shake, side, noise, seed, quality)

    def truth(self, clean: Image, draws: DfdnetDraws) -> Image:
        return steps.quantise(colours.jitter(clean, draws.jitter))

    def apply(self, clean: Image, draws: DfdnetDraws) -> Image:
        height, width = clean.shape[:2]
        factor = self.size / 512
        pixels = steps.eight_bits(self.truth(clean, draws))
        if draws.blur is not None:
            side, sigma = 2 * max(1, round((draws.blur[0] - 1) / 2 * factor)) + 1, max(0.1, draws.blur[1] * factor)
            pixels = np.asarray(cv2.GaussianBlur(pixels, (side, side), sigma), np.uint8)
        if draws.shake is not None:
            side = 2 * max(1, round((self.shake_size - 1) / 2 * factor)) + 1
            pixels = np.asarray(cv2.filter2D(pixels, -1, shake_kernel(side, draws.shake)), np.uint8)
        picture = Picture.fromarray(pixels)
        if draws.side is not None:
            part = min(1.0, draws.side / self.size)
            picture = picture.resize((max(1, int(width * part)), max(1, int(height * part))), Picture.Resampling.BICUBIC)
        pixels = np.asarray(picture)
        if draws.noise_sigma is not None:
            noise = np.random.default_rng(draws.noise_seed).standard_normal(pixels.shape) * draws.noise_sigma
            pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)  # cut off, not rounded
        if draws.quality is not None:
            # published quirk: red and blue are swapped while it is coded
            swapped = steps.jpeg(steps.from_eight_bits(np.ascontiguousarray(pixels[..., ::-1])), draws.quality)
            pixels = np.ascontiguousarray(steps.eight_bits(swapped)[..., ::-1])
        return steps.from_eight_bits(np.asarray(Picture.fromarray(pixels).resize((width, height), Picture.Resampling.BICUBIC)))
