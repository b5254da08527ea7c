"""DiffAugment: what a discriminator sees, real or made, goes through random changes that gradients pass.

Zhao, Liu, Lin, Zhu, Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020, arXiv:2006.10738. Since
the generator is judged through the same changes it does not learn them, and the discriminator cannot learn a small set by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import torch
from torch import Tensor

from facewright.errors import UsageError

POLICIES = ("color", "translation", "cutout")
TRANSLATION, CUTOUT = 1 / 8, 1 / 2
"""Farthest shift and side of the window, as parts of the picture."""


@dataclass(frozen=True)
class Changes:
    """What is drawn for N pictures of H x W; what is None does not happen.

    colour: N x 3 in [0, 1): brightness, saturation, contrast. shift: N x 2, rows and columns, whole numbers. window: N x 2, the row and
    column of the cut-out's middle, whole numbers, 0..H and 0..W.
    """

    colour: Tensor | None = None
    shift: Tensor | None = None
    window: Tensor | None = None


def check_policy(policy: str) -> tuple[str, ...]:
    """The names in a policy such as "color,translation,cutout"; "" is none. Raises UsageError for an unknown one."""
    names = tuple(name.strip() for name in policy.split(",") if name.strip())
    for name in names:
        if name not in POLICIES:
            near = get_close_matches(name, POLICIES, 1) or POLICIES
            raise UsageError(f"there is no augmentation {name!r}", what_to_do=f"use: {', '.join(near)}")
    return names


def draw(policy: str, count: int, size: int, rng: np.random.Generator) -> Changes:
    """Random changes of `count` square pictures of `size` pixels."""
    names, reach, side = check_policy(policy), int(size * TRANSLATION + 0.5), int(size * CUTOUT + 0.5)
    return Changes(
        colour=torch.from_numpy(rng.random((count, 3), np.float32)) if "color" in names else None,
        shift=torch.from_numpy(rng.integers(-reach, reach + 1, (count, 2))) if "translation" in names else None,
        window=torch.from_numpy(rng.integers(0, size + 1 - side % 2, (count, 2))) if "cutout" in names else None,
    )


def diff_augment(pictures: Tensor, changes: Changes) -> Tensor:
    """N x C x H x W in [-1, 1] to the same, not clamped: colour, then translation, then cut-out."""
    if changes.colour is not None:
        pictures = recoloured(pictures, changes.colour)
    if changes.shift is not None:
        pictures = translated(pictures, changes.shift)
    if changes.window is not None:
        pictures = cut_out(pictures, changes.window)
    return pictures


def recoloured(pictures: Tensor, colour: Tensor) -> Tensor:
    """brightness: + (u - 0.5); saturation: times 2u about the grey of each pixel; contrast: times (u + 0.5) about the picture's mean."""
    brightness, saturation, contrast = (u[:, None, None, None] for u in colour.to(pictures.dtype).unbind(1))
    pictures = pictures + (brightness - 0.5)
    grey = pictures.mean(1, keepdim=True)
    pictures = (pictures - grey) * (2 * saturation) + grey
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return (pictures - mean) * (contrast + 0.5) + mean


def translated(pictures: Tensor, shift: Tensor) -> Tensor:
    """out[y, x] = in[y + rows, x + columns]; zeros, a middle grey, come in from outside."""
    for axis in (2, 3):
        size = pictures.shape[axis]
        place = torch.arange(size, device=pictures.device) + shift[:, axis - 2, None]
        shape = (len(pictures), 1, size, 1) if axis == 2 else (len(pictures), 1, 1, size)
        inside = ((place >= 0) & (place < size)).view(shape)
        pictures = pictures.gather(axis, place.clamp(0, size - 1).view(shape).expand_as(pictures)) * inside
    return pictures


def cut_out(pictures: Tensor, window: Tensor, part: float = CUTOUT) -> Tensor:
    """Zeros in a window of `part` of each side about `window`; what reaches over the border is cut off."""
    inside = torch.ones(len(pictures), 1, 1, 1, dtype=torch.bool, device=pictures.device)
    for axis in (2, 3):
        size = pictures.shape[axis]
        side = int(size * part + 0.5)
        away = torch.arange(size, device=pictures.device) - (window[:, axis - 2, None] - side // 2)
        within = (away >= 0) & (away < side)
        inside = inside & within.view((len(pictures), 1, size, 1) if axis == 2 else (len(pictures), 1, 1, size))
    return pictures * ~inside
