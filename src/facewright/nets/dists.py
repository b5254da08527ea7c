"""DISTS: how different two pictures look, where another sample of the same texture is no great difference.

Ding, Ma, Wang, Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", PAMI 2020, arXiv:2004.07728.
A VGG-16 whose pooling is that of L2 (eq. 3); names as published, stageK.N with torchvision's numbers N. The published file holds
alpha and beta only; `from_torchvision` names a trunk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.errors import ModelError
from facewright.nets.vgg import IMAGENET_MEAN, IMAGENET_STD

WIDTHS = (3, 64, 128, 256, 512, 512)
CONVOLUTIONS = (2, 2, 3, 3, 3)
C1 = C2 = 1e-6


class DISTS(nn.Module):
    """Two batches N x 3 x H x W, RGB in [0, 1], to N x 1 distances, 0 for equal pictures; frozen. Nothing is resized."""

    def __init__(self) -> None:
        super().__init__()
        place, inputs = 0, 3
        for stage, (width, count) in enumerate(zip(WIDTHS[1:], CONVOLUTIONS, strict=True), start=1):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if stage > 1:
                layers[str(place)], place = L2Pool(), place + 1
            for _ in range(count):
                layers[str(place)], layers[str(place + 1)] = nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()
                place, inputs = place + 2, width
            self.add_module(f"stage{stage}", nn.Sequential(layers))
        self.alpha = nn.Parameter(torch.full((1, sum(WIDTHS), 1, 1), 0.1))
        self.beta = nn.Parameter(torch.full((1, sum(WIDTHS), 1, 1), 0.1))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.distance(self.features(first), self.features(second))

    def features(self, pictures: Tensor) -> list[Tensor]:
        """The pictures themselves, then the maps of the five stages."""
        maps = [pictures]
        x = (pictures - self.get_buffer("mean")) / self.get_buffer("std")
        for stage in range(1, len(WIDTHS)):
            x = self.get_submodule(f"stage{stage}")(x)
            maps.append(x)
        return maps

    def distance(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        """Of two `features`: 1 - sum of alpha l + beta s, texture l (eq. 5) and structure s (eq. 6), the weights summing to 1."""
        total = self.alpha.sum() + self.beta.sum()
        alphas, betas = (torch.split((each / total).flatten(), list(WIDTHS)) for each in (self.alpha, self.beta))
        similarity = first[0].new_zeros(len(first[0]))
        for x, y, alpha, beta in zip(first, second, alphas, betas, strict=True):
            (var_x, mean_x), (var_y, mean_y) = (torch.var_mean(each, dim=(2, 3), correction=0) for each in (x, y))
            covariance = (x * y).mean(dim=(2, 3)) - mean_x * mean_y
            texture = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
            structure = (2 * covariance + C2) / (var_x + var_y + C2)
            similarity = similarity + texture @ alpha + structure @ beta
        return (1 - similarity)[:, None]


class Weights(nn.Module):
    """alpha and beta alone: what the published file holds."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1, sum(WIDTHS), 1, 1), 0.1))
        self.beta = nn.Parameter(torch.full((1, sum(WIDTHS), 1, 1), 0.1))
        self.requires_grad_(False)


class L2Pool(nn.Module):
    """Root of the weighted mean of squares over 3 x 3, every second pixel."""

    def forward(self, x: Tensor) -> Tensor:
        weights = hanning(x)
        return (F.conv2d(x.square(), weights.expand(x.shape[1], 1, 3, 3), stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def hanning(like: Tensor) -> Tensor:
    """The weights of the pooling, 1 x 1 x 3 x 3, summing to 1."""
    line = like.new_tensor([0.25, 0.5, 0.25])
    return torch.outer(line, line).view(1, 1, 3, 3)


def from_torchvision(trunk: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A torchvision VGG-16 file's `features.N...` under the names of `DISTS`; what lies behind the last stage is left out.

    Raises ModelError where a tensor is missing or has another shape.
    """
    with torch.device("meta"):
        wanted = {name: value.shape for name, value in DISTS().state_dict().items() if name.startswith("stage")}
    renamed = {}
    for name, shape in wanted.items():
        key = "features." + name.split(".", 1)[1]
        if key not in trunk or trunk[key].shape != shape:
            raise ModelError("this is no VGG-16 of torchvision", f"{key} is missing or has another shape")
        renamed[name] = trunk[key]
    return renamed
