"""How well a judge tells people apart: distances of two photographs of one person against those of different people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import InputError

Distances = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """same, different: sorted distances of pairs. They lie closer together the same."""

    same: Distances
    different: Distances

    @property
    def auc(self) -> float:
        """Area under the receiver's operating curve: the chance that a same pair lies closer than a different one; ties are a half."""
        below = np.searchsorted(self.different, self.same, "left")
        equal = np.searchsorted(self.different, self.same, "right") - below
        return float(1 - (below + equal / 2).mean() / len(self.different))

    @property
    def equal_error(self) -> tuple[float, float]:
        """(error, threshold) where as many same pairs are refused as different ones are taken, or the nearest to it."""
        thresholds = np.concatenate([self.same, self.different])
        apart = [abs(self.refused(each) - self.taken(each)) for each in thresholds]
        best = float(thresholds[int(np.argmin(apart))])
        return (self.refused(best) + self.taken(best)) / 2, best

    @property
    def overlap(self) -> float:
        """The part of all pairs that lie between the closest different pair and the furthest same pair; 0 where a threshold parts them."""
        low, high = self.different[0], self.same[-1]
        both = np.concatenate([self.same, self.different])
        return float(((both >= low) & (both <= high)).mean()) if low <= high else 0.0

    def refused(self, threshold: float) -> float:
        """Same pairs that lie further apart than the threshold, as a part of all same pairs."""
        return float((self.same > threshold).mean())

    def taken(self, threshold: float) -> float:
        """Different pairs that lie within the threshold, as a part of all different pairs."""
        return float((self.different <= threshold).mean())

    def roc(self, rates: Sequence[float] = (0.001, 0.01, 0.05, 0.1)) -> list[tuple[float, float]]:
        """(false acceptances at most, true acceptances then)."""
        limits = [
            self.different[max(0, int(rate * len(self.different)) - 1)] if rate * len(self.different) >= 1 else -1.0 for rate in rates
        ]
        return [(rate, 1 - self.refused(float(limit))) for rate, limit in zip(rates, limits, strict=True)]


def separation(embeddings: NDArray[np.float32], people: Sequence[str]) -> Separation:
    """embeddings: N x D; people: N names. Raises InputError where nobody is there twice."""
    return separated(all_distances(embeddings), people)


def separated(distances: Distances, people: Sequence[str]) -> Separation:
    """distances: N x N, of each to each; people: N names. Raises InputError where nobody is there twice."""
    one, other = np.triu_indices(len(distances), 1)
    names = np.asarray(people, dtype=np.str_)
    alike = names[one] == names[other]
    if not alike.any() or alike.all():
        raise InputError("cannot measure how people are told apart", "it takes two pictures of a person, and two people")
    found = distances[one, other]
    return Separation(np.sort(found[alike]), np.sort(found[~alike]))


def all_distances(embeddings: NDArray[np.float32], others: NDArray[np.float32] | None = None) -> Distances:
    """Euclidean distances of N x D to M x D, or to themselves: N x M."""
    x = embeddings.astype(np.float64)
    y = x if others is None else others.astype(np.float64)
    return np.asarray(np.sqrt(np.maximum(np.square(x).sum(1)[:, None] + np.square(y).sum(1)[None] - 2 * x @ y.T, 0)))


def embedded(pictures: NDArray[np.uint8], embed: Callable[[Tensor], Tensor], batch: int = 16) -> NDArray[np.float32]:
    """pictures: N x S x S x 3 aligned crops. embed: N x 3 x S x S in [-1, 1] to N x D. Returns N x D."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), batch):
            crops = torch.from_numpy(pictures[start : start + batch]).permute(0, 3, 1, 2).float() / 127.5 - 1
            parts.append(embed(crops).cpu().numpy())
    return np.concatenate(parts)
