"""Real-ESRGAN's second-order degradation: blur, resize, noise and JPEG, twice, and ringing at the end.

Wang, Xie, Dong, Shan, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW 2021.
The published program draws scale and mode once a batch and shuffles pictures through a pool of 180; here every picture has its own draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facewright.degrade import steps
from facewright.degrade.pipeline import Degradation, Range
from facewright.degrade.sampling import KernelDraw, KernelMix, sinc_draw
from facewright.degrade.steps import Image, Mode

MODES: tuple[Mode, ...] = ("area", "bilinear", "bicubic")


@dataclass(frozen=True)
class StageDraws:
    """One of the two rounds. strength: sigma in 255ths of Gaussian noise, or the scale of Poisson noise."""

    kernel: KernelDraw | None
    factor: float
    mode: Mode
    poisson: bool
    strength: float
    noise_grey: bool
    noise_seed: int
    quality: float


@dataclass(frozen=True)
class SecondOrderDraws:
    """last: the ringing kernel, None for the delta; last_before_jpeg: resize and ring, then JPEG, or the other way round."""

    first: StageDraws
    second: StageDraws
    last: KernelDraw | None
    last_mode: Mode
    last_before_jpeg: bool


@dataclass(frozen=True)
class Stage:
    """resize: weights of up, down, keep; range: of the factor, up from 1 and down to 1; gaussian_p: Gaussian noise, else Poisson."""

    kernels: KernelMix
    sinc_p: float
    blur_p: float
    resize: tuple[float, float, float]
    range: Range
    gaussian_p: float
    noise: Range
    poisson: Range
    noise_grey_p: float
    quality: Range

    def draw(self, sizes: tuple[int, ...], rng: np.random.Generator) -> StageDraws:
        padded = max(sizes)
        size = int(rng.choice(sizes))
        rings = rng.random() < self.sinc_p
        kernel = sinc_draw((size,), padded, rng) if rings else replace(self.kernels.draw(size, rng), padded=padded)
        blurs = rng.random() < self.blur_p
        up, down, keep = self.resize
        way = rng.uniform(0, up + down + keep)
        factor = rng.uniform(1, self.range[1]) if way < up else rng.uniform(self.range[0], 1) if way < up + down else 1.0
        poisson = bool(rng.random() >= self.gaussian_p)
        return StageDraws(
            kernel=kernel if blurs else None,
            factor=float(factor),
            mode=MODES[int(rng.integers(3))],
            poisson=poisson,
            strength=float(rng.uniform(*(self.poisson if poisson else self.noise))),
            noise_grey=bool(rng.random() < self.noise_grey_p),
            noise_seed=int(rng.integers(2**32)),
            quality=float(rng.uniform(*self.quality)),
        )


@dataclass(frozen=True)
class SecondOrder(Degradation):
    """The damaged picture is H // scale x W // scale. Its numbers are pixels of a photo, not of a face: `scaled` changes none.

    The truth is the clean picture; Real-ESRGAN's pixel and perceptual losses look at `steps.sharpen` of it, and so does `apply`.
    """

    first: Stage
    second: Stage
    scale: int = 4
    last_sinc_p: float = 0.8
    kernel_sizes: tuple[int, ...] = tuple(range(7, 22, 2))
    size: int = 512

    def scaled(self, size: int) -> SecondOrder:
        return replace(self, size=size)

    def draw(self, rng: np.random.Generator) -> SecondOrderDraws:
        first, second = self.first.draw(self.kernel_sizes, rng), self.second.draw(self.kernel_sizes, rng)
        ring = sinc_draw(self.kernel_sizes, max(self.kernel_sizes), rng, small=(np.pi / 3, np.pi), large=(np.pi / 3, np.pi))
        rings = rng.random() < self.last_sinc_p
        return SecondOrderDraws(first, second, ring if rings else None, MODES[int(rng.integers(3))], bool(rng.random() < 0.5))

    def apply(self, clean: Image, draws: SecondOrderDraws) -> Image:
        height, width = clean.shape[:2]
        final = max(1, height // self.scale), max(1, width // self.scale)
        image = steps.sharpen(clean)
        for stage, part in ((draws.first, 1), (draws.second, self.scale)):
            if stage.kernel is not None:
                image = steps.blur(image, stage.kernel.build())
            if part == 1:  # the factor itself places the samples
                sides = max(1, int(height * stage.factor)), max(1, int(width * stage.factor))
                image = steps.interpolate(image, *sides, stage.mode, stage.factor)
            else:
                sides = max(1, int(height / part * stage.factor)), max(1, int(width / part * stage.factor))
                image = steps.interpolate(image, *sides, stage.mode)
            image = noisy(image, stage)
            if part == 1:
                image = coded(image, stage.quality)
        if draws.last_before_jpeg:
            image = coded(self._last(image, final, draws), draws.second.quality)
        else:
            image = self._last(coded(image, draws.second.quality), final, draws)
        return steps.quantise(image)

    def _last(self, image: Image, sides: tuple[int, int], draws: SecondOrderDraws) -> Image:
        image = steps.interpolate(image, *sides, draws.last_mode)
        return image if draws.last is None else steps.blur(image, draws.last.build())


def noisy(image: Image, stage: StageDraws) -> Image:
    rng = np.random.default_rng(stage.noise_seed)
    if not stage.poisson:
        shape = (*image.shape[:2], 1 if stage.noise_grey else 3)
        return steps.add_noise(image, rng.standard_normal(shape, np.float32), stage.strength)
    x, levels = steps.poisson_rate(image, grey=stage.noise_grey)
    return steps.add_poisson(image, x, levels, rng.poisson(x * levels), stage.strength)


def coded(image: Image, quality: float) -> Image:
    """DiffJPEG, rounded as a coder rounds; torch is loaded when it is first needed."""
    import torch

    from facewright.degrade.diffjpeg import diffjpeg

    planes = torch.from_numpy(np.ascontiguousarray(np.clip(image, 0, 1).transpose(2, 0, 1)))[None]
    return np.ascontiguousarray(diffjpeg(planes, quality, differentiable=False)[0].numpy().transpose(1, 2, 0))
