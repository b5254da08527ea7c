"""Weighted means over small windows, in double precision: what SSIM and NIQE spend their time on."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Border = Literal["reflect", "replicate"]
_OPENCV = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}


def gaussian(sigma: float, radius: int) -> Tensor:
    """2 * radius + 1 weights that sum to 1, float64."""
    place = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (place / sigma) ** 2)
    return weights / weights.sum()


def windowed(maps: Tensor, weights: Tensor, border: Border) -> Tensor:
    """Means over the square window with the weights w w^T, w of odd length: ... x H x W, float64, to the same.

    border: how the maps go on beyond their edges. On a processor OpenCV does it, a map at a time: ten times as fast as torch's
    convolution in double precision.
    """
    if maps.device.type == "cpu" and not maps.requires_grad:
        return _by_opencv(maps, weights, border)
    radius = len(weights) // 2
    flat = F.pad(maps.reshape(-1, 1, *maps.shape[-2:]), (radius,) * 4, mode=border)
    weights = weights.to(maps)
    return F.conv2d(F.conv2d(flat, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1)).reshape(maps.shape)


def _by_opencv(maps: Tensor, weights: Tensor, border: Border) -> Tensor:
    taps, flat = weights.numpy(), np.ascontiguousarray(maps.numpy()).reshape(-1, *maps.shape[-2:])
    means = np.empty_like(flat)
    for one, mean in zip(flat, means, strict=True):
        cv2.sepFilter2D(one, -1, taps, taps, dst=mean, borderType=_OPENCV[border])
    return torch.from_numpy(means).reshape(maps.shape)
