"""Layers that only infer: one sample at a time, constants folded, activations in place, each in the precision it was given.

At batch size one the modulation of a large picture is cheapest in the weights, that of a small picture in the activations; a
convolution behind bilinear enlargement is one transposed convolution. The arithmetic is that of `modulated` and `residual`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.equalized import SLOPE
from facewright.nets.blocks.modulated import ModulatedConv2d, StyleConv, ToRGB
from facewright.nets.blocks.resample import bilinear_down, bilinear_up
from facewright.nets.blocks.residual import CleanResBlock

# Bilinear enlargement by 2 writes a sample to 2i + (-1, 0, 1, 2) with these factors.
SPREAD = (0.25, 0.75, 0.75, 0.25)


class FrozenConv(nn.Module):
    """A convolution with padding k // 2 in its own dtype, with a copy of the weights; leaky ReLU in place where `activate`."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, activate: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.activate, self.groups, self.padding = activate, groups, weight.shape[-1] // 2
        own = weight.detach().to(dtype=dtype, memory_format=torch.channels_last, copy=True)
        self.weight = nn.Parameter(own, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().to(dtype, copy=True), requires_grad=False)

    @classmethod
    def of(cls, conv: nn.Module, dtype: torch.dtype, *, activate: bool = False) -> FrozenConv:
        """Of an nn.Conv2d with stride 1 and "same" padding."""
        return cls(conv.get_parameter("weight"), dict(conv.named_parameters()).get("bias"), dtype, activate=activate)

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x.to(self.weight.dtype), self.weight, self.bias, padding=self.padding, groups=self.groups)
        return F.leaky_relu_(y, SLOPE) if self.activate else y


