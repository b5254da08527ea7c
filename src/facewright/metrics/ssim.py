"""Structural similarity, of one scale and of several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import InputError
from facewright.metrics.colour import checked_pair, cropped, levels, matched
from facewright.metrics.conventions import Channel, Convention, MsSsimRule, SsimRule, changed
from facewright.metrics.conventions import convention as named
from facewright.metrics.windows import gaussian, windowed

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, finest first (Wang, Simoncelli, Bovik 2003)."""


def ssim(
    restored: Tensor, truth: Tensor, *, convention: str | Convention = "basicsr", channel: Channel | None = None, crop: int | None = None
) -> Tensor:
    """`ssim[rgb, basicsr]` and others: mean structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004).

    BasicSR's: an 11 x 11 Gaussian window, sigma 1.5, where it fits, per channel, then the mean over the channels; MATLAB's numbers.
    restored, truth: N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8. convention: see `conventions.CONVENTIONS`; channel, crop: in
    place of its own. Returns N values in [-1, 1], float64, 1 for equal pictures.
    Raises InputError for different shapes, NaN, and pictures smaller than the window.
    """
    rule: SsimRule = changed(named(convention).ssim, channel=channel, crop=crop)
    a, b = checked_pair(restored, truth)
    weights = _weights(rule)
    least = len(weights) + 2 * rule.crop
    if min(a.shape[-2:]) < least:
        raise InputError("these pictures are too small for SSIM", f"it needs {least} pixels, they have {min(a.shape[-2:])}")
    # one picture at a time: its maps stay in the processor's cache, and memory does not grow with the number of pictures
    return torch.cat([_ssim_of(a[n : n + 1], b[n : n + 1], rule, weights) for n in range(len(a))])


def ms_ssim(restored: Tensor, truth: Tensor, *, convention: str | Convention = "basicsr", channel: Channel | None = None) -> Tensor:
    """`ms_ssim[rgb, basicsr]` and others: contrast and structure at four scales, SSIM at the fifth, joined by `SCALE_WEIGHTS`.

    Arguments as for `ssim`. Raises InputError where the shorter side is below 161 pixels, too: a window must fit into the last scale.
    """
    rule: MsSsimRule = changed(named(convention).ms_ssim, channel=channel)
    a, b = checked_pair(restored, truth)
    scales = len(SCALE_WEIGHTS)
    least = 10 * 2 ** (scales - 1) + 1
    if min(a.shape[-2:]) < least:
        raise InputError("these pictures are too small for MS-SSIM", f"it needs {least} pixels, they have {min(a.shape[-2:])}")
    return torch.cat([_ms_ssim_of(a[n : n + 1], b[n : n + 1], rule) for n in range(len(a))])


def _ssim_of(a: Tensor, b: Tensor, rule: SsimRule, weights: Tensor) -> Tensor:
    if rule.matched:
        a = matched(a.double(), b.double())
    a, b = (levels(cropped(each, rule.crop), rule.channel, whole_luma=rule.whole_levels) for each in (a, b))
    if rule.whole_levels:
        a, b = a.round(), b.round()
    if rule.halved and (factor := max(1, round(min(a.shape[-2:]) / 256))) > 1:
        a, b = F.avg_pool2d(a, factor), F.avg_pool2d(b, factor)
    spread = max(float(each.max() - each.min()) for each in (a, b)) if rule.of_the_pair else 255.0
    whole, _ = _similarity(a, b, weights, rule, spread)
    return whole.flatten(1).mean(1)


def _ms_ssim_of(a: Tensor, b: Tensor, rule: MsSsimRule) -> Tensor:
    a, b = (levels(each, rule.channel, whole_luma=rule.whole_levels) for each in (a, b))
    if rule.whole_levels:
        a, b = a.round(), b.round()
    at_a_scale = SsimRule(border=rule.border, clamped=rule.border == "reflect")
    weights, terms = _weights(at_a_scale), []
    for scale in range(len(SCALE_WEIGHTS)):
        whole, contrast = _similarity(a, b, weights, at_a_scale, 255.0)
        if rule.border == "reflect":  # torchmetrics leaves the border out of this term alone
            contrast = cropped(contrast, len(weights) // 2)
        last = scale == len(SCALE_WEIGHTS) - 1
        terms.append((whole if last else contrast).mean(dim=(1, 2, 3)))
        if not last:
            padding = [side % 2 if rule.odd == "padded" else 0 for side in a.shape[-2:]]
            a, b = (F.avg_pool2d(each, 2, padding=padding) for each in (a, b))
    joined = torch.stack(terms)
    joined = joined.relu() if rule.negative == "relu" else (joined + 1) / 2
    powers = joined.new_tensor(SCALE_WEIGHTS).view(-1, 1)
    return (joined**powers).prod(0) if rule.joined == "product" else (joined * powers / powers.sum()).sum(0)


def _weights(rule: SsimRule) -> Tensor:
    if rule.window == "uniform":
        return torch.full((7,), 1 / 7, dtype=torch.float64)
    return gaussian(rule.sigma, int(3.5 * rule.sigma + 0.5))


def _similarity(a: Tensor, b: Tensor, weights: Tensor, rule: SsimRule, spread: float) -> tuple[Tensor, Tensor]:
    """The map of the similarity and that of its contrast and structure term: N x C x h x w each."""
    c1, c2 = (0.01 * spread) ** 2, (0.03 * spread) ** 2
    mean_a, mean_b = windowed(a, weights, rule.border), windowed(b, weights, rule.border)
    product = mean_a * mean_b
    square_a, square_b = mean_a.square(), mean_b.square()
    squares = square_a + square_b
    covariance = windowed(a * b, weights, rule.border).sub_(product)
    if rule.clamped and rule.border == "reflect":
        variances = (windowed(a * a, weights, rule.border) - square_a).clamp(min=0)
        variances += (windowed(b * b, weights, rule.border) - square_b).clamp(min=0)
    else:
        # only the sum of the two variances is needed: one window less
        variances = windowed(a * a + b * b, weights, rule.border).sub_(squares)
    if rule.unbiased:
        count = len(weights) ** 2
        covariance, variances = (each * (count / (count - 1)) for each in (covariance, variances))
    contrast = (2 * covariance + c2) / (variances + c2)
    if rule.clamped and rule.border == "valid":
        contrast = contrast.relu()
    return (2 * product + c1) / (squares + c1) * contrast, contrast
