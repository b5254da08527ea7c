"""Structural similarity, of one scale and of several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import InputError
from facewright.metrics.colour import checked_pair, cropped, levels, matched, unit
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
        a, b = matched(unit(a).double(), unit(b).double()), unit(b)
    a, b = (levels(cropped(each, rule.crop), rule.channel, whole_luma=rule.whole_levels) for each in (a, b))
    if rule.whole_levels:
        a, b = a.round(), b.round()
    if rule.halved and (factor := max(1, round(min(a.shape[-2:]) / 256))) > 1:
        a, b = F.avg_pool2d(a, factor), F.avg_pool2d(b, factor)
    spread = max(float((each.max() - each.min()).detach()) for each in (a, b)) if rule.of_the_pair else 255.0
    radius = len(weights) // 2 if rule.border == "valid" else 0
    # a channel at a time, for the same reason
    means = [cropped(_similarity(a[:, c], b[:, c], weights, rule, spread)[0], radius).mean() for c in range(a.shape[1])]
    return torch.stack(means).mean(0, keepdim=True)


def _ms_ssim_of(a: Tensor, b: Tensor, rule: MsSsimRule) -> Tensor:
    a, b = (levels(each, rule.channel, whole_luma=rule.whole_levels) for each in (a, b))
    if rule.whole_levels:
        a, b = a.round(), b.round()
    at_a_scale = SsimRule()
    weights, terms = _weights(at_a_scale), []
    radius = len(weights) // 2
    for scale in range(len(SCALE_WEIGHTS)):
        whole, contrast = _similarity(a, b, weights, at_a_scale, 255.0)
        last = scale == len(SCALE_WEIGHTS) - 1
        # of the contrast even torchmetrics, which keeps the border of the rest, leaves it out
        terms.append((whole if last and rule.border == "reflect" else cropped(whole if last else contrast, radius)).mean(dim=(1, 2, 3)))
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
    """The map of the similarity and that of its contrast and structure term, ... x H x W each, the picture continued by reflection.

    With the sum s and the difference d of the two, 4 E[ab] is E[s^2] - E[d^2] and 2 (E[a^2] + E[b^2]) is E[s^2] + E[d^2], so that four
    windows do in place of five, and equal pictures, whose d is 0, have exactly 1.
    """
    c1, c2 = 2 * (0.01 * spread) ** 2, 2 * (0.03 * spread) ** 2
    total, apart = a + b, a - b
    mean_total, mean_apart = windowed(total, weights, "reflect").square(), windowed(apart, weights, "reflect").square()
    spread_total = windowed(total.square(), weights, "reflect") - mean_total
    spread_apart = windowed(apart.square(), weights, "reflect") - mean_apart
    if rule.unbiased:
        count = len(weights) ** 2
        spread_total, spread_apart = (each * (count / (count - 1)) for each in (spread_total, spread_apart))
    contrast = (spread_total - spread_apart + c2) / (spread_total + spread_apart + c2)
    if rule.clamped:
        contrast = contrast.relu()
    return (mean_total - mean_apart + c1) / (mean_total + mean_apart + c1) * contrast, contrast
