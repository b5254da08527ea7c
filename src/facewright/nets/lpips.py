"""LPIPS: how different two pictures look, as the features of a classifier and small learned heads see it.

Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018,
arXiv:1801.03924. Module names are those of the published package: the trunk under net.sliceK.N with torchvision's numbers N, the heads
under linN.model.1 and, the same tensors, lins.N.model.1. The published files hold heads only; `from_torchvision` names a trunk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.errors import ModelError, UsageError

Net = Literal["alex", "vgg", "squeeze"]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# A slice ends behind the tap: torchvision's number of its last layer.
TAPS: dict[str, tuple[int, ...]] = {
    "alex": (1, 4, 7, 9, 11),
    "vgg": (3, 8, 15, 22, 29),
    "squeeze": (1, 4, 7, 9, 10, 11, 12),
}
WIDTHS: dict[str, tuple[int, ...]] = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


class LPIPS(nn.Module):
    """Two batches N x 3 x H x W, RGB in [-1, 1], to N x 1 x 1 x 1 distances; frozen.

    version "0.0" does without the scaling of the input (and has other heads); heads=False sums over the channels instead.
    """

    def __init__(self, net: Net = "vgg", version: Literal["0.1", "0.0"] = "0.1", heads: bool = True) -> None:
        super().__init__()
        if net not in TAPS:
            raise UsageError(f"there is no LPIPS network {net!r}", what_to_do=f"use one of: {', '.join(TAPS)}")
        self.trunk, self.version, self.with_heads = net, version, heads
        self.scaling_layer = Scaling()
        self.net = nn.ModuleDict(_slices(net))
        for number, width in enumerate(WIDTHS[net]):
            self.add_module(f"lin{number}", Head(width))
        # the published package lists them twice
        self.lins = nn.ModuleList(self.get_submodule(f"lin{number}") for number in range(len(WIDTHS[net])))
        self.requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor, spatial: bool = False) -> Tensor:
        """spatial: a map N x 1 x H x W instead of its mean, each layer's enlarged to the pictures' size."""
        a, b = self.features(first), self.features(second)
        if not spatial:
            return self.distance(a, b)
        size = first.shape[-2:]
        maps = [self._weighted(number, (one - other).square()) for number, (one, other) in enumerate(zip(a, b, strict=True))]
        return torch.stack([F.interpolate(each, size=size, mode="bilinear", align_corners=False) for each in maps]).sum(0)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """The maps of all taps, each pixel's channels brought to length 1. Those of a truth can be kept for several comparisons."""
        x = self.scaling_layer(pictures) if self.version == "0.1" else pictures
        maps = []
        for part in self.net.values():
            x = part(x)
            maps.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10))
        return maps

    def distance(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        """Of two `features`: N x 1 x 1 x 1."""
        return torch.stack(self.distances(first, second)).sum(0)

    def distances(self, first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
        """What each tap gives to the distance of two `features`: N x 1 x 1 x 1 each."""
        pairs = enumerate(zip(first, second, strict=True))
        return [self._weighted(number, (a - b).square()).mean(dim=(2, 3), keepdim=True) for number, (a, b) in pairs]

    def _weighted(self, number: int, squares: Tensor) -> Tensor:
        if not self.with_heads:
            return squares.sum(1, keepdim=True)
        weighted: Tensor = self.lins[number](squares)
        return weighted


class Trunk(nn.Module):
    """The classifier alone, up to the last tap: N x 3 x H x W, already scaled, to the maps of all taps."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = nn.ModuleDict(_slices(net))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for part in self.net.values():
            x = part(x)
            maps.append(x)
        return maps


class Heads(nn.Module):
    """The heads alone: what the published files hold."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        for number, width in enumerate(WIDTHS[net]):
            self.add_module(f"lin{number}", Head(width))
        self.requires_grad_(False)


class Scaling(nn.Module):
    """From [-1, 1] to what the classifiers were trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.get_buffer("shift")) / self.get_buffer("scale")


class Head(nn.Module):
    """One weight a channel, not negative in the published files."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(width, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = self.model(x)
        return weighted


class Fire(nn.Module):
    """SqueezeNet's block: few channels, then two widenings side by side (Iandola et al. 2016)."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x), inplace=True)
        return torch.cat([F.relu(self.expand1x1(x), inplace=True), F.relu(self.expand3x3(x), inplace=True)], 1)


def from_torchvision(trunk: Mapping[str, Tensor], net: Net) -> dict[str, Tensor]:
    """A torchvision file's `features.N...` under the names of `LPIPS(net)` and `Trunk(net)`; the classifier is left out.

    Raises ModelError where a tensor is missing or has another shape.
    """
    with torch.device("meta"):
        wanted = {name: value.shape for name, value in Trunk(net).state_dict().items()}
    renamed = {}
    for name, shape in wanted.items():
        key = "features." + name.split(".", 2)[2]
        if key not in trunk or trunk[key].shape != shape:
            raise ModelError(f"this is no {net} trunk of torchvision", f"{key} is missing or has another shape")
        renamed[name] = trunk[key]
    return renamed


def _slices(net: Net) -> OrderedDict[str, nn.Module]:
    layers = {"alex": _alexnet, "vgg": _vgg16, "squeeze": _squeezenet}[net]()
    slices: OrderedDict[str, nn.Module] = OrderedDict()
    start = 0
    for number, tap in enumerate(TAPS[net], start=1):
        slices[f"slice{number}"] = nn.Sequential(OrderedDict((str(place), layers[place]) for place in range(start, tap + 1)))
        start = tap + 1
    return slices


def _alexnet() -> list[nn.Module]:
    return [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True)),
    ]


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return layers


def _squeezenet() -> list[nn.Module]:
    return [
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(Fire(64, 16, 64), Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(Fire(128, 32, 128), Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]
