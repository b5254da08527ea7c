"""Blur kernels of the published degradations (BasicSR ``data/degradations.py``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.float64]


def gaussian_kernel(size: int, sigma_x: float, sigma_y: float | None = None, theta: float = 0.0) -> Kernel:
    """A normalised bivariate Gaussian: exp(-q / 2), q = g^T S^-1 g, S = R(theta) diag(sigma_x^2, sigma_y^2) R(theta)^T.

    size: odd; sigma_x, sigma_y in pixels (sigma_y None: isotropic); theta in radians. Returns size x size that sums to 1,
    rows are y. A large sigma in a small kernel is cut off, as in the published programs.
    """
    return _normalised(np.exp(-0.5 * _quadratic_form(size, sigma_x, sigma_y, theta)))


def generalized_kernel(size: int, sigma_x: float, sigma_y: float | None = None, theta: float = 0.0, *, beta: float) -> Kernel:
    """exp(-q^beta / 2): beta under 1 has a peak and long tails, over 1 a flatter top. The rest as `gaussian_kernel`."""
    return _normalised(np.exp(-0.5 * _quadratic_form(size, sigma_x, sigma_y, theta) ** beta))


def plateau_kernel(size: int, sigma_x: float, sigma_y: float | None = None, theta: float = 0.0, *, beta: float) -> Kernel:
    """1 / (1 + q^beta). The rest as `gaussian_kernel`."""
    return _normalised(1 / (1 + _quadratic_form(size, sigma_x, sigma_y, theta) ** beta))


def sinc_kernel(size: int, cutoff: float, padded: int | None = None) -> Kernel:
    """The ideal circular low-pass: w J1(w r) / (2 pi r), which rings. cutoff: w in radians a pixel, up to pi.

    size: odd; padded: zeros round it up to this size. Sums to 1, may be negative.
    """
    axis = np.arange(size, dtype=np.float64) - size // 2
    r = np.hypot(*np.meshgrid(axis, axis))
    r[size // 2, size // 2] = 1  # any number: its value is the limit below
    kernel = cutoff * _bessel_j1(cutoff * r) / (2 * np.pi * r)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return np.pad(_normalised(kernel), ((padded or size) - size) // 2)


def _quadratic_form(size: int, sigma_x: float, sigma_y: float | None, theta: float) -> Kernel:
    sigma_y = sigma_x if sigma_y is None else sigma_y
    axis = np.arange(size, dtype=np.float64) - size // 2
    x, y = np.meshgrid(axis, axis)
    cos, sin = np.cos(theta), np.sin(theta)
    # in the kernel's own axes, so that a delta (sigma of 0.1) needs no matrix inverse
    along, across = cos * x + sin * y, -sin * x + cos * y
    return np.asarray((along / sigma_x) ** 2 + (across / sigma_y) ** 2)


def _normalised(kernel: Kernel) -> Kernel:
    return np.asarray(kernel / kernel.sum())


def _bessel_j1(x: Kernel) -> Kernel:
    """J1(x) = mean over t in [0, pi] of cos(t - x sin t); the midpoint rule on a periodic function is exact with more points than x."""
    count = 64 + 2 * int(x.max())
    t = (np.arange(count) + 0.5) * np.pi / count
    return np.asarray(np.cos(t - x[..., None] * np.sin(t)).mean(axis=-1))
