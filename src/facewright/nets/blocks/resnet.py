"""ResNet without its classifier, as the face detectors and parsers stand on it.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, table 1, with the stride of a stage in the
3 x 3 convolution of its first block ("v1.5"). Module names are torchvision's, so its files and those made from it load unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a skip; N x in x H x W to N x width x H/stride x W/stride."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 and a skip; N x in x H x W to N x 4 width x H/stride x W/stride."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(in_channels, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNetBody(nn.Module):
    """Stem and four stages. block: `BasicBlock` (ResNet-18, -34) or `Bottleneck` (-50 and more); depths: blocks of each stage."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = [64, *(64 * 2**stage * block.expansion for stage in range(4))]
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(block, channels[stage], 64 * 2**stage, depth, stride=1 if stage == 0 else 2) for stage, depth in enumerate(depths)
        )
        self.channels = tuple(channels[2:])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: N x 3 x H x W. Returns the last three stages, `channels` each, at strides 8, 16 and 32 (sizes rounded up)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer1(F.max_pool2d(x, 3, 2, 1))
        stride8 = self.layer2(x)
        stride16 = self.layer3(stride8)
        return stride8, stride16, self.layer4(stride16)


def _stage(block: type[BasicBlock] | type[Bottleneck], in_channels: int, width: int, depth: int, stride: int) -> nn.Sequential:
    out_channels = width * block.expansion
    return nn.Sequential(block(in_channels, width, stride), *(block(out_channels, width) for _ in range(depth - 1)))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """The skip where a block changes size or channels."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
