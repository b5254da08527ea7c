"""Peak signal-to-noise ratio."""

from __future__ import annotations

from torch import Tensor

from facewright.metrics.colour import checked_pair, cropped, levels, matched
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
        a = matched(a.double(), b.double())
    whole = rule.whole_levels and rule.channel == "y"
    a, b = (levels(cropped(each, rule.crop), rule.channel, whole_luma=whole) for each in (a, b))
    error = ((a - b) / 255).square().flatten(1).mean(1) + rule.epsilon
    return -10 * error.log10()
