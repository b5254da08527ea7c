"""An old print: toned and faded paper, grain or halftone, stains, creases, scratches and dust, and the scan of it.

Ours, not published. What is drawn are strengths and counts; where a scratch runs follows from the draws' seed. Sizes are in parts of the
face's crop, so that a small crop is a small picture of the same print.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from facewright.degrade import steps
from facewright.degrade.aging import creased, dusted, faded, grained, scratched, screened, spotted, stained
from facewright.degrade.pipeline import Degradation, FirstOrder, Range
from facewright.degrade.steps import Image

Paper = Literal["colour", "grey", "sepia", "selenium", "cyanotype"]

PAPERS: dict[Paper, tuple[float, float, float]] = {
    "colour": (1.0, 1.0, 1.0),
    "grey": (1.0, 1.0, 1.0),
    "sepia": (1.42, 1.02, 0.7),
    "selenium": (1.06, 0.95, 1.0),
    "cyanotype": (0.72, 0.98, 1.3),
}
"""Paper to the exponents' reciprocals of R, G, B: the middle tones take the colour, black and white keep theirs."""


@dataclass(frozen=True)
class PrintDraws:
    """What has become of one print. Strengths are 0 to 1; `seed` places what has a place.

    black, white: how far the darkest and the lightest tone have moved to the middle; gamma; yellow: of the paper, most at its rim; cast:
    of a colour print, whose cyan goes first; grain: standard deviation in 255ths, and its size in pixels of a 512 px crop; halftone: pitch
    in such pixels and angle, None for a photograph; stains, foxing, scratches, creases, dust: counts.
    """

    paper: Paper
    black: float
    white: float
    gamma: float
    yellow: float
    cast: float
    grain: float
    grain_size: float
    halftone: tuple[float, float] | None
    stains: int
    foxing: int
    scratches: int
    creases: int
    dust: int
    seed: int


@dataclass(frozen=True)
class OldPhotoDraws:
    print: PrintDraws
    scan: Any


@dataclass(frozen=True)
class OldPhoto(Degradation):
    """papers: weights; the rest ranges of what `PrintDraws` names, counts with their ends included; scan: what a camera and a scanner
    do to it, any first-order degradation (its grey is left out for a print that has a colour of its own).

    The truth of a print without colour is the clean picture's luma: what the paper never held is not asked back.
    """

    scan: FirstOrder = field(default_factory=lambda: FirstOrder(sigma=(0.2, 2.2), scale=(1, 4), noise=(0, 6), quality=(60, 95)))
    papers: dict[Paper, float] = field(
        default_factory=lambda: {"colour": 0.2, "grey": 0.35, "sepia": 0.33, "selenium": 0.07, "cyanotype": 0.05}
    )
    black: Range = (0.0, 0.28)
    white: Range = (0.0, 0.18)
    gamma: Range = (0.8, 1.35)
    yellow: Range = (0.0, 0.6)
    cast: Range = (0.0, 0.6)
    grain: Range = (2, 14)
    grain_size: Range = (0.5, 1.3)
    halftone_p: float = 0.1
    pitch: Range = (3.5, 6)
    stains: tuple[int, int] = (0, 3)
    foxing: tuple[int, int] = (0, 14)
    scratches: tuple[int, int] = (0, 9)
    creases: tuple[int, int] = (0, 2)
    dust: tuple[int, int] = (0, 70)

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.scan.size

    def over(self, scan: FirstOrder) -> OldPhoto:
        """The same print under another first-order degradation."""
        return replace(self, scan=scan)

    def scaled(self, size: int) -> OldPhoto:
        return replace(self, scan=self.scan.scaled(size))

    def draw(self, rng: np.random.Generator) -> OldPhotoDraws:
        weights = np.array(list(self.papers.values()))
        paper = list(self.papers)[int(rng.choice(len(weights), p=weights / weights.sum()))]
        # how hard its life was: most prints have little of everything, some have much
        hardship = float(rng.beta(1.6, 1.8))

        def strength(bounds: Range) -> float:
            return float(bounds[0] + (bounds[1] - bounds[0]) * np.clip(hardship * rng.uniform(0.3, 1.3), 0, 1))

        def count(bounds: tuple[int, int]) -> int:
            return min(bounds[1], bounds[0] + int(rng.poisson(hardship * 0.7 * (bounds[1] - bounds[0]))))

        printed = paper in ("colour", "grey") and rng.random() < self.halftone_p  # newspapers are not toned
        halftone = (rng.uniform(*self.pitch), rng.uniform(0, np.pi / 2)) if printed else None
        drawn = PrintDraws(
            paper=paper,
            black=strength(self.black),
            white=strength(self.white),
            gamma=rng.uniform(*self.gamma),
            yellow=strength(self.yellow),
            cast=strength(self.cast) if paper == "colour" else 0.0,
            grain=rng.uniform(*self.grain),
            grain_size=rng.uniform(*self.grain_size),
            halftone=halftone,
            stains=count(self.stains),
            foxing=count(self.foxing),
            scratches=count(self.scratches),
            creases=count(self.creases),
            dust=count(self.dust),
            seed=int(rng.integers(2**32)),
        )
        scan = self.scan.draw(rng)
        return OldPhotoDraws(drawn, replace(scan, grey=False) if drawn.paper != "grey" else scan)

    def truth(self, clean: Image, draws: OldPhotoDraws) -> Image:
        return clean if draws.print.paper == "colour" else steps.grey(clean)

    def apply(self, clean: Image, draws: OldPhotoDraws) -> Image:
        return self.scan.apply(aged(clean, draws.print), draws.scan)


def aged(clean: Image, draws: PrintDraws) -> Image:
    """The print itself, before it was scanned, in the order in which it came about. H x W x 3 in [0, 1]."""

    def rng(what: str) -> np.random.Generator:
        return np.random.default_rng([draws.seed, *what.encode()])  # a scratch more moves no stain

    unit = min(clean.shape[:2]) / 512
    colourless = draws.paper != "colour"
    image = steps.grey(clean) if colourless else clean
    image = grained(image, draws.grain, draws.grain_size * unit, colourless, rng("grain"))
    if draws.halftone is not None:
        image = screened(image, max(2.5, draws.halftone[0] * unit), draws.halftone[1], colourless)
    image = np.asarray(np.clip(image, 0, 1) ** (1 / np.array(PAPERS[draws.paper], np.float32)), np.float32)
    image = faded(image, draws.black, draws.white, draws.gamma, draws.yellow, draws.cast, rng("fading"))
    image = stained(image, draws.stains, unit, rng("stains"))
    image = spotted(image, draws.foxing, unit, rng("foxing"))
    image = creased(image, draws.creases, unit, rng("creases"))
    image = scratched(image, draws.scratches, unit, rng("scratches"))
    image = dusted(image, draws.dust, unit, rng("dust"))
    return np.asarray(np.clip(image, 0, 1), np.float32)
