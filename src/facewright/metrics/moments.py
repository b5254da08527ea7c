"""Mean and covariance of rows that come in batches: memory for one matrix, however many rows there are."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.errors import InputError


class Moments:
    """Running mean and centred second moment of rows of D numbers, in double precision on the processor.

    Batches are joined by Chan's formula (Chan, Golub, LeVeque 1983), which loses no digits where the mean is far from 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Tensor | None = None
        self._scatter: Tensor | None = None

    def update(self, rows: Tensor) -> None:
        """rows: B x D. Raises InputError for another D than before, and for NaN and infinity."""
        if rows.ndim != 2:
            raise InputError("cannot take these features", f"they are {tuple(rows.shape)}, not pictures x features")
        if not len(rows):
            return
        rows = rows.detach().to("cpu", torch.float64)
        if not bool(rows.isfinite().all()):
            raise InputError("cannot take these features", "they hold values that are not numbers")
        mean = rows.mean(0)
        centred = rows - mean
        self._join(len(rows), mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """Take in what another has seen, for example in another process."""
        if other._mean is not None and other._scatter is not None:
            self._join(other.count, other._mean, other._scatter.clone())

    @property
    def mean(self) -> Tensor:
        """D. Raises InputError where there are no rows."""
        if self._mean is None:
            raise InputError("there is no mean", "no picture was measured")
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """D x D, over n - 1. Raises InputError for fewer than two rows."""
        if self._scatter is None or self.count < 2:
            raise InputError("there is no covariance", f"{self.count} of at least 2 pictures were measured")
        return self._scatter / (self.count - 1)

    def _join(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        if self._mean is None or self._scatter is None:
            self.count, self._mean, self._scatter = count, mean.clone(), scatter
            return
        if mean.shape != self._mean.shape:
            raise InputError("cannot take these features", f"they are {len(mean)} numbers a picture, the others {len(self._mean)}")
        total = self.count + count
        step = mean - self._mean
        self._scatter += scatter
        self._scatter.addr_(step, step, alpha=self.count * count / total)
        self._mean += step * (count / total)
        self.count = total
