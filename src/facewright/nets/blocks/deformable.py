"""Modulated deformable convolution: each tap of the kernel looks where it is told to, and weighs what it finds.

Zhu, Hu, Lin, Dai, "Deformable ConvNets v2", CVPR 2019, arXiv:1811.11168.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableConv(nn.Module):
    """A k x k convolution with "same" padding; offsets and weights of its taps come from a guide, the same for the channels of a group."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        bound = 1 / math.sqrt(inputs * kernel_size**2)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel_size, kernel_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.conv_offset = nn.Conv2d(inputs, groups * 3 * kernel_size**2, kernel_size, padding=kernel_size // 2)
        # at first a plain convolution of half the weight
        for parameter in self.conv_offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """x: N x in x H x W; guide: N x in x H x W. Returns N x out x H x W."""
        down, along, weight = self.conv_offset(guide).chunk(3, dim=1)
        return deformable_conv(x, torch.cat([down, along], dim=1), weight.sigmoid(), self.weight, self.bias, groups=self.groups)


def deformable_conv(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None, *, groups: int = 1) -> Tensor:
    """x: N x C x H x W, bilinear between its pixels and 0 outside. weight: out x C x k x k, stride 1, padding k // 2.

    offset: N x (2 groups k^2) x H x W, for each group and tap a pair (down, along) in pixels; mask: N x (groups k^2) x H x W. The layout is
    torchvision's.
    """
    n, c, height, width = x.shape
    k = weight.shape[-1]
    offset = offset.float().view(n, groups, k * k, 2, height, width)
    mask = mask.view(n, groups, k * k, 1, height, width)
    rows = torch.arange(height, device=x.device, dtype=torch.float32)[:, None]
    columns = torch.arange(width, device=x.device, dtype=torch.float32)
    # half precision would round the places to whole pixels and more
    grouped, result = x.float().reshape(n * groups, c // groups, height, width), None
    for tap in range(k * k):  # tap by tap: all at once would hold k^2 copies of x
        down = rows + tap // k - k // 2 + offset[:, :, tap, 0]
        along = columns + tap % k - k // 2 + offset[:, :, tap, 1]
        # grid_sample counts from edge to edge, -1 to 1
        places = torch.stack([(2 * along + 1) / width - 1, (2 * down + 1) / height - 1], dim=-1).flatten(0, 1)
        found = F.grid_sample(grouped, places, mode="bilinear", padding_mode="zeros", align_corners=False).to(x.dtype)
        found = (found.view(n, groups, -1, height, width) * mask[:, :, tap]).reshape(n, c, height, width)
        part = F.conv2d(found, weight[:, :, tap // k, tap % k, None, None])
        result = part if result is None else result + part
    assert result is not None
    return result if bias is None else result + bias[:, None, None]
