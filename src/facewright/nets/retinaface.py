"""RetinaFace: boxes, scores and five points of all faces of a picture in one look.

Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild", CVPR 2020, arXiv:1905.00641;
the context module is that of SSH (Najibi et al., ICCV 2017). Module names are those of Pytorch_Retinaface and facexlib, whose files load
unchanged once the leading "module." of their keys is gone. The part of the paper that reconstructs a mesh is in none of them.

Input is N x 3 x H x W, any H and W, **blue, green, red**, levels 0..255 minus `MEANS`; see `prepare`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import UsageError
from facewright.nets.blocks.resnet import Bottleneck, ResNetBody

Backbone = Literal["resnet50", "mobilenet0.25"]

MEANS = (104.0, 117.0, 123.0)
"""Of blue, green and red."""
STEPS = (8, 16, 32)
"""Pixels per cell of the three levels."""
SIDES = ((16, 32), (64, 128), (256, 512))
"""Sides of the two priors in each cell of a level, in pixels."""
VARIANCES = (0.1, 0.2)
"""Units of the regressed centres and points, and of the logarithms of the regressed sides."""


class RetinaFace(nn.Module):
    """backbone: "resnet50" or "mobilenet0.25", the two of which weights are published."""

    def __init__(self, backbone: Backbone = "resnet50") -> None:
        super().__init__()
        if backbone not in ("resnet50", "mobilenet0.25"):
            raise UsageError(f"there is no RetinaFace on {backbone!r}", "", "use resnet50 or mobilenet0.25")
        body = ResNetBody(Bottleneck, (3, 4, 6, 3)) if backbone == "resnet50" else MobileNetBody()
        width = 256 if backbone == "resnet50" else 64
        self.body = body
        self.fpn = FPN(body.channels, width)
        self.ssh1, self.ssh2, self.ssh3 = (SSH(width) for _ in STEPS)
        self.ClassHead = nn.ModuleList(Head(width, 2) for _ in STEPS)
        self.BboxHead = nn.ModuleList(Head(width, 4) for _ in STEPS)
        self.LandmarkHead = nn.ModuleList(Head(width, 10) for _ in STEPS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: N x 3 x H x W as `prepare` makes it. Returns, for the K priors of `priors(H, W)`:

        N x K x 4 and N x K x 10 offsets for `decode_boxes` and `decode_landmarks` (first and last), and between them N x K x 2 for
        (no face, face): logits in training mode, probabilities otherwise.
        """
        boxes, logits, landmarks = self.predict(x)
        return boxes, logits if self.training else torch.softmax(logits, dim=-1), landmarks

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`forward` with logits in either mode."""
        levels = self.fpn(self.body(x))
        levels = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]
        boxes, logits, landmarks = (
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], dim=1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return boxes, logits, landmarks


def prepare(pictures: Tensor) -> Tensor:
    """N x 3 x H x W red, green, blue in 0..255 to what the network takes."""
    return pictures.flip(1) - torch.tensor(MEANS, dtype=pictures.dtype, device=pictures.device).view(1, 3, 1, 1)


def priors(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """K x 4 (centre x, y, width, height) of a picture of this size, as parts of its width and height; not clipped.

    Level by level, row by row, column by column, the smaller square before the larger.
    """
    levels = []
    for step, sides in zip(STEPS, SIDES, strict=True):
        y, x = ((torch.arange(-(-length // step), dtype=torch.float64, device=device) + 0.5) * step / length for length in (height, width))
        centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[:, :, None].expand(-1, -1, len(sides), -1)
        squares = torch.tensor([[side / width, side / height] for side in sides], dtype=torch.float64, device=device)
        levels.append(torch.cat([centres, squares.expand_as(centres)], dim=-1).reshape(-1, 4))
    return torch.cat(levels).float()


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """... x 4 offsets of as many priors to corners x1, y1, x2, y2, in the units of the priors."""
    centres = priors[..., :2] + offsets[..., :2] * VARIANCES[0] * priors[..., 2:]
    sides = priors[..., 2:] * torch.exp(offsets[..., 2:] * VARIANCES[1])
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=-1)


def decode_landmarks(offsets: Tensor, priors: Tensor) -> Tensor:
    """... x 10 offsets of as many priors to ... x 5 x 2 points: left eye, right eye (as seen), nose, left and right corner of the mouth."""
    points = offsets.reshape(*offsets.shape[:-1], 5, 2)
    return priors[..., None, :2] + points * VARIANCES[0] * priors[..., None, 2:]


class FPN(nn.Module):
    """Feature pyramid: what the coarse levels know is added to the finer ones (Lin et al. 2017)."""

    def __init__(self, in_channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_conv(channels, width, 1, slope=_slope(width)) for channels in in_channels)
        self.merge1, self.merge2 = (_conv(width, width, 3, slope=_slope(width)) for _ in range(2))

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        fine, middle, coarse = (output(level) for output, level in zip((self.output1, self.output2, self.output3), levels, strict=True))
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return fine, middle, coarse


class SSH(nn.Module):
    """Context of three sizes: 3 x 3, and 5 x 5 and 7 x 7 as chains of 3 x 3 with a shared first link."""

    def __init__(self, width: int) -> None:
        super().__init__()
        slope = _slope(width)
        self.conv3X3 = _conv(width, width // 2, 3)
        self.conv5X5_1 = _conv(width, width // 4, 3, slope=slope)
        self.conv5X5_2 = _conv(width // 4, width // 4, 3)
        self.conv7X7_2 = _conv(width // 4, width // 4, 3, slope=slope)
        self.conv7x7_3 = _conv(width // 4, width // 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        shared = self.conv5X5_1(x)
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared))], dim=1))


class Head(nn.Module):
    """`count` numbers for each of the two priors of a cell: N x width x h x w to N x (h * w * 2) x count."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.conv1x1 = nn.Conv2d(width, 2 * count, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1x1(x)
        return y.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.count)


class MobileNetBody(nn.Module):
    """MobileNetV1 (Howard et al. 2017) with a quarter of the channels; returns strides 8, 16 and 32 like `ResNetBody`."""

    channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            _conv(3, 8, 3, stride=2, slope=0.1),
            *(_separable(i, o, stride) for i, o, stride in ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))),
        )
        self.stage2 = nn.Sequential(_separable(64, 128, 2), *(_separable(128, 128) for _ in range(5)))
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stride8 = self.stage1(x)
        stride16 = self.stage2(stride8)
        return stride8, stride16, self.stage3(stride16)


def _separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 in each channel, then 1 x 1 across them."""
    each = _conv(in_channels, in_channels, 3, stride=stride, slope=0.1, groups=in_channels)
    return nn.Sequential(*each, *_conv(in_channels, out_channels, 1, slope=0.1))


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, slope: float | None = None, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, and leaky ReLU unless the slope is None."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
    layers = [conv, nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers) if slope is None else nn.Sequential(*layers, nn.LeakyReLU(slope, inplace=True))


def _slope(width: int) -> float:
    """Of the pyramid and its context: narrow networks leak."""
    return 0.1 if width <= 64 else 0.0
