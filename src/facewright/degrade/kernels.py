"""Blur kernels of the published degradations (BasicSR ``data/degradations.py``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gaussian_kernel(size: int, sigma_x: float, sigma_y: float | None = None, theta: float = 0.0) -> NDArray[np.float64]:
    """A normalised bivariate Gaussian: exp(-g^T S^-1 g / 2), S = R(theta) diag(sigma_x^2, sigma_y^2) R(theta)^T.

    size: odd; sigma_x, sigma_y in pixels (sigma_y None: isotropic); theta in radians. Returns size x size that sums to 1,
    rows are y. A large sigma in a small kernel is cut off, as in the published programs.
    """
    sigma_y = sigma_x if sigma_y is None else sigma_y
    axis = np.arange(size, dtype=np.float64) - size // 2
    x, y = np.meshgrid(axis, axis)
    cos, sin = np.cos(theta), np.sin(theta)
    # q = g^T S^-1 g in the kernel's own axes, so a delta (sigma of 0.1) needs no matrix inverse
    along, across = cos * x + sin * y, -sin * x + cos * y
    kernel = np.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2))
    return np.asarray(kernel / kernel.sum())
