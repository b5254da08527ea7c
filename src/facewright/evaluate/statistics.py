"""How sure a mean is, and whether two methods differ: seeded resampling over people, written out.

Pictures of one person are not independent, so people are what is resampled and what is flipped; where nobody is named each picture is
its own person. Infinite numbers (the PSNR of equal pictures) make a mean infinite; a paired test leaves such pairs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 2000
FLIPS = 10_000
LEVEL = 0.95
EXACT = 13
"""Up to so many people all 2^n sign patterns are counted."""


@dataclass(frozen=True)
class Interval:
    """A mean and the percentile bootstrap's interval around it; low and high are nan where fewer than three people are there."""

    mean: float
    low: float
    high: float
    count: int


def interval(values: Values, people: Sequence[str], seed: int, *, geometric: bool = False) -> Interval:
    """The 95 % interval of the mean of `values` (N) over `people` (N names), from RESAMPLES draws of as many people with replacement
    (Efron's percentile bootstrap, clustered). geometric: of the geometric mean."""
    if geometric:
        told = interval(np.log(values), people, seed)
        return Interval(float(np.exp(told.mean)), float(np.exp(told.low)), float(np.exp(told.high)), told.count)
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    sums, counts = _by_person(values, people)
    mean = float(values.mean())
    if len(sums) < 3 or not np.isfinite(values).all():
        return Interval(mean, float("nan"), float("nan"), len(values))
    rng = np.random.default_rng([seed, 1])
    means = []
    for start in range(0, RESAMPLES, 100):  # in parts: the draws of many people are large
        drawn = rng.integers(len(sums), size=(min(100, RESAMPLES - start), len(sums)))
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high), len(values))


def sign_flip(a: Values, b: Values, people: Sequence[str], seed: int) -> float:
    """The two-sided p of the paired sign-flip permutation test of mean(a - b) = 0, the signs flipped person by person.

    All 2^n patterns up to EXACT people, else FLIPS random ones with the observed one counted among them. nan where nothing can be told.
    """
    there = np.isfinite(a) & np.isfinite(b)
    differences, _ = _by_person(a[there] - b[there], [name for name, good in zip(people, there, strict=True) if good])
    if len(differences) < 2:
        return float("nan")
    observed = abs(differences.sum())
    edge = observed * (1 - 1e-12)  # so that a pattern that is the observed one is not lost to rounding
    if len(differences) <= EXACT:
        patterns = 1 - 2 * (np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1)
        return float((np.abs(patterns @ differences) >= edge).mean())
    rng = np.random.default_rng([seed, 2])
    hits = 1
    for start in range(0, FLIPS - 1, 1000):
        signs = 1 - 2 * rng.integers(2, size=(min(1000, FLIPS - 1 - start), len(differences)), dtype=np.int8)
        hits += int((np.abs(signs @ differences) >= edge).sum())
    return hits / FLIPS


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of several p; nan stays nan and is not counted."""
    corrected = [float("nan")] * len(values)
    order = sorted((index for index, value in enumerate(values) if value == value), key=lambda index: values[index])
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def _by_person(values: Values, people: Sequence[str]) -> tuple[Values, Values]:
    """The sum and the count of each person's values."""
    names, place = np.unique(np.asarray(people, dtype=np.str_), return_inverse=True)
    return np.bincount(place, values, len(names)).astype(np.float64), np.bincount(place, minlength=len(names)).astype(np.float64)
