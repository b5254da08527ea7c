"""Mean and covariance of rows that come in batches: memory for one matrix, however many rows there are."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.errors import InputError

WAITING = 256
"""Rows that are kept until they are worth a product of matrices."""


class Moments:
    """Running mean and centred second moment of rows of D numbers, in double precision on the processor.

    Batches are joined by Chan's formula (Chan, Golub, LeVeque 1983), which loses no digits where the mean is far from 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self._joined = 0
        self._mean: Tensor | None = None
        self._scatter: Tensor | None = None
        self._waiting: list[Tensor] = []

    def update(self, rows: Tensor) -> None:
        """rows: B x D. Raises InputError for another D than before, and for NaN and infinity."""
        if rows.ndim != 2:
            raise InputError("cannot take these features", f"they are {tuple(rows.shape)}, not pictures x features")
        if not len(rows):
            return
        self._same_size(rows.shape[1])
        rows = rows.detach().to("cpu", torch.float64, copy=True)  # it waits, and the caller may go on with the memory
        if not bool(rows.isfinite().all()):
            raise InputError("cannot take these features", "they hold values that are not numbers")
        self._waiting.append(rows)
        self.count += len(rows)
        if self.count - self._joined >= WAITING:
            self._join_waiting()

    def merge(self, other: Moments) -> None:
        """Take in what another has seen, for example in another process. The other stays as it is."""
        other._join_waiting()
        self._join_waiting()
        if other._mean is None or other._scatter is None:
            return
        self._same_size(len(other._mean))
        if self._scatter is None:
            self._scatter = torch.zeros_like(other._scatter)
        self._scatter += other._scatter
        self._join(other._joined, other._mean, torch.zeros(0, len(other._mean), dtype=torch.float64))
        self.count = self._joined

    @property
    def mean(self) -> Tensor:
        """D. Raises InputError where there are no rows."""
        self._join_waiting()
        if self._mean is None:
            raise InputError("there is no mean", "no picture was measured")
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """D x D, over n - 1. Raises InputError for fewer than two rows."""
        self._join_waiting()
        if self._scatter is None or self.count < 2:
            raise InputError("there is no covariance", f"{self.count} of at least 2 pictures were measured")
        return self._scatter / (self.count - 1)

    def _join_waiting(self) -> None:
        if not self._waiting:
            return
        rows = torch.cat(self._waiting)
        self._waiting = []
        mean = rows.mean(0)
        self._join(len(rows), mean, rows - mean)

    def _join(self, count: int, mean: Tensor, centred: Tensor) -> None:
        """Join rows of which the mean and the differences from it are given."""
        total = self._joined + count
        step = mean if self._mean is None else mean - self._mean
        # the distance of the means is one more difference, weighted: one product does for both
        differences = torch.cat([centred, step[None] * (self._joined * count / total) ** 0.5])
        if self._scatter is None:
            self._scatter = differences.T @ differences
        else:
            self._scatter.addmm_(differences.T, differences)
        self._mean = mean.clone() if self._mean is None else self._mean + step * (count / total)
        self._joined = total

    def _same_size(self, size: int) -> None:
        before = len(self._mean) if self._mean is not None else self._waiting[0].shape[1] if self._waiting else size
        if size != before:
            raise InputError("cannot take these features", f"they are {size} numbers a picture, the others {before}")
