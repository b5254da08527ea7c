"""Structural similarity."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import InputError
from facewright.metrics.colour import Channel, paired


def ssim(restored: Tensor, truth: Tensor, *, channel: Channel = "y", crop: int = 0) -> Tensor:
    """`ssim[y]` or `ssim[rgb]`: structural similarity with an 11 x 11 Gaussian window, sigma 1.5, valid region only (Wang et al. 2004).

    restored, truth: N x 3 x H x W in [0, 1], H and W at least 11 + 2 * crop. channel "y": studio-range luma of ITU-R BT.601 (MATLAB's
    rgb2ycbcr); "rgb": the mean over the channels. crop: pixels left out along each border. Returns N values in [-1, 1].
    Raises InputError where shapes differ or pictures are too small.
    """
    x, y = paired(restored, truth, channel, crop)
    if min(restored.shape[-2:]) < 11 + 2 * crop:
        raise InputError("these pictures are too small for SSIM", f"it needs {11 + 2 * crop} pixels, they have {min(restored.shape[-2:])}")
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    value = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return value.flatten(1).mean(1)


def _window(pictures: Tensor) -> Tensor:
    axis = torch.arange(11, dtype=pictures.dtype, device=pictures.device) - 5
    taps = torch.exp(-(axis**2) / (2 * 1.5**2))
    taps = (taps / taps.sum()).view(1, 1, 1, -1).repeat(pictures.shape[1], 1, 1, 1)
    across = F.conv2d(pictures, taps, groups=pictures.shape[1])
    return F.conv2d(across, taps.transpose(2, 3), groups=pictures.shape[1])
