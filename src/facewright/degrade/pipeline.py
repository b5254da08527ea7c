"""What every degradation is, and the first-order one of GFPGAN and its relatives: blur, shrink, noise, JPEG, enlarge, colour.

A degradation holds ranges (a row of the published table), `draw` fixes the numbers of one picture, `apply` is then deterministic: the same
draws give the same damage.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facewright.degrade import colours, steps
from facewright.degrade.colours import Jitter
from facewright.degrade.fused import blur_and_shrink
from facewright.degrade.kernels import gaussian_kernel
from facewright.degrade.steps import Image

Range = tuple[float, float]


class Degradation(ABC):
    """From a clean picture to a damaged one, in two steps: the numbers, then the deed. size: the side its numbers are meant for."""

    size: int

    @abstractmethod
    def scaled(self, size: int) -> Degradation:
        """The same damage for a crop of another size: what is measured in the face's pixels follows it, noise and JPEG do not."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Any:
        """The numbers of one picture, as a dataclass."""

    @abstractmethod
    def apply(self, clean: Image, draws: Any) -> Image:
        """clean: H x W x 3 RGB float32 in [0, 1]. Returns the damaged picture, float32 on 256 levels, of the same size unless the
        class says otherwise."""

    def truth(self, clean: Image, draws: Any) -> Image:
        """What the damaged picture should be restored to: the clean one, unless the class says otherwise."""
        return clean

    def __call__(self, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
        """(damaged, truth)."""
        draws = self.draw(rng)
        return self.apply(clean, draws), self.truth(clean, draws)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one picture; None where a step is left out."""

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
    kernel_size: int = 41
    haze: float | None = None
    jitter: Jitter | None = None

    def small(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the shrink. A face a little larger than its crop is not enlarged first: the published 0.8 comes to 0.4
        at 256 px, all of it above the crop."""
        return steps.shrunk_size(width, height, max(self.scale, 0.8))

    def noise(self, width: int, height: int) -> Image:
        """Standard normals, height x width x 3, or x 1 where the noise is grey."""
        return np.random.default_rng(self.noise_seed).standard_normal((height, width, 1 if self.noise_grey else 3), np.float32)


@dataclass(frozen=True)
class FirstOrder(Degradation):
    """Uniform ranges for a picture of `size` pixels; see `scaled` for other sizes.

    kernel_sizes: sides of the blur kernel, by equal chance; sigma: blur in pixels, both axes; scale: shrink factor; noise: standard
    deviation in 255ths; quality: JPEG; shift: largest colour shift in 255ths, with probability shift_p; jitter_p: `colours.draw_jitter`;
    grey_p: luma only, and with grey_target the truth too; haze_p: a veil over the blurred picture, of the strength 1 - haze.
    exact_blur: through OpenCV's filter itself, not to a quarter of a level (`fused`): four times slower.
    """

    kernel_sizes: tuple[int, ...] = (41,)
    isotropic_p: float = 0.5
    sigma: Range = (0.1, 10)
    scale: Range = (0.8, 8)
    noise: Range = (0, 20)
    noise_grey_p: float = 0.0
    quality: Range = (60, 100)
    shift: float = 20
    shift_p: float = 0.0
    jitter_p: float = 0.0
    grey_p: float = 0.0
    grey_target: bool = False
    haze: Range = (0.75, 0.95)
    haze_p: float = 0.0
    exact_blur: bool = False
    size: int = 512

    def scaled(self, size: int) -> FirstOrder:
        """The same damage for a crop of another size: blur and shrink in the face's own measure, noise and JPEG as they are."""
        factor = size / self.size
        # odd, and the same part of the Gaussian
        kernels = tuple(2 * max(1, round((side - 1) / 2 * factor)) + 1 for side in self.kernel_sizes)
        sigma = (max(0.1, self.sigma[0] * factor), max(0.1, self.sigma[1] * factor))
        return replace(self, size=size, kernel_sizes=kernels, sigma=sigma, scale=(self.scale[0] * factor, self.scale[1] * factor))

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
        seed = int(rng.integers(2**32))
        # what is seldom asked for comes last and only then, so that the others' draws stay what they were
        size = self.kernel_sizes[0] if len(self.kernel_sizes) == 1 else int(rng.choice(self.kernel_sizes))
        haze = rng.uniform(*self.haze) if self.haze_p and rng.random() < self.haze_p else None
        jitter = colours.draw_jitter(rng) if self.jitter_p and rng.random() < self.jitter_p else None
        return Draws(sigma_x, sigma_y, theta, scale, noise, noise_grey, seed, quality, shift, grey, size, haze, jitter)

    def apply(
        self,
        clean: Image,
        draws: Draws,
        *,
        enlarge: Callable[[Image, int, int], Image] | None = None,
        noise: Image | None = None,
        out: Image | None = None,
    ) -> Image:
        """clean: H x W x 3 RGB float32 in [0, 1]. Returns the damaged picture at the same size, on 256 levels.

        enlarge: how the small picture comes back to size, for a rival that does it better than bilinear, the published way.
        noise: standard normals in place of those of `noise_seed`, of the small picture's size. out: where to.
        """
        height, width = clean.shape[:2]
        small = draws.small(width, height)
        kernel = gaussian_kernel(draws.kernel_size, draws.sigma_x, draws.sigma_y, draws.theta)
        image = steps.resize(steps.blur(clean, kernel), *small) if self.exact_blur else blur_and_shrink(clean, kernel, *small)
        return finish(image, draws, width, height, enlarge=enlarge, noise=noise, out=out)

    def truth(self, clean: Image, draws: Draws) -> Image:
        """The clean picture, or its luma where `grey_target` asks for it."""
        return steps.grey(clean) if draws.grey and self.grey_target else clean


def finish(
    small: Image,
    draws: Draws,
    width: int,
    height: int,
    *,
    enlarge: Callable[[Image, int, int], Image] | None = None,
    noise: Image | None = None,
    out: Image | None = None,
) -> Image:
    """What happens after blur and shrink: haze, noise, JPEG, back to width x height, colour, 256 levels."""
    if draws.haze is not None:  # before the shrink in print, which an affine change of colour does not notice
        small = steps.haze(small, draws.haze)
    image = steps.add_noise(small, draws.noise(small.shape[1], small.shape[0]) if noise is None else noise, draws.noise_sigma)
    if draws.quality is not None:
        image = steps.jpeg(image, draws.quality)
    image = steps.resize(image, width, height, out) if enlarge is None else enlarge(image, width, height)
    # from here on in place: a fresh picture costs more than what is done to it
    if draws.shift is not None:
        image = steps.shift_colour(image, np.array(draws.shift), out=image)
    if draws.grey:
        image[:] = steps.grey(image)
    if draws.jitter is not None:
        image = colours.jitter(image, draws.jitter, out=image)
    return steps.quantise(image, out=image)
