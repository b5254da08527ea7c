"""Residual blocks that halve or double the picture: StyleGAN2's discriminator blocks and the U-Net blocks of GFPGAN."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.equalized import SLOPE, EqualConv2d, FusedLeakyReLU, ScaledLeakyReLU
from facewright.nets.blocks.modulated import Sampling
from facewright.nets.blocks.resample import FIR, bilinear_down, bilinear_up, smooth_before_down


class ConvLayer(nn.Sequential):
    """Resampling, equalised convolution, activation: N x in x H x W to N x out x H x W, or H/2 x W/2 with `down`.

    fir: taps of the filter before the strided convolution, None for bilinear halving before a padded one.
    Positions count: a resampler, if any, is module 0 (it has no parameters but shifts the published names).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        down: bool = False,
        fir: Sequence[float] | None = FIR,
        bias: bool = True,
        activate: bool = True,
    ) -> None:
        layers: list[nn.Module] = []
        stride, padding = 1, kernel_size // 2
        if down:
            if fir is None:
                layers.append(_Halve())
            else:
                layers.append(smooth_before_down(fir, kernel_size))
                stride, padding = 2, 0
        layers.append(EqualConv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias and not activate))
        if activate:
            layers.append(FusedLeakyReLU(out_channels) if bias else ScaledLeakyReLU())
        super().__init__(OrderedDict((str(i), layer) for i, layer in enumerate(layers)))


class ResBlock(nn.Module):
    """Halves the picture; equalised, sum over sqrt(2). N x in x H x W to N x out x H/2 x W/2."""

    def __init__(self, in_channels: int, out_channels: int, fir: Sequence[float] | None = FIR) -> None:
        super().__init__()
        self.conv1 = ConvLayer(in_channels, in_channels, 3)
        self.conv2 = ConvLayer(in_channels, out_channels, 3, down=True, fir=fir)
        self.skip = ConvLayer(in_channels, out_channels, 1, down=True, fir=fir, bias=False, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x)) + self.skip(x)
        return y * math.sqrt(0.5)


class ResUpBlock(nn.Module):
    """Doubles the picture bilinearly; equalised, sum over sqrt(2). N x in x H x W to N x out x 2H x 2W."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(in_channels, in_channels, 3)
        self.conv2 = _ActivatedConv(in_channels, out_channels)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Before the enlargement the 1 x 1 convolution costs a quarter, and they change places freely.
        y: Tensor = self.conv2(bilinear_up(self.conv1(x))) + bilinear_up(self.skip(x))
        return y * math.sqrt(0.5)


class CleanResBlock(nn.Module):
    """The block of the "clean" flavour: plain convolutions, no gain, no division. Halves ("down") or doubles ("up") the picture."""

    def __init__(self, in_channels: int, out_channels: int, sampling: Sampling) -> None:
        super().__init__()
        self.sampling = sampling
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        resampled = bilinear_down if self.sampling == "down" else bilinear_up
        y = F.leaky_relu(self.conv1(x), SLOPE)
        y = F.leaky_relu(self.conv2(resampled(y)), SLOPE)
        # A 1 x 1 convolution and bilinear resampling change places freely: it goes where the picture is smaller.
        skip: Tensor = self.skip(bilinear_down(x)) if self.sampling == "down" else bilinear_up(self.skip(x))
        return y + skip


class _ActivatedConv(nn.Module):
    """Equalised 3 x 3 convolution and activation under the published names `weight`, `activation.bias`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(in_channels * 9)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.activation = FusedLeakyReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(F.conv2d(x, self.weight * self.scale, padding=1))
        return y


class _Halve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return bilinear_down(x)
