"""The first-order degradation of GFPGAN and its relatives: blur, shrink, noise, JPEG, enlarge, colour.

A `Degradation` holds the ranges (a row of the published table), `draw` fixes the numbers of one picture, `apply` is then
deterministic: the same draws give the same damage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from facewright.degrade import steps
from facewright.degrade.kernels import gaussian_kernel
from facewright.degrade.steps import Image

Range = tuple[float, float]


@dataclass(frozen=True)
class Draws:
    """The random numbers of one picture; a quality of None means no JPEG."""

    sigma_x: float
    sigma_y: float
    theta: float
    scale: float
    noise_sigma: float
    noise_grey: bool
    noise_seed: int
    quality: int | None
    shift: tuple[float, float, float] | None
    grey: bool


@dataclass(frozen=True)
class Degradation:
    """Uniform ranges for a picture of `size` pixels; see `scaled` for other sizes.

    sigma: blur in pixels, both axes; scale: shrink factor; noise: standard deviation in 255ths; quality: JPEG;
    shift: largest colour shift in 255ths, with probability shift_p; grey_p: luma only, and with grey_target the truth too.
    """

    kernel_size: int = 41
    isotropic_p: float = 0.5
    sigma: Range = (0.1, 10)
    scale: Range = (0.8, 8)
    noise: Range = (0, 20)
    noise_grey_p: float = 0.0
    quality: Range = (60, 100)
    shift: float = 20
    shift_p: float = 0.0
    grey_p: float = 0.0
    grey_target: bool = False
    size: int = 512

    def scaled(self, size: int) -> Degradation:
        """The same damage for a crop of another size: blur and shrink in the face's own measure, noise and JPEG as they are."""
        factor = size / self.size
        # odd, and the same part of the Gaussian
        kernel = 2 * max(1, round((self.kernel_size - 1) / 2 * factor)) + 1
        sigma = (max(0.1, self.sigma[0] * factor), max(0.1, self.sigma[1] * factor))
        return replace(self, size=size, kernel_size=kernel, sigma=sigma, scale=(self.scale[0] * factor, self.scale[1] * factor))

    def draw(self, rng: np.random.Generator) -> Draws:
        sigma_x = rng.uniform(*self.sigma)
        isotropic = rng.random() < self.isotropic_p
        sigma_y, theta = (sigma_x, 0.0) if isotropic else (rng.uniform(*self.sigma), rng.uniform(-np.pi, np.pi))
        scale, noise = rng.uniform(*self.scale), rng.uniform(*self.noise)
        noise_grey = bool(rng.random() < self.noise_grey_p)
        quality = int(rng.uniform(*self.quality))
        red, green, blue = rng.uniform(-self.shift / 255, self.shift / 255, 3)
        shift = (red, green, blue) if rng.random() < self.shift_p else None
        grey = bool(rng.random() < self.grey_p)
        return Draws(sigma_x, sigma_y, theta, scale, noise, noise_grey, int(rng.integers(2**32)), quality, shift, grey)

    def apply(
        self, clean: Image, draws: Draws, *, enlarge: Callable[[Image, int, int], Image] = steps.resize, noise: Image | None = None
    ) -> Image:
        """clean: H x W x 3 RGB float32 in [0, 1]. Returns the damaged picture at the same size, on 256 levels.

        enlarge: how the small picture comes back to size; bilinear as published, another for a rival that upsamples better.
        noise: standard normals in place of those of `noise_seed`, of the small picture's size.
        """
        height, width = clean.shape[:2]
        image = steps.blur(clean, gaussian_kernel(self.kernel_size, draws.sigma_x, draws.sigma_y, draws.theta))
        # a face a little larger than its crop is not enlarged first: the published 0.8 comes to 0.4 at 256 px, all of it above the crop
        image = steps.shrink(image, max(draws.scale, 0.8))
        if noise is None:
            shape = (*image.shape[:2], 1 if draws.noise_grey else 3)
            noise = np.random.default_rng(draws.noise_seed).standard_normal(shape, np.float32)
        image = steps.add_noise(image, noise, draws.noise_sigma)
        if draws.quality is not None:
            image = steps.jpeg(image, draws.quality)
        image = enlarge(image, width, height)
        if draws.shift is not None:
            image = steps.shift_colour(image, np.array(draws.shift))
        if draws.grey:
            image = steps.grey(image)
        return steps.quantise(image)

    def __call__(self, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
        """(damaged, truth): the truth is the clean picture, or its luma where `grey_target` asks for it."""
        draws = self.draw(rng)
        damaged = self.apply(clean, draws)
        return damaged, steps.grey(clean) if draws.grey and self.grey_target else clean