class FrozenUpConv(nn.Module):
    """Bilinear enlargement, 3 x 3 convolution, leaky ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, merge: bool) -> None:
        super().__init__()
        self.conv = FrozenConv(weight, bias, dtype)
        self.merged = nn.Parameter(merge_upsampling(weight.detach().float()).to(dtype), requires_grad=False) if merge else None

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.conv.weight.dtype)
        y = self.conv(bilinear_up(x)) if self.merged is None else up_conv(x, self.conv.weight, self.merged, self.conv.bias)
        return F.leaky_relu_(y, SLOPE)


class FrozenDown(nn.Module):
    """`CleanResBlock` that halves."""

    def __init__(self, block: CleanResBlock, before: torch.dtype, after: torch.dtype) -> None:
        super().__init__()
        self.conv1 = FrozenConv.of(block.conv1, before, activate=True)
        self.conv2 = FrozenConv.of(block.conv2, after, activate=True)
        self.skip = FrozenConv.of(block.skip, after)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(bilinear_down(self.conv1(x)))
        return y.add_(self.skip(bilinear_down(x)))


class FrozenUp(nn.Module):
    """`CleanResBlock` that doubles."""

    def __init__(self, block: CleanResBlock, before: torch.dtype, after: torch.dtype, *, merge: bool) -> None:
        super().__init__()
        self.conv1 = FrozenConv.of(block.conv1, before, activate=True)
        self.conv2 = FrozenUpConv(block.conv2.weight, block.conv2.bias, after, merge=merge)
        self.skip = FrozenConv.of(block.skip, before)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        return y.add_(bilinear_up(self.skip(x).to(y.dtype)))


class FrozenModulation(nn.Module):
    """`ModulatedConv2d` of one sample without the run-time scale, times `gain`.

    fold: modulate the weights (large pictures), else the activations (small ones). merge: enlarge and convolve at once (with fold).
    """

    def __init__(self, conv: ModulatedConv2d, dtype: torch.dtype, *, gain: float = 1.0, fold: bool, merge: bool = False) -> None:
        super().__init__()
        weight = conv.weight.detach().float()[0] * conv.scale
        self.modulation, self.demodulate, self.eps, self.gain = conv.modulation, conv.demodulate, conv.eps, gain
        self.up, self.fold, self.padding = conv.sampling == "up", fold, conv.padding
        self.dtype = dtype
        self.power = nn.Parameter(weight.square().sum(dim=(2, 3)), requires_grad=False)
        self.weight = nn.Parameter(
            weight.to(torch.float32 if fold else dtype).contiguous(memory_format=torch.channels_last), requires_grad=False
        )
        self.merged = nn.Parameter(merge_upsampling(weight), requires_grad=False) if self.up and merge else None

    def forward(self, x: Tensor, style: Tensor, bias: Tensor | None = None) -> Tensor:
        """x: 1 x in x H x W; style: 1 x S float32; bias: C values, added at the end."""
        s: Tensor = self.modulation(style)
        d = s.new_full((1, self.weight.shape[0]), self.gain)
        if self.demodulate:
            d = d * torch.rsqrt(s.square() @ self.power.T + self.eps)
        x = x.to(self.dtype)
        if self.fold:
            each = (d[0, :, None] * s[0, None, :])[:, :, None, None]
            weight = (self.weight * each).to(self.dtype)
            bias = None if bias is None else bias.to(self.dtype)
            if self.merged is not None:
                return up_conv(x, weight, (self.merged * each.transpose(0, 1)).to(self.dtype), bias)
            return F.conv2d(bilinear_up(x) if self.up else x, weight, bias, padding=self.padding)
        x = x * s.to(self.dtype)[:, :, None, None]
        y = F.conv2d(bilinear_up(x) if self.up else x, self.weight, padding=self.padding)
        y = y.mul_(d.to(self.dtype)[:, :, None, None])
        return y if bias is None else y.add_(bias.to(self.dtype)[None, :, None, None])


class FrozenStyleConv(nn.Module):
    """`StyleConv` of the clean flavour, one sample."""

    def __init__(self, layer: StyleConv, dtype: torch.dtype, *, fold: bool, merge: bool = False) -> None:
        super().__init__()
        self.conv = FrozenModulation(layer.modulated_conv, dtype, gain=math.sqrt(2), fold=fold, merge=merge)
        self.strength = float(layer.weight.detach())
        self.bias = nn.Parameter(layer.bias.detach().float().flatten(), requires_grad=False)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        y: Tensor = self.conv(x, style, self.bias)
        if self.strength:
            y.add_((noise * self.strength).to(y.dtype))
        return F.leaky_relu_(y, SLOPE)


class FrozenToRGB(nn.Module):
    """`ToRGB` of the clean flavour, one sample; pictures stay in float32."""

    def __init__(self, layer: ToRGB, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv = FrozenModulation(layer.modulated_conv, dtype, fold=True)
        self.bias = nn.Parameter(layer.bias.detach().float(), requires_grad=False)

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x, style).float() + self.bias
        return y if skip is None else y.add_(bilinear_up(skip))


def joined_branches(scale: nn.Module, shift: nn.Module, dtype: torch.dtype) -> nn.Sequential:
    """Two branches of convolution, leaky ReLU, convolution with the same input as one: first the channels of scale, then those of shift.

    They share the input of the first convolution, and the second is one of two groups.
    """
    first = [scale.get_submodule("0"), shift.get_submodule("0")]
    second = [scale.get_submodule("2"), shift.get_submodule("2")]

    def joined(convs: list[nn.Module], name: str) -> Tensor:
        return torch.cat([conv.get_parameter(name) for conv in convs])

    return nn.Sequential(
        FrozenConv(joined(first, "weight"), joined(first, "bias"), dtype, activate=True),
        FrozenConv(joined(second, "weight"), joined(second, "bias"), dtype, groups=2),
    )


def merge_upsampling(weight: Tensor) -> Tensor:
    """The weight of the transposed convolution that enlarges bilinearly and convolves: out x in x 3 x 3 to in x out x 6 x 6."""
    along = weight.new_zeros(6, 3)
    for k in range(3):
        along[2 - k : 6 - k, k] = weight.new_tensor(SPREAD)
    return (along @ weight @ along.T).transpose(0, 1).contiguous()


def up_conv(x: Tensor, weight: Tensor, merged: Tensor, bias: Tensor | None) -> Tensor:
    """conv(bilinear_up(x), weight) with `merged` = merge_upsampling(weight), without ever making the enlarged input.

    x: N x C x H x W, H and W at least 2. The transposed convolution takes what lies outside for zeros where the enlargement repeats
    the edge, so the two outermost lines on each side are computed again in the plain way.
    """
    y = F.conv_transpose2d(x, merged, bias, stride=2, padding=2)

    def plain(part: Tensor) -> Tensor:
        return F.conv2d(part, weight, bias, padding=1)

    y[:, :, :2] = plain(bilinear_up(x[:, :, :2])[:, :, :3])[:, :, :2]
    y[:, :, -2:] = plain(bilinear_up(x[:, :, -2:])[:, :, 1:])[:, :, -2:]
    y[:, :, :, :2] = plain(bilinear_up(x[:, :, :, :2])[:, :, :, :3])[:, :, :, :2]
    y[:, :, :, -2:] = plain(bilinear_up(x[:, :, :, -2:])[:, :, :, 1:])[:, :, :, -2:]
    return y
