"""What NIQE looks at: 36 numbers of each block of a picture, from fits to its normalised luma (Mittal, Soundararajan, Bovik 2013).

The luma minus its local mean, over its local deviation, is nearly Gaussian in photographs; damage shows in how it departs from that.
A generalised Gaussian with two sides is fitted to it and to the products of neighbours in four directions, at two scales.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from facewright.metrics.imresize import imresize
from facewright.metrics.windows import windowed

BLOCK = 96
"""Pixels of a block's side at the first scale, half at the second."""
FEATURES = 36
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def block_features(luma: Tensor, weights: Tensor, *, guarded: bool = False) -> tuple[Tensor, Tensor]:
    """luma: H x W in 0..255, whole levels, cut to whole blocks by the caller. weights: of the window, 7 that sum to 1.

    guarded: pyiqa's arithmetic: double precision, and 1e-8 below the root of the variance.
    Returns B x 36 features, float64, NaN where a block is flat, and B sums of the local deviation at the first scale (its sharpness).
    Blocks go down the columns, as in the published code.
    """
    found, sharpness = [], luma.new_zeros(0)
    for scale in (1, 2):
        side = BLOCK // scale
        normalised, deviation = _normalised(luma, weights, guarded)
        if scale == 1:
            sharpness = _blocks(deviation, side).sum(dim=(1, 2))
        found.append(features_of_blocks(_blocks(normalised, side)))
        if scale == 1:
            luma = imresize(luma / 255, 0.5) * 255 if guarded else _halved(luma)
    return torch.cat(found, dim=1), sharpness


def asymmetric_fit(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two-sided generalised Gaussian nearest to the rows of x (B x K): shape alpha, scales to the left and right, B each.

    By moments (Lasmar, Stitou, Berthoumieu 2009); alpha is one of 0.2, 0.201, ..., 10.
    """
    negative, positive = x.clamp(max=0), x.clamp(min=0)
    squares_left, squares_right = (torch.linalg.vecdot(each, each) for each in (negative, positive))
    left = (squares_left / (x < 0).sum(1)).sqrt()
    right = (squares_right / (x > 0).sum(1)).sqrt()
    ratio = left / right
    count = x.shape[1]
    magnitude = (positive.sum(1) - negative.sum(1)) / count
    kurtosis = magnitude**2 / ((squares_left + squares_right) / count)
    target = kurtosis * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, moments, scales, _ = (each.to(x.device) for each in _grid())
    after = torch.searchsorted(moments, target.nan_to_num(0.0)).clamp(1, len(moments) - 1)
    nearest = after - ((target - moments[after - 1]).abs() <= (moments[after] - target).abs()).long()
    alpha = torch.where(target.isnan(), target, shapes[nearest])
    return alpha, left * scales[nearest], right * scales[nearest]


def features_of_blocks(blocks: Tensor) -> Tensor:
    """B x h x w normalised luma to B x 18: the fit to itself and to its products with four neighbours."""
    alpha, left, right = asymmetric_fit(blocks.flatten(1))
    features = [alpha, (left + right) / 2]
    for shift in NEIGHBOURS:
        # the neighbour beyond the edge of a block is at its other edge, as in the published code
        product = blocks * blocks.roll(shift, dims=(1, 2))
        alpha, left, right = asymmetric_fit(product.flatten(1))
        features += [alpha, (right - left) * _mean_factor(alpha), left, right]
    return torch.stack(features, dim=1)


def _normalised(luma: Tensor, weights: Tensor, guarded: bool) -> tuple[Tensor, Tensor]:
    """(x - mean) / (deviation + 1) over the window, and the deviation: H x W, float64."""
    mean = _single(windowed(luma, weights, "replicate"), guarded)
    squares = _single(windowed(_single(luma * luma, guarded), weights, "replicate"), guarded)
    variance = _single(squares - _single(mean * mean, guarded), guarded).abs()
    deviation = _single((variance + (1e-8 if guarded else 0)).sqrt(), guarded)
    return _single(_single(luma - mean, guarded) / _single(deviation + 1, guarded), guarded), deviation


def _single(x: Tensor, guarded: bool) -> Tensor:
    """Rounded to single precision, in which the published code keeps its maps."""
    return x if guarded else x.float().double()


TAPS = tuple(weight / 256 for weight in (-3, -9, 29, 111, 111, 29, -9, -3))
"""Of `imresize` to a half."""


def _halved(luma: Tensor) -> Tensor:
    """`imresize` to a half in single precision, with the additions in the order in which the reference numbers were made.

    The order belongs to the result: alpha moves in steps, a last bit can move it by one, and that shows in NIQE's fifth digit. The
    published program leaves it to the processor at hand; here it is the same on all of them.
    """
    x = (luma / 255).float()
    p = _taps(x, 0)
    for term in p[1:]:
        p[0] = p[0] + term
    p = _taps(p[0], 1)
    start = (p[0] + p[1]) + p[2]
    even = (((start + p[4]) + (p[3] + p[5])) + p[6]) + p[7]
    odd = (((start + p[3]) + p[4]) + p[6]) + (p[5] + p[7])
    even[:, 1::2] = odd[:, 1::2]
    return (even * 255).double()


def _taps(x: Tensor, axis: int) -> list[Tensor]:
    """The eight terms of each new pixel along `axis`, the picture continued by reflection."""
    length = x.shape[axis]
    x = torch.cat([x.narrow(axis, 0, 3).flip(axis), x, x.narrow(axis, length - 3, 3).flip(axis)], axis)
    cuts = [slice(k, k + length - 1, 2) for k in range(len(TAPS))]
    return [(x[cut] if axis == 0 else x[:, cut]) * weight for cut, weight in zip(cuts, TAPS, strict=True)]


def _blocks(maps: Tensor, side: int) -> Tensor:
    """H x W to B x side x side, down the columns."""
    rows, columns = maps.shape[0] // side, maps.shape[1] // side
    return maps.reshape(rows, side, columns, side).permute(2, 0, 1, 3).reshape(-1, side, side)


@cache
def _grid() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For alpha = 0.2, 0.201, ..., 10: alpha, its ratio of moments (rising), the scale of a deviation of 1, the factor of the mean."""
    alphas = [0.2 + 0.001 * step for step in range(9801)]
    one, two, three = ([math.gamma(k / alpha) for alpha in alphas] for k in (1, 2, 3))
    moments = [b * b / (a * c) for a, b, c in zip(one, two, three, strict=True)]
    scales = [math.sqrt(a / c) for a, c in zip(one, three, strict=True)]
    means = [b / a for a, b in zip(one, two, strict=True)]
    found = [torch.tensor(each, dtype=torch.float64) for each in (alphas, moments, scales, means)]
    return found[0], found[1], found[2], found[3]


def _mean_factor(alpha: Tensor) -> Tensor:
    """Gamma(2 / alpha) / Gamma(1 / alpha) for shapes of the grid."""
    place = ((alpha.nan_to_num(1.0) - 0.2) * 1000).round().long()
    return torch.where(alpha.isnan(), alpha, _grid()[3].to(alpha.device)[place])
