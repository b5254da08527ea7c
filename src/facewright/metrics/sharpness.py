"""How sharp a face is."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def sharpness(pictures: Tensor, *, without_noise: bool = False) -> Tensor:
    """`sharpness[laplacian]`: variance of the Laplacian of the luma. N x 3 x H x W in [0, 1]; returns N values, at least 1e-7.

    without_noise: less what white noise alone would give, its level estimated from the mask of second differences that is blind to
    straight edges (Immerkaer, "Fast noise variance estimation", 1996).
    """
    luma = (pictures * pictures.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    laplacian = luma.new_tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    value = F.conv2d(luma, laplacian).flatten(1).var(1)
    if without_noise:
        blind = luma.new_tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]).view(1, 1, 3, 3)
        sigma = math.sqrt(math.pi / 2) / 6 * F.conv2d(luma, blind).abs().flatten(1).mean(1)
        # the Laplacian's weights 1, 1, 1, 1, -4 multiply the variance of white noise by 20
        value = value - 20 * sigma**2
    return torch.clamp(value, min=1e-7)
