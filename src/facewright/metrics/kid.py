"""Kernel distance of two sets of pictures, which does not grow where they are few (Binkowski et al., ICLR 2018, arXiv:1801.01401)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.gathered import Gathered


def mmd(first: Tensor, second: Tensor, *, unbiased: bool = True) -> Tensor:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3: features M x D and N x D, float64; a scalar.

    unbiased: a picture is not compared with itself; then it may be a little below 0. Raises InputError for fewer than two rows.
    """
    x, y = first.double(), second.double()
    m, n = len(x), len(y)
    if min(m, n) < 2 or x.shape[1:] != y.shape[1:]:
        raise InputError("cannot compare these features", f"they are {tuple(x.shape)} and {tuple(y.shape)}")
    within_x, within_y, across = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    if unbiased:
        sums = (within_x.sum() - within_x.trace()) / (m * (m - 1)) + (within_y.sum() - within_y.trace()) / (n * (n - 1))
    else:
        sums = within_x.mean() + within_y.mean()
    return sums - 2 * across.mean()


def kid(
    restored: Tensor,
    truth: Tensor,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int | np.random.RandomState = 2020,
    restored_first: bool = True,
) -> tuple[float, float]:
    """`kid[torch-fidelity]`: mean and standard deviation of `mmd` over random subsets of the features M x D and N x D.

    seed 2020, 100 subsets of 1000: torch-fidelity's; it draws the restored of each subset first. clean-fid draws the true ones first, and
    takes smaller subsets where there are fewer pictures. Raises InputError where a set has fewer pictures than a subset.
    """
    for rows, what in ((restored, "restored"), (truth, "true")):
        if len(rows) < subset_size:
            raise InputError(
                f"too few {what} pictures for KID: {len(rows)}", f"a subset has {subset_size}", "add pictures, or ask for smaller subsets"
            )
    random = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        sets = (restored, truth) if restored_first else (truth, restored)
        chosen = [rows[torch.from_numpy(random.choice(len(rows), subset_size, replace=False))] for rows in sets]
        values.append(float(mmd(chosen[0], chosen[1])))
    return float(np.mean(values)), float(np.std(values))


class Kid(Gathered):
    """`kid[torch-fidelity]` of features that come in batches; all are kept, in single precision."""

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 2020) -> None:
        super().__init__()
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def compute(self) -> tuple[float, float]:
        """Mean and standard deviation, see `kid`. Raises InputError for too few pictures."""
        restored, truth = self.features()
        return kid(restored, truth, subsets=self.subsets, subset_size=self.subset_size, seed=self.seed)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
