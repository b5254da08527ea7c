"""Inception-v3 as FID knows it: the network of 2015 that TensorFlow published, not the one of torchvision.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567; Heusel
et al., NeurIPS 2017, arXiv:1706.08500. Module names are those of `pt_inception-2015-12-05-6726825d.pth`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE = 299
Pools = Literal["fid", "torchvision"]


class InceptionV3(nn.Module):
    """N x 3 x 299 x 299, RGB in [-1, 1], to N x 2048 features.

    pools: "fid" averages without the zeros of the padding and ends with a block that takes the maximum; "torchvision" as its own
    network does, which gives other numbers and is here to show how far off they are.
    """

    def __init__(self, pools: Pools = "fid", classes: int = 1008) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, (3, 3), stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3))
        self.Conv2d_2b_3x3 = Convolution(32, 64, (3, 3), padding=(1, 1))
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Convolution(80, 192, (3, 3))
        zeros = pools == "torchvision"
        self.Mixed_5b = BlockA(192, 32, zeros)
        self.Mixed_5c = BlockA(256, 64, zeros)
        self.Mixed_5d = BlockA(288, 64, zeros)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128, zeros)
        self.Mixed_6c = BlockC(768, 160, zeros)
        self.Mixed_6d = BlockC(768, 160, zeros)
        self.Mixed_6e = BlockC(768, 192, zeros)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, "zeros" if zeros else "average")
        self.Mixed_7c = BlockE(2048, "zeros" if zeros else "maximum")
        self.fc = nn.Linear(2048, classes)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.taps(x)["2048"]

    def taps(self, x: Tensor) -> dict[str, Tensor]:
        """Means over the places: "64" and "192" behind the two maximum poolings, "768" behind Mixed_6e, "2048" at the end."""
        means = {}
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        means["64"] = x.mean(dim=(2, 3))
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        means["192"] = x.mean(dim=(2, 3))
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self.get_submodule(name)(x)
        means["768"] = x.mean(dim=(2, 3))
        for name in ("Mixed_7a", "Mixed_7b", "Mixed_7c"):
            x = self.get_submodule(name)(x)
        means["2048"] = x.mean(dim=(2, 3))
        return means

    def logits(self, features: Tensor, bias: bool = True) -> Tensor:
        """N x 2048 to N x 1008; the Inception Score is computed without the bias."""
        return F.linear(features, self.fc.weight, self.fc.bias if bias else None)


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, planes: int, kernel: tuple[int, int], stride: int = 1, padding: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, planes, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(planes, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _same(inputs: int, planes: int, height: int, width: int | None = None) -> Convolution:
    """A convolution that keeps the size."""
    kernel = (height, width or height)
    return Convolution(inputs, planes, kernel, padding=(kernel[0] // 2, kernel[1] // 2))


class BlockA(nn.Module):
    def __init__(self, inputs: int, pooled: int, zeros: bool) -> None:
        super().__init__()
        self.zeros = zeros
        self.branch1x1 = _same(inputs, 64, 1)
        self.branch5x5_1 = _same(inputs, 48, 1)
        self.branch5x5_2 = _same(48, 64, 5)
        self.branch3x3dbl_1 = _same(inputs, 64, 1)
        self.branch3x3dbl_2 = _same(64, 96, 3)
        self.branch3x3dbl_3 = _same(96, 96, 3)
        self.branch_pool = _same(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(_average(x, self.zeros))], 1)


class BlockB(nn.Module):
    """Halves the size."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(inputs, 384, (3, 3), stride=2)
        self.branch3x3dbl_1 = _same(inputs, 64, 1)
        self.branch3x3dbl_2 = _same(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, (3, 3), stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    def __init__(self, inputs: int, planes: int, zeros: bool) -> None:
        super().__init__()
        self.zeros = zeros
        self.branch1x1 = _same(inputs, 192, 1)
        self.branch7x7_1 = _same(inputs, planes, 1)
        self.branch7x7_2 = _same(planes, planes, 1, 7)
        self.branch7x7_3 = _same(planes, 192, 7, 1)
        self.branch7x7dbl_1 = _same(inputs, planes, 1)
        self.branch7x7dbl_2 = _same(planes, planes, 7, 1)
        self.branch7x7dbl_3 = _same(planes, planes, 1, 7)
        self.branch7x7dbl_4 = _same(planes, planes, 7, 1)
        self.branch7x7dbl_5 = _same(planes, 192, 1, 7)
        self.branch_pool = _same(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x, self.zeros))], 1)


class BlockD(nn.Module):
    """Halves the size."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = _same(inputs, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, (3, 3), stride=2)
        self.branch7x7x3_1 = _same(inputs, 192, 1)
        self.branch7x7x3_2 = _same(192, 192, 1, 7)
        self.branch7x7x3_3 = _same(192, 192, 7, 1)
        self.branch7x7x3_4 = Convolution(192, 192, (3, 3), stride=2)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    """pool: "average" without the padding, "zeros" with it, "maximum"."""

    def __init__(self, inputs: int, pool: Literal["average", "zeros", "maximum"]) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = _same(inputs, 320, 1)
        self.branch3x3_1 = _same(inputs, 384, 1)
        self.branch3x3_2a = _same(384, 384, 1, 3)
        self.branch3x3_2b = _same(384, 384, 3, 1)
        self.branch3x3dbl_1 = _same(inputs, 448, 1)
        self.branch3x3dbl_2 = _same(448, 384, 3)
        self.branch3x3dbl_3a = _same(384, 384, 1, 3)
        self.branch3x3dbl_3b = _same(384, 384, 3, 1)
        self.branch_pool = _same(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        pooled = F.max_pool2d(x, 3, 1, 1) if self.pool == "maximum" else _average(x, self.pool == "zeros")
        return torch.cat([*parts, self.branch_pool(pooled)], 1)


def _average(x: Tensor, zeros: bool) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=zeros)
