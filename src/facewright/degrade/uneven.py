"""RestoreFormer++'s extending degrading model: exposure, displacement, haze, and damage that is not the same everywhere.

Wang, Zhang, Chen, Wang, Luo, "RestoreFormer++: Towards Real-World Blind Face Restoration from Undegraded Key-Value Pairs", TPAMI 2023.
The paper states other ranges than its published settings do; these are the settings'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facewright.degrade import steps
from facewright.degrade.pipeline import Degradation, Draws, FirstOrder, Range
from facewright.degrade.steps import Image


@dataclass(frozen=True)
class UnevenDraws:
    """exposure: gain; displacement: the window's corner (down, along); second and square (left, top, side): a square of the picture
    damaged by `first` lies on the one damaged by `second`. None: left out."""

    first: Draws
    exposure: float | None
    displacement: tuple[int, int] | None
    second: Draws | None
    square: tuple[int, int, int] | None


@dataclass(frozen=True)
class Uneven(Degradation):
    """base: what damages the picture, or each of two; exposure, displace (pixels) and uneven (side of the square) with their
    probabilities, for a picture of base.size pixels. Exposure and displacement change the truth too."""

    base: FirstOrder
    exposure: Range = (0.7, 1.1)
    exposure_p: float = 0.0
    displace: int = 32
    displace_p: float = 0.2
    square: tuple[int, int] = (128, 256)
    uneven_p: float = 0.1

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.base.size

    def scaled(self, size: int) -> Uneven:
        factor = size / self.size
        low, high = (max(1, round(side * factor)) for side in self.square)
        return replace(self, base=self.base.scaled(size), displace=round(self.displace * factor), square=(low, high))

    def draw(self, rng: np.random.Generator) -> UnevenDraws:
        exposure = rng.uniform(*self.exposure) if rng.random() < self.exposure_p else None
        displacement = None
        if rng.random() < self.displace_p:
            down, along = (int(value) for value in rng.integers(0, 2 * self.displace + 1, 2))
            displacement = down, along
        first = self.base.draw(rng)
        if rng.random() >= self.uneven_p:
            return UnevenDraws(first, exposure, displacement, None, None)
        second = replace(self.base.draw(rng), grey=first.grey)  # one decision for both
        side = int(rng.integers(self.square[0], self.square[1] + 1))
        left, top = (int(value) for value in rng.integers(0, max(1, self.size - side + 1), 2))
        return UnevenDraws(first, exposure, displacement, second, (left, top, side))

    def apply(self, clean: Image, draws: UnevenDraws) -> Image:
        source = self._source(clean, draws)
        damaged = self.base.apply(source, draws.first)
        if draws.second is None or draws.square is None:
            return damaged
        return steps.patch(self.base.apply(source, draws.second), damaged, *draws.square)

    def truth(self, clean: Image, draws: UnevenDraws) -> Image:
        return self.base.truth(self._source(clean, draws), draws.first)

    def _source(self, clean: Image, draws: UnevenDraws) -> Image:
        if draws.exposure is not None:
            clean = steps.expose(clean, draws.exposure)
        return clean if draws.displacement is None else steps.displace(clean, self.displace, *draws.displacement)
