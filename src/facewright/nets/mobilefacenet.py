"""MobileFaceNet: a small face embedding.

Chen, Liu, Gao, Han, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices", 2018, arXiv:1804.07573:
the network of table 1, PReLU after every convolution that is not linear. Its map of 7 x 7 is gathered by a global depthwise convolution,
which gives every place of a face a weight of its own where an average would treat all alike (section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.nets.blocks.chips import chip

CHIP_SIZE = 112
# The embedding's chip inside an FFHQ-aligned 512 crop: from above the brows to below the chin, cheek to cheek, with as little hair and
# background as may be, since whose photograph it is must not be told by these. In a crop of 192 pixels it is 112 pixels to the pixel.
CHIP_CENTRE, CHIP_SIDE = (255.5, 1933 / 6), 896 / 3
# (expansion, width over the first layer's, repeated, stride of the first) of the bottlenecks in order: t, c, n, s of table 1
BOTTLENECKS: tuple[tuple[int, int, int, int], ...] = ((2, 1, 5, 2), (4, 2, 1, 2), (2, 2, 6, 1), (4, 2, 1, 2), (2, 2, 2, 1))


class ConvNorm(nn.Sequential):
    """A convolution without bias, batch norm, and PReLU unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1, linear: bool = False
    ) -> None:
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
        super().__init__(*layers, *([] if linear else [nn.PReLU(outputs)]))


class Bottleneck(nn.Module):
    """Expanded by 1 x 1, depthwise 3 x 3, back by a linear 1 x 1 (MobileNetV2's), with a skip where nothing changes its shape."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = ConvNorm(inputs, inner, 1)
        self.depthwise = ConvNorm(inner, inner, 3, stride=stride, padding=1, groups=inner)
        self.project = ConvNorm(inner, outputs, 1, linear=True)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skips else y


class MobileFaceNet(nn.Module):
    """N x 3 x 112 x 112 RGB chips in [-1, 1] to N x `embedding` numbers, not normalised; two are compared by the angle between them.

    channels: of the first layer, 64 as published; the others go with it.
    """

    def __init__(self, channels: int = 64, embedding: int = 128) -> None:
        super().__init__()
        self.stem = ConvNorm(3, channels, 3, stride=2, padding=1)
        self.depthwise = ConvNorm(channels, channels, 3, padding=1, groups=channels)
        width, blocks = channels, list[Bottleneck]()
        for expansion, times, repeated, stride in BOTTLENECKS:
            for number in range(repeated):
                blocks.append(Bottleneck(width, times * channels, expansion, stride if number == 0 else 1))
                width = times * channels
        self.blocks = nn.Sequential(*blocks)
        self.widen = ConvNorm(width, 8 * channels, 1)
        self.gather = ConvNorm(8 * channels, 8 * channels, CHIP_SIZE // 16, groups=8 * channels, linear=True)
        self.embed = ConvNorm(8 * channels, embedding, 1, linear=True)

    def forward(self, chips: Tensor) -> Tensor:
        x = self.blocks(self.depthwise(self.stem(chips)))
        embeddings: Tensor = self.embed(self.gather(self.widen(x)))
        return embeddings.flatten(1)

    def people(self, crops: Tensor) -> Tensor:
        """crops: N x 3 x S x S, FFHQ-aligned, in [-1, 1]. Returns N x `embedding`, each of length 1."""
        return F.normalize(self(self.chip(crops)).float())

    def chip(self, crops: Tensor) -> Tensor:
        """The embedding's input from aligned crops: N x 3 x S x S in [-1, 1] to N x 3 x 112 x 112, antialiased."""
        return chip(crops, CHIP_CENTRE, CHIP_SIDE, CHIP_SIZE).contiguous(memory_format=torch.channels_last)
