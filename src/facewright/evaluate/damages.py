"""Seeded damage by name: what a suite does to its clean faces, the same for every method and every run."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facewright.degrade import preset, steps
from facewright.degrade.old_photo import OldPhoto, aged
from facewright.degrade.pipeline import FirstOrder
from facewright.degrade.presets import PRESETS
from facewright.errors import UsageError

Image = NDArray[np.float32]

DEFAULT = ("light", "medium", "heavy", "x4", "x8", "old-photo")
NONE = "none"
"""No damage: what a method does to a face that needs nothing."""


@dataclass(frozen=True)
class Damaged:
    """picture: H x W x 3 in [0, 1] on 256 levels; small: the same before it was enlarged to that size; truth: what to restore it to."""

    picture: Image
    small: Image
    truth: Image


class Damage(Protocol):
    def __call__(self, clean: Image, rng: np.random.Generator) -> Damaged:
        """clean: S x S x 3 RGB float32 in [0, 1]."""
        ...


def named(name: str, size: int) -> Damage:
    """The damage of that name for crops of `size` pixels: none, x2, x4, x8, x16, or a preset of `degrade` that enlarges what it shrank.

    Raises UsageError with the nearest names.
    """
    if name == NONE:
        return _none
    if name[:1] == "x" and name[1:].isdecimal() and 2 <= int(name[1:]) <= size // 8:
        return Shrunk(int(name[1:]))
    if name not in PRESETS and not name.startswith("old-photo+"):
        known = [NONE, *DEFAULT, *PRESETS]
        near = get_close_matches(name, known, 3) or [NONE, *DEFAULT]
        raise UsageError(f"there is no damage called {name!r}", what_to_do=f"use one of: {', '.join(dict.fromkeys(near))}")
    degradation = preset(name).scaled(size)
    if not isinstance(degradation, (FirstOrder, OldPhoto)):
        raise UsageError(
            f"the damage {name} cannot be evaluated", "it does not shrink and enlarge a whole face", f"use one of: {', '.join(DEFAULT)}"
        )
    return Preset(degradation)


@dataclass(frozen=True)
class Shrunk:
    """x4, x8: bicubic and antialiased down, as face super-resolution is measured; bilinear up, for methods that want the full size."""

    factor: int

    def __call__(self, clean: Image, rng: np.random.Generator) -> Damaged:
        height, width = clean.shape[:2]
        small = steps.quantise(steps.bicubic(clean, max(1, width // self.factor), max(1, height // self.factor)))
        return Damaged(steps.quantise(steps.resize(small, width, height)), small, clean)


@dataclass(frozen=True)
class Preset:
    """A first-order degradation, or an old print under one."""

    degradation: FirstOrder | OldPhoto

    def __call__(self, clean: Image, rng: np.random.Generator) -> Damaged:
        kept: list[Image] = []

        def enlarge(image: Image, width: int, height: int) -> Image:
            kept.append(image)
            return steps.resize(image, width, height)

        if isinstance(self.degradation, OldPhoto):
            life = self.degradation.draw(rng)
            truth = self.degradation.truth(clean, life)
            picture = self.degradation.scan.apply(aged(clean, life.print), life.scan, enlarge=enlarge)
            grey = life.scan.grey
        else:
            draws = self.degradation.draw(rng)
            truth = self.degradation.truth(clean, draws)
            picture = self.degradation.apply(clean, draws, enlarge=enlarge)
            grey = draws.grey
        small = np.array(kept[0])
        return Damaged(picture, steps.grey(small) if grey else small, truth)


def _none(clean: Image, rng: np.random.Generator) -> Damaged:
    return Damaged(clean, clean, clean)


def generator_of(name: str, seed: int) -> np.random.Generator:
    """The numbers of one picture: of its name and the seed alone, so that it is damaged alike among few or many others."""
    return np.random.default_rng([seed, *name.encode()])
