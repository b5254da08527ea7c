"""A fixed upright square of aligned crops, resized with antialiasing: what a face embedding looks at."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def chip(crops: Tensor, centre: tuple[float, float], side: float, size: int) -> Tensor:
    """crops: N x 3 x S x S, FFHQ-aligned. Returns N x 3 x size x size in the crops' range, float32.

    centre, side: of the square in pixels of the 512 x 512 crop, centres at integers; they scale with S.
    """
    scale = crops.shape[-1] / 512
    left, top = ((c - side / 2 + 0.5) * scale for c in centre)
    side = side * scale
    # cut whole pixels round the square, then place the sampling exactly: a resize of the cut alone would round the square
    factor = side / size
    if factor > 1:
        crops = _blur(crops, 0.5 * (factor**2 - 1) ** 0.5)
    centres = (torch.arange(size, device=crops.device, dtype=torch.float32) + 0.5) * factor
    x, y = ((centres + start) / crops.shape[-1] * 2 - 1 for start in (left, top))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).expand(len(crops), -1, -1, -1)
    return F.grid_sample(crops.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _blur(x: Tensor, sigma: float) -> Tensor:
    radius = max(1, int(3 * sigma + 0.5))
    axis = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (axis / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).repeat(3, 1, 1, 1).to(x.dtype)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), "reflect"), kernel, groups=3)
    return F.conv2d(F.pad(x, (0, 0, radius, radius), "reflect"), kernel.transpose(2, 3), groups=3)
