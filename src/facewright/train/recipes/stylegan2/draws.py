"""Everything random in one iteration of the recipe `stylegan2`, drawn with its pictures: a function of seed and step alone.

That makes an iteration something that can be handed in whole, replayed, and shared among processes and parts of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from facewright.data import Batch
from facewright.train import diffaugment
from facewright.train.diffaugment import Changes
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Styles:
    """One or two z, N x S each; two are mixed at layer `inject_index`."""

    z: tuple[Tensor, ...]
    inject_index: int | None = None


@dataclass(frozen=True)
class Draws:
    """Of one iteration: the styles of the fakes that the discriminator learns from, of those that the generator learns from, and of those
    whose path length is measured with `path_noise`, N(0, 1) of the pictures' shape (None where it is not measured); and what DiffAugment
    does to reals, fakes, and the generator's fakes.
    """

    discriminator: Styles
    generator: Styles
    path: Styles | None = None
    path_noise: Tensor | None = None
    real_changes: Changes = field(default_factory=Changes)
    fake_changes: Changes = field(default_factory=Changes)
    generator_changes: Changes = field(default_factory=Changes)


@dataclass
class DrawnBatch(Batch):
    """Real pictures in `clean` (`damaged` is the same), and the draws of their iteration."""

    draws: Draws | None = None

    def to(self, device: torch.device | str) -> DrawnBatch:
        clean = self.clean.to(device, non_blocking=True)
        return DrawnBatch(clean, clean, draws=_each(self.draws, lambda tensor: tensor.to(device, non_blocking=True)))


def draw(settings: StyleGAN2Settings, batch: int, seed: int, step: int) -> Draws:
    """The draws of a joint batch of `batch` pictures at `step`."""
    rng = np.random.default_rng([seed, step, 0x5742])  # not the numbers that the pictures are made with
    count, measured = measured_pictures(settings, batch), measures_path(settings, step)
    return Draws(
        discriminator=_styles(settings, batch, rng),
        generator=_styles(settings, batch, rng),
        path=_styles(settings, count, rng) if measured else None,
        path_noise=_normal(rng, count, 3, settings.size, settings.size) if measured else None,
        real_changes=diffaugment.draw(settings.augment, batch, settings.size, rng),
        fake_changes=diffaugment.draw(settings.augment, batch, settings.size, rng),
        generator_changes=diffaugment.draw(settings.augment, batch, settings.size, rng),
    )


def measures_path(settings: StyleGAN2Settings, step: int) -> bool:
    """Whether the path length is regularised at that step (0 is the first): published, at the iterations 4, 8, ..."""
    return settings.path_weight > 0 and (step + 1) % settings.path_every == 0


def measured_pictures(settings: StyleGAN2Settings, batch: int) -> int:
    """Pictures of a joint batch whose path length is measured."""
    return max(1, batch // settings.path_shrink)


def share(draws: T, rank: int, world: int) -> T:
    """Of the draws of a joint batch those of one process: the samples rank, rank + world, ..."""
    return _each(draws, lambda tensor: tensor[rank::world])


def _styles(settings: StyleGAN2Settings, count: int, rng: np.random.Generator) -> Styles:
    latents = 2 * len(settings.channels)  # the number of latents is twice that of the levels
    mixed = rng.random() < settings.mixing
    z = tuple(_normal(rng, count, settings.style) for _ in range(2 if mixed else 1))
    return Styles(z, int(rng.integers(1, latents)) if mixed else None)


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))


def _each(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """The same dataclasses and tuples, with every tensor in them changed."""
    found: Any = value
    if isinstance(found, Tensor):
        found = change(found)
    elif isinstance(found, tuple):
        found = tuple(_each(inner, change) for inner in found)
    elif is_dataclass(found) and not isinstance(found, type):
        found = replace(found, **{each.name: _each(getattr(found, each.name), change) for each in fields(found)})
    return cast(T, found)
