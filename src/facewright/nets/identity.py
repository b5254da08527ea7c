"""dlib's face embedding: 128 numbers that say who somebody is.

Davis King, ``dlib_face_recognition_resnet_model_v1`` (weights CC0-1.0), a 29-convolution ResNet trained with a metric loss.
Two chips show the same person when the Euclidean distance of their embeddings is under 0.6 (99.38 % on LFW, dlib's own figure).
Differentiable, so it also serves as identity and perceptual loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.nets.blocks.chips import chip

CHIP_SIZE = 150
# The embedding's chip inside an FFHQ-aligned 512 crop: an upright square, measured over 439 faces (standard deviation
# 2.7 and 3.9 px in the centre, 14.5 px in the side); dlib cuts its own from landmarks that we do not have.
CHIP_CENTRE, CHIP_SIDE = (258.64, 309.10), 345.25
MEAN_RGB = (122.782, 117.001, 104.298)
# (planes, down) of the residual blocks in order
BLOCKS: tuple[tuple[int, bool], ...] = (
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False)],
    (256, True),
)


class Affine(nn.Module):
    """A per-channel scale and shift: a frozen batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a skip; a down block halves the size, its skip is averaged by 2 x 2.

    Where the two differ in channels, height or width, the smaller is padded with zeros at the end.
    """

    def __init__(self, inputs: int, planes: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.affine1 = Affine(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1)
        self.affine2 = Affine(planes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.affine2(self.conv2(F.relu(self.affine1(self.conv1(x)))))
        skip = F.avg_pool2d(x, 2, 2) if self.down else x
        if self.down:
            shape = [max(a, b) for a, b in zip(y.shape[1:], skip.shape[1:], strict=True)]
            y, skip = _pad_to(y, shape), _pad_to(skip, shape)
        return F.relu(y + skip)


class DlibEmbedding(nn.Module):
    """N x 3 x 150 x 150 RGB chips in 0..255 to N x 128 embeddings (not normalised)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        self.stem_affine = Affine(32)
        planes = [32, *(p for p, _ in BLOCKS)]
        self.blocks = nn.ModuleList(ResidualBlock(i, p, down) for i, (p, down) in zip(planes, BLOCKS, strict=False))
        self.embed = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)

    def forward(self, chips: Tensor) -> Tensor:
        return self.features(chips, ())[0]

    def features(self, chips: Tensor, taps: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """The embedding, and the maps after the blocks numbered in `taps` (0 is the first block; a map is N x C x h x w)."""
        x = self._enter(chips)
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in taps:
                maps.append(x)
        return self.embed(x.mean(dim=(2, 3))), maps

    def early(self, pictures: Tensor, taps: Sequence[int]) -> list[Tensor]:
        """The maps after the blocks numbered in `taps` only, for pictures of any size (N x 3 x H x W in 0..255); stops after the last."""
        x = self._enter(pictures)
        maps = []
        for number, block in enumerate(self.blocks[: max(taps) + 1]):
            x = block(x)
            if number in taps:
                maps.append(x)
        return maps

    def chip(self, crops: Tensor) -> Tensor:
        """The embedding's input from aligned crops: N x 3 x S x S in [-1, 1] to N x 3 x 150 x 150 in 0..255, antialiased."""
        return (chip(crops, CHIP_CENTRE, CHIP_SIDE, CHIP_SIZE) + 1) * 127.5

    def _enter(self, chips: Tensor) -> Tensor:
        x = F.relu(self.stem_affine(self.stem((chips - self.get_buffer("mean")) / 256)))
        return F.max_pool2d(x, 3, 2)


def _pad_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    channels, height, width = (want - have for want, have in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x
