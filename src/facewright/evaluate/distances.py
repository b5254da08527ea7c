"""Numbers of a set of pictures, from vectors that lie on the disk: distances between distributions, and recognition among many.

Each vector is read once and let go; what stays in memory does not grow with the number of pictures beyond a fixed sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facewright.metrics import Statistics, frechet_distance, lbp
from facewright.metrics.moments import Moments

Vectors = Iterable[tuple[str, NDArray[Any]]]
Reader = Callable[[], Vectors]
"""Names and vectors, afresh at each call."""
Apart = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]
"""Distances of a vector to others, D and M x D: M."""
Spread = tuple[float, float, float]
"""A number and its 95 % interval; nan where none is stated."""

FOLDS = 10
SAMPLE = 2000
"""Vectors held at once: evenly spread over larger sets."""
GALLERY = 1000


@dataclass(frozen=True)
class Whole:
    """value: of the set; or each: a number for each picture by name, whose mean is that of the set."""

    value: Callable[[Reader, Reader], Spread] | None = None
    each: Callable[[Reader, Reader], dict[str, float]] | None = None


def kernel_distance(restored: Reader, truth: Reader) -> Spread:
    """The unbiased squared MMD with the kernel (x.y / d + 1)^3 between two sets (KID: Binkowski et al., ICLR 2018).

    Both sets show the same people in the same order, so the U-statistic of pairs is taken, which leaves out a picture beside its own truth
    (Gretton et al., JMLR 2012, eq. 4): otherwise good restorations come out below zero. The vectors are divided by the truth's root mean
    square first: an embedding of length 1 would see little but the difference of the means. Of more than SAMPLE pictures evenly spread ones
    are taken. Interval: jackknife over FOLDS parts.
    """
    x, y = sampled(restored), sampled(truth)
    scale = np.sqrt(np.square(y).mean())
    x, y = x / scale, y / scale
    terms = _kernel(x, x) + _kernel(y, y) - _kernel(x, y) - _kernel(y, x)
    np.fill_diagonal(terms, 0)
    parts = np.arange(len(x)) % FOLDS

    def mean(chosen: NDArray[np.bool_]) -> float:
        count = int(chosen.sum())
        return float(terms[np.ix_(chosen, chosen)].sum() / (count * (count - 1)))

    return _jackknife(mean(parts >= 0), [mean(parts != fold) for fold in range(FOLDS)])


def gaussian_distance(restored: Reader, truth: Reader) -> Spread:
    """The Fréchet distance of two Gaussians fitted to the sets (Heusel et al., NeurIPS 2017). Interval: jackknife over FOLDS parts."""
    x, y = _moments(restored), _moments(truth)
    without = [frechet_distance(_joined(x, fold), _joined(y, fold)) for fold in range(FOLDS)]
    return _jackknife(frechet_distance(_joined(x), _joined(y)), without)


def recognised(apart: Apart, restored: Reader, truth: Reader) -> dict[str, float]:
    """1 for each picture that lies nearer to its own true picture than to any other, else 0. apart: how far vectors are from each other.

    The others are at most GALLERY true pictures, evenly spread.
    """
    names = [name for name, _ in truth()]
    kept = _spread(len(names), GALLERY)
    gallery = {name: vector for index, (name, vector) in enumerate(truth()) if index in kept}
    held, stacked = list(gallery), np.stack(list(gallery.values()))
    found = {}
    for (name, probe), (own_name, own) in zip(restored(), truth(), strict=True):
        assert name == own_name, "both are read in the order of the names"
        mine = float(apart(probe, own[None])[0])
        others = apart(probe, stacked)
        if name in gallery:
            others[held.index(name)] = np.inf
        found[name] = float(mine <= others.min())
    return found


def patterns_apart(one: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Chi-square of local binary patterns, D and M x D, as counts of a cell's 256 places: M."""
    return np.asarray(lbp.chi_square(one[None] / np.float32(256), others / np.float32(256))[0])


def embeddings_apart(one: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Euclidean distances of D to M x D: M."""
    return np.asarray(np.linalg.norm(one[None].astype(np.float64) - others, axis=1))


def sampled(reader: Reader, most: int = SAMPLE) -> NDArray[np.float64]:
    """At most so many vectors, evenly spread: M x D."""
    kept = _spread(sum(1 for _ in reader()), most)
    return np.stack([vector.astype(np.float64) for index, (_, vector) in enumerate(reader()) if index in kept])


def moments_of(reader: Reader) -> Statistics:
    """Mean and covariance of all vectors, two matrices in memory however many they are."""
    return _joined(_moments(reader, 1))


def _spread(count: int, most: int) -> set[int]:
    return set(range(count)) if count <= most else {round(index * count / most) for index in range(most)}


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)


def _moments(reader: Reader, folds: int = FOLDS) -> list[Moments]:
    """Of each of so many parts."""
    parts = [Moments() for _ in range(folds)]
    waiting: list[list[NDArray[Any]]] = [[] for _ in parts]
    for index, (_, vector) in enumerate(reader()):
        rows = waiting[index % folds]
        rows.append(vector)
        if len(rows) == 64:
            parts[index % folds].update(torch.from_numpy(np.stack(rows)))
            rows.clear()
    for part, rows in zip(parts, waiting, strict=True):
        if rows:
            part.update(torch.from_numpy(np.stack(rows)))
    return parts


def _joined(parts: list[Moments], without: int | None = None) -> Statistics:
    whole = Moments()
    for index, part in enumerate(parts):
        if index != without:
            whole.merge(part)
    return Statistics(whole.mean, whole.covariance, whole.count)


def _jackknife(value: float, without: list[float]) -> Spread:
    """The interval of two standard errors from the values without one part each."""
    parts = np.array(without)
    error = float(np.sqrt((len(parts) - 1) / len(parts) * np.square(parts - parts.mean()).sum()))
    return value, value - 1.96 * error, value + 1.96 * error
