"""Blur kernels of the published degradations (BasicSR ``data/degradations.py``, CodeFormer ``gaussian_kernels.py``).

Every kernel is K x K float64, K odd, rows are y, and sums to 1. Which kernel a picture gets is `sampling`.
"""

from __future__ import annotations

import math

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


def skew_kernel(
    size: int, sigma_x: float, sigma_y: float, theta: float, skew: tuple[tuple[float, float], tuple[float, float]], *, centred: bool = True
) -> Kernel:
    """CodeFormer's skewed Gaussian: exp(-q / 2) Phi(g D), Phi the cdf of two independent standard normals, D = `skew`.

    centred: moved by a cubic spline, edges continued, so that its centre of mass is the middle; the move leaves traces of negative
    values, as the published one does.
    """
    axis = np.arange(size, dtype=np.float64) - size // 2
    grid = np.stack(np.meshgrid(axis, axis), axis=-1) @ np.array(skew, dtype=np.float64)
    phi = 0.5 * (1 + _erf(grid / math.sqrt(2)))
    kernel = _normalised(np.exp(-0.5 * _quadratic_form(size, sigma_x, sigma_y, theta)) * phi[..., 0] * phi[..., 1])
    if not centred:
        return kernel
    down, along = float((kernel.sum(axis=1) * axis).sum()), float((kernel.sum(axis=0) * axis).sum())
    return _normalised(_spline_moved(size, down) @ kernel @ _spline_moved(size, along).T)


def motion_kernel(size: int, angle: float, direction: float = 0.0) -> Kernel:
    """A camera that moved along a straight line through the middle. angle: radians, 0 is along x; direction: -1 to 1, at which end of
    the exposure it lingered (0: nowhere)."""
    reach = (size - 1) / 2
    along = np.linspace(-reach, reach, 8 * size + 1)
    points = along[:, None] * np.array([math.cos(angle), math.sin(angle)])
    return _drawn(size, points, 1 + direction * along / reach if reach else np.ones_like(along))


def shake_kernel(size: int, seed: int) -> Kernel:
    """A hand that shook: a path whose speed drifts like a random walk with inertia, its centre of mass in the middle.

    Stands in for the 32 recorded camera shakes that DFDNet and CodeFormer ship (their files are not ours to ship); seed names the path.
    """
    rng = np.random.default_rng([size, seed])
    velocity = np.zeros(2)
    steps = np.empty((32 * size, 2))
    for i in range(len(steps)):
        velocity = 0.98 * velocity + rng.normal(0, 1, 2) + (rng.normal(0, 12, 2) if rng.random() < 0.01 else 0)
        steps[i] = velocity
    path = np.cumsum(steps, axis=0)
    path -= path.mean(axis=0)
    reach = (size - 1) / 2
    return _drawn(size, path * (reach * rng.uniform(0.5, 1) / max(float(np.abs(path).max()), 1e-9)), np.ones(len(path)))


def roughened(kernel: Kernel, factors: Kernel) -> Kernel:
    """Each cell times its factor, divided by the sum (`noise_range` of the published samplers)."""
    return _normalised(kernel * factors)


# What they are made of -------------------------------------------------------------------------------------------------------------------


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


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _spline_moved(size: int, offset: float) -> Kernel:
    """size x size: samples at i + offset of the cubic spline through `size` values whose ends are continued."""
    margin = 12  # a spline coefficient forgets its neighbours by a factor 3.7 a cell
    wide = size + 2 * margin
    through = (4 * np.eye(wide) + np.eye(wide, k=1) + np.eye(wide, k=-1)) / 6
    through[0, 1] = through[-1, -2] = 2 / 6
    coefficients = np.linalg.inv(through)
    continued = np.zeros((wide, size))
    continued[np.arange(wide), np.clip(np.arange(wide) - margin, 0, size - 1)] = 1
    at = np.clip(np.arange(size) + offset + margin, 0, wide - 1)[:, None]
    distance = np.abs(at - np.arange(wide))
    basis = np.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, None) ** 3 / 6)
    return np.asarray(basis @ coefficients @ continued)


def _drawn(size: int, points: NDArray[np.float64], weights: NDArray[np.float64]) -> Kernel:
    """Points (x, y) from the middle, each spread over its four nearest cells."""
    kernel = np.zeros((size + 1, size + 1))
    place = np.clip(points + size // 2, 0, size - 1)
    x, y = np.floor(place).astype(int).T
    fx, fy = (place - np.floor(place)).T
    for dx, dy, part in ((0, 0, (1 - fx) * (1 - fy)), (1, 0, fx * (1 - fy)), (0, 1, (1 - fx) * fy), (1, 1, fx * fy)):
        np.add.at(kernel, (y + dy, x + dx), part * weights)
    return _normalised(kernel[:size, :size])
