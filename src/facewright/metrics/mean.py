"""The mean of a number over a set of pictures, gathered as they come."""

from __future__ import annotations

import math

from torch import Tensor

from facewright.errors import InputError


class Mean:
    """Mean and standard deviation of values that come in batches. `count`: how many there were.

    above: values below it are left out and counted in `left_out` (the rule of the identity angle: 1 degree, see `mean_angle`).
    Infinite values (PSNR of equal pictures) make the mean infinite; NaN is refused.
    """

    def __init__(self, above: float = -math.inf) -> None:
        self.above, self.count, self.left_out = above, 0, 0
        self._sum = self._squares = 0.0

    def update(self, values: Tensor) -> None:
        """Raises InputError for NaN."""
        values = values.detach().double().flatten()
        if bool(values.isnan().any()):
            raise InputError("there is no mean", "one of the values is not a number")
        kept = values[values >= self.above]
        self.left_out += len(values) - len(kept)
        if not len(kept):
            return
        batch_mean = float(kept.mean())
        squares = float((kept - batch_mean).square().sum())
        self._join(len(kept), batch_mean, squares)

    def merge(self, other: Mean) -> None:
        """Take in what another process has seen."""
        self.left_out += other.left_out
        if other.count:
            self._join(other.count, other._sum / other.count, other._squares)

    def compute(self) -> float:
        """Raises InputError where there is no value."""
        if not self.count:
            raise InputError("there is no mean", "no picture was measured")
        return self._sum / self.count

    @property
    def deviation(self) -> float:
        """Over n - 1; 0 for a single value, NaN where one is infinite."""
        return math.sqrt(self._squares / (self.count - 1)) if self.count > 1 else 0.0

    def _join(self, count: int, mean: float, squares: float) -> None:
        if self.count:
            step = mean - self._sum / self.count
            self._squares += squares + step * step * self.count * count / (self.count + count)
        else:
            self._squares = squares
        self._sum += mean * count
        self.count += count
