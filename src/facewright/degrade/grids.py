"""Degradations whose numbers come from lists: DifFace's two test sets, and what GFRNet's paper tells."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from facewright.degrade import steps
from facewright.degrade.fused import blur_and_shrink
from facewright.degrade.kernels import gaussian_kernel
from facewright.degrade.pipeline import Degradation, Draws, finish
from facewright.degrade.steps import Image


@dataclass(frozen=True)
class Grid(Degradation):
    """Each number by equal chance from its list, for a picture of `size` pixels; or cell by cell, `at`.

    sigmas: blur, 0 for none; scales: shrink factors; noises: in 255ths; qualities: JPEG, None for none; thetas: angles of the blur, for
    which sigma_y is one more draw from `sigmas`; empty for an isotropic one. cubic: shrunk and enlarged bicubic, not bilinear.
    """

    sigmas: tuple[float, ...]
    scales: tuple[float, ...]
    noises: tuple[float, ...]
    qualities: tuple[int | None, ...]
    thetas: tuple[float, ...] = ()
    kernel_size: int = 41
    cubic: bool = False
    size: int = 512

    def __len__(self) -> int:
        """How many cells the grid has."""
        return math.prod(self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        return len(self.qualities), len(self.scales), len(self.noises), len(self.sigmas), max(1, len(self.thetas))

    def at(self, cell: int, rng: np.random.Generator) -> Draws:
        """The numbers of one cell, 0 <= cell < len(self); the rng gives the noise, and sigma_y where the blur is slanted."""
        quality, scale, noise, sigma, theta = (int(i) for i in np.unravel_index(cell, self._shape))
        sigma_x = sigma_y = self.sigmas[sigma]
        if self.thetas:
            sigma_y = self.sigmas[int(rng.integers(len(self.sigmas)))]
        return Draws(
            sigma_x=sigma_x,
            sigma_y=sigma_y,
            theta=self.thetas[theta] if self.thetas else 0.0,
            scale=self.scales[scale],
            noise_sigma=self.noises[noise],
            noise_grey=False,
            noise_seed=int(rng.integers(2**32)),
            quality=self.qualities[quality],
            shift=None,
            grey=False,
            kernel_size=self.kernel_size,
        )

    def draw(self, rng: np.random.Generator) -> Draws:
        return self.at(int(rng.integers(len(self))), rng)

    def scaled(self, size: int) -> Grid:
        factor = size / self.size
        return replace(
            self,
            size=size,
            sigmas=tuple(sigma * factor for sigma in self.sigmas),
            scales=tuple(max(1.0, scale * factor) for scale in self.scales),
            kernel_size=2 * max(1, round((self.kernel_size - 1) / 2 * factor)) + 1,
        )

    def apply(self, clean: Image, draws: Draws) -> Image:
        height, width = clean.shape[:2]
        small = draws.small(width, height)
        kernel = gaussian_kernel(draws.kernel_size, max(draws.sigma_x, 0.01), max(draws.sigma_y, 0.01), draws.theta)
        if self.cubic:
            image = steps.bicubic(steps.blur(clean, kernel), *small)
            return finish(image, draws, width, height, enlarge=steps.bicubic)
        return finish(blur_and_shrink(clean, kernel, *small), draws, width, height)
