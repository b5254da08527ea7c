"""Peak signal-to-noise ratio."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from facewright.metrics.colour import checked_pair, cropped, levels, matched, unit
from facewright.metrics.conventions import Channel, Convention, PsnrRule, changed
from facewright.metrics.conventions import convention as named


def psnr(
    restored: Tensor, truth: Tensor, *, convention: str | Convention = "basicsr", channel: Channel | None = None, crop: int | None = None
) -> Tensor:
    """`psnr[rgb, basicsr]` and others: 10 log10(255^2 / MSE) in dB over all pixels and channels.

    restored, truth: N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8. convention: see `conventions.CONVENTIONS`; channel, crop: in
    place of its own. BasicSR's numbers, to 1e-6, come from pictures as they are stored, in whole levels.
    Returns N values, float64; infinite for equal pictures, unless the convention adds an epsilon (then 80).
    Raises InputError for different shapes, for NaN, and where nothing is left.
    """
    rule: PsnrRule = changed(named(convention).psnr, channel=channel, crop=crop)
    a, b = checked_pair(restored, truth)
    if rule.matched:
        a, b = matched(unit(a).double(), unit(b).double()), unit(b)
    # one picture at a time: it stays in the processor's cache, and memory does not grow with the number of pictures
    errors = [_error(cropped(a[n : n + 1], rule.crop), cropped(b[n : n + 1], rule.crop), rule) for n in range(len(a))]
    return -10 * (torch.stack(errors) + rule.epsilon).log10()


def _error(a: Tensor, b: Tensor, rule: PsnrRule) -> Tensor:
    """Mean squared error in [0, 1]."""
    if rule.channel == "rgb" and a.dtype == b.dtype == torch.uint8:
        if a.device.type == "cpu":  # OpenCV adds up whole numbers, twenty times as fast
            x, y = (np.ascontiguousarray(each.numpy()).reshape(-1, each.shape[-1]) for each in (a, b))
            squares = cv2.norm(x, y, cv2.NORM_L2SQR)
            return torch.tensor(squares / a.numel() / 255**2, dtype=torch.float64)
        # differences and squares of whole levels are exact in single precision
        return (a.short() - b.short()).float().square().mean(dtype=torch.float64) / 255**2
    if rule.channel == "rgb":
        return (unit(a).double() - unit(b).double()).square().mean()
    whole = rule.whole_levels and rule.channel == "y"
    a, b = (levels(each, rule.channel, whole_luma=whole) for each in (a, b))
    return ((a - b) / 255).square().mean()
