"""Real-ESRGAN: photographs enlarged two or four times, real damage included.

Wang, Xie, Dong, Shan, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW 2021, arXiv:2107.10833;
the network is that of Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018, arXiv:1809.00219.
Loads the published RealESRGAN_x2plus, x4plus, x4plus_anime_6B (RRDBNet), realesr-general-x4v3, -wdn-x4v3 and animevideov3
(SRVGGNetCompact) files: module names are theirs. Pictures are RGB in [0, 1] here, not in [-1, 1].
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import UsageError
from facewright.nets.blocks.frozen import FrozenConv
from facewright.nets.blocks.layout import channels_last

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


def prepare(net: RRDBNet | SRVGGNetCompact, dtype: torch.dtype = torch.float32) -> Prepared:
    """The same network for inference, faster and with less memory: an independent copy of the weights, no gradients.

    dtype: of the convolutions; what an RRDBNet's blocks add to stays in float32 (bf16 is then half as far off), and so does the last
    convolution. Takes and returns float32.
    """
    # a copy first: what has the right type and layout already is shared by the layers made from it
    net = copy.deepcopy(net)
    return PreparedRRDBNet(net, dtype) if isinstance(net, RRDBNet) else PreparedCompact(net, dtype)


class Prepared(nn.Module):
    """What `prepare` makes. scale, unshuffle: as in RRDBNet.

    bytes_per_pixel: memory that a large picture takes, per pixel of the input. context: how many pixels of the input around a tile make its
    result that of the whole picture, or as good as that.
    """

    def __init__(self, net: RRDBNet | SRVGGNetCompact, dtype: torch.dtype, bytes_per_pixel: float, context: int) -> None:
        super().__init__()
        self.scale, self.unshuffle, self.dtype = net.scale, net.unshuffle, dtype
        self.bytes_per_pixel, self.context = bytes_per_pixel, context


class PreparedRRDBNet(Prepared):
    """Channels last, activations in place, nearest enlargement and the convolution behind it as one transposed convolution.

    What follows the body works at up to 16 times its pixels and would need most of the memory: it runs in strips of `STRIP` rows of the
    body, with the rows beyond them that reach into the strip's result.
    """

    CONTEXT = 16
    """In pixels of the body. It sees much further, but little of it: with weights that were not learned tiles then differ from the whole
    by at most 0.005 levels of 255 before rounding (with 8 px by 0.1, with 4 px by 15; the published program's 10 px of the photo are
    5 px of x2plus' body). `benchmarks/background.py overlap` measures it for any file."""
    STRIP = 32
    REACH = 2  # rows of the body on each side that the convolutions behind it see: 1.25, rounded up

    def __init__(self, net: RRDBNet, dtype: torch.dtype) -> None:
        features, grown = net.conv_last.in_channels, cast(RRDB, net.body[0]).rdb1.conv5.in_channels
        # what a concatenation and the block around it hold at once; measured within a fifth of it
        bytes_per_pixel = (8 * features + 2 * (features + grown) * dtype.itemsize) / net.unshuffle**2
        super().__init__(net, dtype, bytes_per_pixel, self.CONTEXT * net.unshuffle)
        self.first = FrozenConv.of(net.conv_first, dtype)
        self.blocks = nn.ModuleList(
            FrozenDense(cast(ResidualDenseBlock, dense), dtype) for block in net.body for dense in cast(RRDB, block).children()
        )
        self.body = FrozenConv.of(net.conv_body, dtype)
        self.up1, self.up2 = FrozenDoubling(net.conv_up1, dtype), FrozenDoubling(net.conv_up2, dtype)
        self.hr = FrozenConv.of(net.conv_hr, dtype, activate=True)
        self.last = FrozenConv.of(net.conv_last, torch.float32)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """As RRDBNet.forward."""
        x = F.pixel_unshuffle(x, self.unshuffle).contiguous(memory_format=torch.channels_last)
        feature = self.first(x).float()
        y = feature
        for start in range(0, len(self.blocks), 3):
            before = y
            for dense in self.blocks[start : start + 3]:
                y = dense(y)
            y = _added(before, y)
        feature = self.body(y).add_(feature)
        del x, y
        rows = feature.shape[2]
        picture = self.last.weight.new_empty(len(feature), len(self.last.weight), rows * 4, feature.shape[3] * 4)
        for top in range(0, rows, self.STRIP):
            bottom = min(top + self.STRIP, rows)
            above, below = max(top - self.REACH, 0), min(bottom + self.REACH, rows)
            strip = self.last(self.hr(self.up2(self.up1(feature[:, :, above:below]))))
            picture[:, :, 4 * top : 4 * bottom] = strip[:, :, 4 * (top - above) : 4 * (bottom - above)]
        return picture


class FrozenDense(nn.Module):
    """`ResidualDenseBlock`; takes and returns float32."""

    def __init__(self, block: ResidualDenseBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        convs = [block.conv1, block.conv2, block.conv3, block.conv4]
        self.grow = nn.ModuleList(FrozenConv.of(conv, dtype, activate=True) for conv in convs)
        self.close = FrozenConv.of(block.conv5, dtype)

    def forward(self, x: Tensor) -> Tensor:
        grown = x.to(self.dtype)
        for conv in self.grow:
            grown = torch.cat([grown, conv(grown)], dim=1)
        return _added(x, self.close(grown).float())


class FrozenDoubling(nn.Module):
    """lrelu(conv(nearest enlargement by 2)) as one transposed convolution, exact up to the edge: outside is zero for both."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        weight = merge_doubling(conv.weight.detach().float()).to(dtype)
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(cast(Tensor, conv.bias).detach().to(dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv_transpose2d(x.to(self.weight.dtype), self.weight, self.bias, stride=2, padding=1)
        return F.leaky_relu_(y, SLOPE)


class PreparedCompact(Prepared):
    """SRVGGNetCompact, channels last."""

    def __init__(self, net: SRVGGNetCompact, dtype: torch.dtype) -> None:
        convs = [layer for layer in net.body if isinstance(layer, nn.Conv2d)]
        # its context is all that it sees: one pixel a convolution
        super().__init__(net, dtype, 3 * convs[0].out_channels * dtype.itemsize + 36 * net.scale**2, len(convs))
        self.net = channels_last(net.to(dtype)).eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """As SRVGGNetCompact.forward; the input is added in float32."""
        y = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        for layer in self.net.body:
            y = layer(y)
        enlarged = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return enlarged.float() + F.pixel_shuffle(y, self.scale)


def merge_doubling(weight: Tensor) -> Tensor:
    """The weight of the transposed convolution (stride 2, padding 1) that enlarges by repeating and convolves: out x in x 3 x 3 to
    in x out x 4 x 4."""
    along = weight.new_zeros(4, 3)
    for tap in range(3):
        along[2 - tap : 4 - tap, tap] = 1
    return (along @ weight @ along.T).transpose(0, 1).contiguous()


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
