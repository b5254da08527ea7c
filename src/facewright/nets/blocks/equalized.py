"""Layers with equalised learning rate: weights are N(0, 1) and scaled at run time.

Karras et al., "Progressive Growing of GANs", ICLR 2018, section 4.1, arXiv:1710.10196.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2.0)


def fused_leaky_relu(x: Tensor, bias: Tensor, slope: float = SLOPE, gain: float = GAIN) -> Tensor:
    """lrelu(x + bias) * gain; x: N x C x ..., bias: C values along dim 1."""
    return F.leaky_relu(x + bias.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2)), slope) * gain


class FusedLeakyReLU(nn.Module):
    """A bias per channel, leaky ReLU, gain sqrt(2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return fused_leaky_relu(x, self.bias)


class ScaledLeakyReLU(nn.Module):
    """Leaky ReLU with gain sqrt(2)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, SLOPE) * GAIN


class EqualLinear(nn.Module):
    """y = x W^T * lr_mul / sqrt(in) + bias * lr_mul, with lrelu(y) * sqrt(2) behind it if `activate`; x: ... x in."""

    def __init__(
        self, in_channels: int, out_channels: int, *, bias: bool = True, bias_init: float = 0.0, lr_mul: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.lr_mul, self.scale, self.activate = lr_mul, lr_mul / math.sqrt(in_channels), activate
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_channels,), float(bias_init))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, None if self.bias is None else self.bias * self.lr_mul)
        return F.leaky_relu(y, SLOPE) * GAIN if self.activate else y


class EqualConv2d(nn.Module):
    """A convolution with weights times 1 / sqrt(in * k * k)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.scale = stride, padding, 1 / math.sqrt(in_channels * kernel_size**2)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, stride=self.stride, padding=self.padding)
