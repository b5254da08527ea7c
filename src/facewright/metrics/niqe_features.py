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
    luma = luma.double() if guarded else luma.float()
    found, sharpness = [], luma.new_zeros(0)
    for scale in (1, 2):
        side = BLOCK // scale
        normalised, deviation = _normalised(luma, weights, 1e-8 if guarded else 0.0)
        found.append(features_of_blocks(_blocks(normalised.double(), side)))
        if scale == 1:
            sharpness = _blocks(deviation.double(), side).sum(dim=(1, 2))
            luma = imresize(luma / 255, 0.5) * 255 if guarded else _halved(luma)
    return torch.cat(found, dim=1), sharpness


def features_of_blocks(blocks: Tensor) -> Tensor:
    """B x h x w normalised luma to B x 18: the fit to itself and to its products with four neighbours."""
    # the neighbour beyond the edge of a block is at its other edge, as in the published code
    products = (blocks * blocks.roll(shift, dims=(1, 2)) for shift in NEIGHBOURS)
    sums = [_sums(each.flatten(1)) for each in (blocks, *products)]
    alpha, left, right = _nearest(torch.stack(sums, dim=1))
    middle = (right - left) * _mean_factor(alpha)
    of_products = torch.stack([alpha, middle, left, right], dim=2)[:, 1:]
    return torch.cat([alpha[:, :1], (left + right)[:, :1] / 2, of_products.flatten(1)], dim=1)


def asymmetric_fit(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two-sided generalised Gaussian nearest to the rows of x (B x K): shape alpha, scales to the left and right, B each.

    By moments (Lasmar, Stitou, Berthoumieu 2009); alpha is one of 0.2, 0.201, ..., 10. NaN where one side is empty.
    """
    return _nearest(_sums(x))


def _sums(x: Tensor) -> Tensor:
    """Of the rows of x (B x K), B x 4: mean square of the negative, of the positive; mean magnitude and mean square of all."""
    size, sign = x.abs(), x.sign()
    squares, signed, there = (torch.linalg.vecdot(a, b) for a, b in ((x, x), (x, size), (sign, sign)))
    # of signs and squares: those of the right minus those of the left, and all together
    balance = sign.sum(1)
    sides = [((squares + way * signed) / 2).clamp(min=0) / ((there + way * balance) / 2) for way in (-1, 1)]
    left, right = (torch.where((there + way * balance) > 0, mean, torch.nan) for way, mean in zip((-1, 1), sides, strict=True))
    return torch.stack([left, right, size.mean(1), squares / x.shape[1]], dim=-1)


def _nearest(sums: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From `_sums` (... x 4) to the fit, ... each."""
    left, right = sums[..., 0].sqrt(), sums[..., 1].sqrt()
    ratio = left / right
    target = sums[..., 2] ** 2 / sums[..., 3] * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, moments, scales, _ = (each.to(sums.device) for each in _grid())
    after = torch.searchsorted(moments, target.nan_to_num(0.0)).clamp(1, len(moments) - 1)
    nearest = after - ((target - moments[after - 1]).abs() <= (moments[after] - target).abs()).long()
    alpha = torch.where(target.isnan(), target, shapes[nearest])
    return alpha, left * scales[nearest], right * scales[nearest]


def _normalised(luma: Tensor, weights: Tensor, guard: float) -> tuple[Tensor, Tensor]:
    """(x - mean) / (deviation + 1) over the window, and the deviation: H x W in the type of the luma.

    The published code keeps its maps in single precision and adds up windows in double, and its features notice.
    """
    mean, squares = (windowed(each.double(), weights, "replicate").to(luma.dtype) for each in (luma, luma * luma))
    deviation = ((squares - mean * mean).abs() + guard).sqrt()
    return (luma - mean) / (deviation + 1), deviation


TAPS = tuple(weight / 256 for weight in (-3, -9, 29, 111, 111, 29, -9, -3))
"""Of `imresize` to a half."""


def _halved(luma: Tensor) -> Tensor:
    """`imresize` to a half in single precision, with the additions in the order in which the reference numbers were made.

    The order belongs to the result: alpha moves in steps, a last bit can move it by one, and that shows in NIQE's fifth digit. The
    published program leaves it to the processor at hand; here it is the same on all of them.
    """
    p = _taps(luma / 255, 0)
    for term in p[1:]:
        p[0] = p[0] + term
    p = _taps(p[0], 1)
    start = (p[0] + p[1]) + p[2]
    even = (((start + p[4]) + (p[3] + p[5])) + p[6]) + p[7]
    odd = (((start + p[3]) + p[4]) + p[6]) + (p[5] + p[7])
    even[:, 1::2] = odd[:, 1::2]
    return even * 255


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
