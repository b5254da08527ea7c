"""ParseNet: which part of the face each pixel of an aligned crop belongs to.

Chen, Li, Yang, Lin, Zhang, Wong, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration" (PSFRGAN), CVPR 2021,
arXiv:2009.08709; the parser is described in its supplement. Module names are facexlib's, whose file loads unchanged (in_size 512,
out_size 512). Trained on CelebAMask-HQ, which is for non-commercial research; the file is under CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import UsageError

Norm = Literal["bn", "in", "gn", "pixel", "none"]
Scale = Literal["none", "down", "up"]

CLASSES = (
    *("background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow", "left ear", "right ear"),
    *("mouth", "upper lip", "lower lip", "hair", "hat", "earring", "necklace", "neck", "cloth"),
)
"""What the channels of the published file's map mean ("order A"); left and right as CelebAMask-HQ has them."""


class ParseNet(nn.Module):
    """Encoder, residual body, decoder; a map and, beside it, a picture (its training also reconstructed the input).

    in_size, out_size, min_feat_size: only their ratios count: log2(in_size / min_feat_size) halvings, log2(out_size / min_feat_size)
    doublings. base_ch: channels before the first halving, doubled at each and kept within ch_range. parsing_ch: classes. res_depth: blocks
    of the body. relu_type: "LeakyReLU" (slope 0.2), "relu", "prelu", "selu" or "none"; norm_type: "bn", "in", "gn" (32 groups), "pixel"
    (each pixel's channels to length 1) or "none".
    """

    def __init__(
        self,
        in_size: int = 128,
        out_size: int = 128,
        min_feat_size: int = 32,
        base_ch: int = 64,
        parsing_ch: int = 19,
        res_depth: int = 10,
        relu_type: str = "LeakyReLU",
        norm_type: Norm = "bn",
        ch_range: tuple[int, int] = (32, 256),
    ) -> None:
        super().__init__()
        least, most = ch_range
        halvings = int(math.log2(in_size // min_feat_size))
        doublings = int(math.log2(out_size // min_feat_size))

        def width(level: int) -> int:
            return min(max(int(base_ch * 2.0**level), least), most)

        down = [width(level) for level in range(halvings + 1)]
        up = [width(halvings - level) for level in range(doublings + 1)]

        def block(inputs: int, outputs: int, scale: Scale = "none") -> ResidualBlock:
            return ResidualBlock(inputs, outputs, scale, norm_type, relu_type)

        self.encoder = nn.Sequential(ConvLayer(3, base_ch), *(block(inputs, outputs, "down") for inputs, outputs in pairwise(down)))
        self.body = nn.Sequential(*(block(down[-1], down[-1]) for _ in range(res_depth)))
        self.decoder = nn.Sequential(*(block(inputs, outputs, "up") for inputs, outputs in pairwise(up)))
        self.out_img_conv = ConvLayer(up[-1], 3)
        self.out_mask_conv = ConvLayer(up[-1], parsing_ch)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: N x 3 x H x W RGB in [-1, 1], sides divisible by in_size / min_feat_size. Returns class scores N x parsing_ch x H' x W' and a
        picture N x 3 x H' x W'; H' = H out_size / in_size."""
        features = self.encoder(x)
        features = self.decoder(features + self.body(features))
        return self.out_mask_conv(features), self.out_img_conv(features)


class ConvLayer(nn.Module):
    """[nearest doubling,] 3 x 3 convolution with mirrored borders [of stride 2], norm, activation."""

    def __init__(
        self, in_channels: int, out_channels: int, scale: Scale = "none", norm_type: Norm = "none", relu_type: str = "none"
    ) -> None:
        super().__init__()
        self.scale = scale
        self.conv2d = nn.Conv2d(in_channels, out_channels, 3, 2 if scale == "down" else 1, bias=norm_type != "bn")
        self.norm = NormLayer(out_channels, norm_type)
        self.relu = ReluLayer(out_channels, relu_type)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale == "up":
            x = F.interpolate(x, scale_factor=2)
        y: Tensor = self.relu(self.norm(self.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"))))
        return y


class ResidualBlock(nn.Module):
    """Two convolutions and a skip, no activation after the sum; "up" doubles before the first, "down" halves in the second."""

    def __init__(self, in_channels: int, out_channels: int, scale: Scale, norm_type: Norm, relu_type: str) -> None:
        super().__init__()
        same = scale == "none" and in_channels == out_channels
        self.shortcut_func = nn.Identity() if same else ConvLayer(in_channels, out_channels, scale)
        self.conv1 = ConvLayer(in_channels, out_channels, "up" if scale == "up" else "none", norm_type, relu_type)
        self.conv2 = ConvLayer(out_channels, out_channels, "down" if scale == "down" else "none", norm_type)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x)) + self.shortcut_func(x)
        return y


class NormLayer(nn.Module):
    """The published wrapper, for its name `norm.norm`."""

    def __init__(self, channels: int, kind: Norm) -> None:
        super().__init__()
        self.kind = kind
        if kind == "bn":
            self.norm: nn.Module = nn.BatchNorm2d(channels)
        elif kind == "in":
            self.norm = nn.InstanceNorm2d(channels)
        elif kind == "gn":
            self.norm = nn.GroupNorm(32, channels)
        elif kind not in ("pixel", "none"):
            raise UsageError(f"there is no norm {kind!r}", "", "use bn, in, gn, pixel or none")

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "none":
            return x
        if self.kind == "pixel":
            return F.normalize(x, dim=1)
        y: Tensor = self.norm(x)
        return y


class ReluLayer(nn.Module):
    """The published wrapper, for its name `relu.func`."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        makers: dict[str, Callable[[], nn.Module]] = {
            "leakyrelu": lambda: nn.LeakyReLU(0.2, inplace=True),
            "relu": lambda: nn.ReLU(inplace=True),
            "prelu": lambda: nn.PReLU(channels),
            "selu": lambda: nn.SELU(inplace=True),
            "none": nn.Identity,
        }
        if kind.lower() not in makers:
            raise UsageError(f"there is no activation {kind!r}", "", "use LeakyReLU, relu, prelu, selu or none")
        self.func: nn.Module = makers[kind.lower()]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.func(x)
        return y
