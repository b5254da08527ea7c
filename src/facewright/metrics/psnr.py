"""Peak signal-to-noise ratio."""

from __future__ import annotations

from torch import Tensor

from facewright.metrics.colour import Channel, paired


def psnr(restored: Tensor, truth: Tensor, *, channel: Channel = "rgb", crop: int = 0) -> Tensor:
    """`psnr[rgb]` or `psnr[y]`: 10 log10(255^2 / MSE) in dB over all pixels and channels; the same to 1e-6 as BasicSR's.

    restored, truth: N x 3 x H x W in [0, 1]. channel "y": studio-range luma of BT.601. crop: pixels left out along each border.
    Returns N values; infinite where the two are equal. Raises InputError where shapes differ.
    """
    x, y = paired(restored, truth, channel, crop)
    return -10 * ((x - y) / 255).square().flatten(1).mean(1).log10()
