"""Deep Image Prior: an untrained network fitted to one damaged picture, stopped before it learns the damage too.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", CVPR 2018, arXiv:1711.10925. Small and honest: five levels of 16 to 64 channels with skips
of 4, a few hundred steps instead of two thousand, noise on the input; it is told the size of the small picture and nothing else of the
damage.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Image = NDArray[np.float32]

STEPS = 400
NOISE, WIDTHS, SKIP = 8, (16, 32, 64, 64, 64), 4
"""Channels of the input, of the levels from fine to coarse, and of each skip."""


def deep_image_prior(small: Image, size: int, *, steps: int = STEPS, seed: int = 0, device: str = "cpu") -> Image:
    """small: h x w x 3 in [0, 1], what is left of the picture; size: S of the picture wanted, a multiple of 32.

    Minimises || shrink(f(z)) - small ||^2 over the weights of f; returns the mean of the last quarter of the pictures, S x S x 3 on 256
    levels. The same seed gives the same picture.
    """
    chance = torch.Generator().manual_seed(seed)
    target = torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None].to(device)
    noise = 0.1 * torch.rand(1, NOISE, size, size, generator=chance)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Hourglass().to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    kept, count = torch.zeros(1, 3, size, size, device=device), 0
    with torch.enable_grad():
        for step in range(steps):
            jitter = torch.randn(noise.shape, generator=chance) / 30
            picture = net((noise + jitter).to(device))
            optimizer.zero_grad()
            loss = F.mse_loss(F.interpolate(picture, target.shape[-2:], mode="area"), target)
            torch.autograd.backward(loss)
            optimizer.step()
            if step >= steps - max(1, steps // 4):
                kept, count = kept + picture.detach(), count + 1
    levels = (kept / count)[0].permute(1, 2, 0).cpu().numpy()
    return np.asarray(np.rint(np.clip(levels, 0, 1) * 255) / 255, np.float32)


class Hourglass(nn.Module):
    """Down by strides, up by bilinear doubling, a thin skip at each level. N x NOISE x S x S to N x 3 x S x S in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (NOISE, *WIDTHS[:-1])
        self.down = nn.ModuleList(nn.Sequential(_layer(i, o, 2), _layer(o, o)) for i, o in zip(inputs, WIDTHS, strict=True))
        self.skip = nn.ModuleList(_layer(i, SKIP, size=1) for i in inputs)
        below = (*WIDTHS[1:], WIDTHS[-1])
        self.up = nn.ModuleList(nn.Sequential(_layer(b + SKIP, o), _layer(o, o, size=1)) for b, o in zip(below, WIDTHS, strict=True))
        self.out = nn.Conv2d(WIDTHS[0], 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down, skip in zip(self.down, self.skip, strict=True):
            skips.append(skip(x))
            x = down(x)
        for up, skipped in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(torch.cat([F.interpolate(x, skipped.shape[-2:], mode="bilinear", align_corners=False), skipped], dim=1))
        return torch.sigmoid(self.out(x))


def _layer(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, padding_mode="reflect")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))
