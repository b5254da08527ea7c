"""Real-ESRGAN: photographs enlarged two or four times, real damage included.

Wang, Xie, Dong, Shan, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW 2021, arXiv:2107.10833;
the network is that of Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018, arXiv:1809.00219.
Loads the published RealESRGAN_x2plus, x4plus, x4plus_anime_6B (RRDBNet), realesr-general-x4v3, -wdn-x4v3 and animevideov3
(SRVGGNetCompact) files: module names are theirs. Pictures are RGB in [0, 1] here, not in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import UsageError

SLOPE = 0.2
RESIDUAL = 0.2  # the residual scaling beta of ESRGAN, section 3.1

Activation = Literal["prelu", "relu", "leakyrelu"]


class RRDBNet(nn.Module):
    """Enlarge N x 3 x H x W in [0, 1] to N x 3 x sH x sW, not clamped; s = scale: 1, 2 or 4.

    The body always works at a quarter of the output's side: for scale 2 and 1 the picture is first folded 2 x 2 or 4 x 4 into its channels
    (pixel unshuffle), so H and W must be multiples of `unshuffle` = 4 / s. num_block, num_grow_ch: residual-in-residual dense blocks,
    and the channels that each of their convolutions adds.
    """

    def __init__(
        self, num_in_ch: int = 3, num_out_ch: int = 3, scale: int = 4, num_feat: int = 64, num_block: int = 23, num_grow_ch: int = 32
    ) -> None:
        super().__init__()
        if scale not in (1, 2, 4):
            raise UsageError(f"an RRDBNet cannot enlarge {scale} times", "it enlarges 1, 2 or 4 times", "use scale=1, 2 or 4")
        self.scale, self.unshuffle = scale, 4 // scale
        self.conv_first = _conv(num_in_ch * self.unshuffle**2, num_feat)
        self.body = nn.Sequential(*(RRDB(num_feat, num_grow_ch) for _ in range(num_block)))
        self.conv_body = _conv(num_feat, num_feat)
        self.conv_up1 = _conv(num_feat, num_feat)
        self.conv_up2 = _conv(num_feat, num_feat)
        self.conv_hr = _conv(num_feat, num_feat)
        self.conv_last = _conv(num_feat, num_out_ch)

    def forward(self, x: Tensor) -> Tensor:
        feature = self.conv_first(F.pixel_unshuffle(x, self.unshuffle))
        feature = feature + self.conv_body(self.body(feature))
        feature = F.leaky_relu_(self.conv_up1(_doubled(feature)), SLOPE)
        feature = F.leaky_relu_(self.conv_up2(_doubled(feature)), SLOPE)
        picture: Tensor = self.conv_last(F.leaky_relu_(self.conv_hr(feature), SLOPE))
        return picture


class RRDB(nn.Module):
    """Residual-in-residual dense block: x + 0.2 * three dense blocks of x."""

    def __init__(self, num_feat: int, num_grow_ch: int = 32) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb2 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb3 = ResidualDenseBlock(num_feat, num_grow_ch)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return _added(x, y)


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each of all that came before it: x + 0.2 * conv5([x, x1, .., x4]), xk = lrelu(convk([x, .., xk-1]))."""

    def __init__(self, num_feat: int = 64, num_grow_ch: int = 32) -> None:
        super().__init__()
        f, g = num_feat, num_grow_ch
        self.conv1, self.conv2, self.conv3, self.conv4 = (_conv(f + k * g, g) for k in range(4))
        self.conv5 = _conv(f + 4 * g, f)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            nn.init.kaiming_normal_(conv.weight)
            with torch.no_grad():
                conv.weight.mul_(0.1)
            nn.init.zeros_(cast(Tensor, conv.bias))

    def forward(self, x: Tensor) -> Tensor:
        grown = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            grown = torch.cat([grown, F.leaky_relu_(conv(grown), SLOPE)], dim=1)
        return _added(x, self.conv5(grown))


class SRVGGNetCompact(nn.Module):
    """Enlarge N x 3 x H x W in [0, 1] `upscale` times, not clamped: num_conv + 2 plain convolutions, pixel shuffle, plus the nearest input.

    act_type: "prelu" (all published files), "relu", "leakyrelu" (slope 0.1).
    """

    unshuffle = 1

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_conv: int = 16,
        upscale: int = 4,
        act_type: Activation = "prelu",
    ) -> None:
        super().__init__()
        self.scale = upscale
        layers: list[nn.Module] = [_conv(num_in_ch, num_feat), _activation(act_type, num_feat)]
        for _ in range(num_conv):
            layers += [_conv(num_feat, num_feat), _activation(act_type, num_feat)]
        layers.append(_conv(num_feat, num_out_ch * upscale**2))
        self.body = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def interpolated(state_a: Mapping[str, Tensor], state_b: Mapping[str, Tensor], a: float) -> dict[str, Tensor]:
    """a * state_a + (1 - a) * state_b: a network between two that were trained from the same start.

    Wang et al., "Deep Network Interpolation for Continuous Imagery Effect Transition", CVPR 2019. With realesr-general-x4v3 and its
    -wdn- sister `a` is the strength of denoising. Raises UsageError where names or shapes differ.
    """
    differing = [name for name in {**state_a, **state_b} if _shape(state_a, name) != _shape(state_b, name)]
    if differing:
        raise UsageError("cannot interpolate these two models", f"{differing[0]} differs", "use two files of the same network")
    return {name: a * value + (1 - a) * state_b[name] for name, value in state_a.items()}


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(state[name].shape) if name in state else None


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _activation(kind: Activation, channels: int) -> nn.Module:
    if kind == "prelu":
        return nn.PReLU(channels)
    return nn.ReLU(inplace=True) if kind == "relu" else nn.LeakyReLU(0.1, inplace=True)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _added(x: Tensor, y: Tensor) -> Tensor:
    """x + 0.2 y; y is a block's fresh result and its memory is used."""
    return y.mul_(RESIDUAL).add_(x)
