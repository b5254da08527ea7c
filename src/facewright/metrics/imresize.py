"""MATLAB's imresize with the bicubic kernel, a = -0.5: what NIQE, and super-resolution's small pictures, are made with."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


def imresize(pictures: Tensor, scale: float, *, antialias: bool = True) -> Tensor:
    """pictures: ... x H x W in any range. Returns ... x ceil(H scale) x ceil(W scale), in the same type; not clipped.

    When it reduces with `antialias` the kernel is stretched by 1 / scale. The picture is continued by reflection, the edge repeated.
    """
    height, width = pictures.shape[-2:]
    rows = _weights(height, scale, antialias).to(pictures)
    columns = _weights(width, scale, antialias).to(pictures)
    return rows @ pictures @ columns.T


@lru_cache(maxsize=16)
def _weights(length: int, scale: float, antialias: bool) -> Tensor:
    """ceil(length scale) x length: what each old pixel gives to each new one."""
    stretch = scale if scale < 1 and antialias else 1.0
    reach = 4 / stretch
    count = math.ceil(length * scale)
    centre = (torch.arange(count, dtype=torch.float64) + 0.5) / scale - 0.5
    first = torch.floor(centre - reach / 2)
    place = first[:, None] + torch.arange(math.ceil(reach) + 2, dtype=torch.float64)
    weight = stretch * _cubic(stretch * (centre[:, None] - place))
    weight = weight / weight.sum(1, keepdim=True)
    # fold what lies beyond the edges back: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
    folded = place.long() % (2 * length)
    folded = torch.where(folded < length, folded, 2 * length - 1 - folded)
    return torch.zeros(count, length, dtype=torch.float64).scatter_add_(1, folded, weight)


def _cubic(x: Tensor) -> Tensor:
    """Keys' kernel (1981), 0 beyond 2."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))
