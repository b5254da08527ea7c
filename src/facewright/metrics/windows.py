"""Weighted means over small windows, in double precision: what SSIM and NIQE spend their time on."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Border = Literal["valid", "reflect", "replicate"]
_OPENCV = {"valid": cv2.BORDER_REFLECT_101, "reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}


def gaussian(sigma: float, radius: int) -> Tensor:
    """2 * radius + 1 weights that sum to 1, float64."""
    place = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (place / sigma) ** 2)
    return weights / weights.sum()


def windowed(maps: Tensor, weights: Tensor, border: Border) -> Tensor:
    """Means over the square window with the weights w w^T, w of odd length n: maps ... x H x W, float64.

    border "valid": places where the window fits, ... x (H - n + 1) x (W - n + 1); "reflect", "replicate": all, the maps continued so.
    On a processor OpenCV does it, a map at a time: two to six times faster than torch's convolution in double precision.
    """
    if maps.device.type == "cpu" and not maps.requires_grad:
        return _by_opencv(maps, weights, border)
    radius = len(weights) // 2
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    if border != "valid":
        flat = F.pad(flat, (radius,) * 4, mode=border)
    weights = weights.to(maps)
    flat = F.conv2d(F.conv2d(flat, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
    return flat.reshape(*maps.shape[:-2], *flat.shape[-2:])


def _by_opencv(maps: Tensor, weights: Tensor, border: Border) -> Tensor:
    radius, taps = len(weights) // 2, weights.numpy()
    flat = np.ascontiguousarray(maps.numpy()).reshape(-1, *maps.shape[-2:])
    cut = slice(radius, -radius or None) if border == "valid" else slice(None)
    means = [cv2.sepFilter2D(one, -1, taps, taps, borderType=_OPENCV[border])[cut, cut] for one in flat]
    stacked = torch.from_numpy(np.stack(means))
    return stacked.reshape(*maps.shape[:-2], *stacked.shape[-2:])
