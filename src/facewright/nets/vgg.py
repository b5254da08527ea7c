"""VGG-16 and VGG-19 up to a named layer: the feature maps of perceptual losses.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, arXiv:1409.1556. Layers have
the paper's names (conv3_4, relu3_4, pool3); modules are named as in the published training code, and torchvision's files
(`vgg19-dcbb9e9d.pth`) are renamed by `from_torchvision`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from facewright.errors import ModelError, UsageError

Kind = Literal["vgg16", "vgg19"]
CONVOLUTIONS: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
PLANES = (64, 128, 256, 512, 512)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGGFeatures(nn.Module):
    """Pictures N x 3 x H x W, RGB, to {layer: map}; frozen.

    layers: which maps, e.g. ("conv1_2", "relu3_4", "pool4"); a convolution's map is the one before its ReLU. The network ends at the
    last of them. Pictures are in [0, 1], with `range_norm` in [-1, 1]; with `use_input_norm` they are normalised as ImageNet's.
    remove_pooling: maps keep the picture's size; pooling_stride: of the 2 x 2 max pooling. Raises UsageError for an unknown layer.
    """

    def __init__(
        self,
        layers: Sequence[str],
        vgg: Kind = "vgg19",
        use_input_norm: bool = True,
        range_norm: bool = False,
        remove_pooling: bool = False,
        pooling_stride: int = 2,
    ) -> None:
        super().__init__()
        self.layers, self.use_input_norm, self.range_norm = tuple(layers), use_input_norm, range_norm
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = 3
        for name in layer_names(layers, vgg):
            if name.startswith("conv"):
                planes = PLANES[int(name[4]) - 1]
                modules[name], inputs = nn.Conv2d(inputs, planes, 3, padding=1), planes
            elif name.startswith("relu"):
                modules[name] = nn.ReLU()
            else:
                modules[name] = nn.Identity() if remove_pooling else nn.MaxPool2d(2, pooling_stride)
        self.vgg_net = nn.Sequential(modules)
        if use_input_norm:
            self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        if self.range_norm:
            x = (x + 1) / 2
        if self.use_input_norm:
            x = (x - self.get_buffer("mean")) / self.get_buffer("std")
        maps: dict[str, Tensor] = {}
        for name, module in self.vgg_net.named_children():
            x = module(x)
            if name in self.layers:
                maps[name] = x
        return {name: maps[name] for name in self.layers}


def layer_names(layers: Sequence[str], vgg: str = "vgg19") -> list[str]:
    """All layers up to the last of `layers`, in order. Raises UsageError for an unknown network or layer, or for none."""
    if vgg not in CONVOLUTIONS:
        raise UsageError(f"there is no network {vgg!r}", what_to_do=f"use one of: {', '.join(get_args(Kind))}")
    every: list[str] = []
    for block, count in enumerate(CONVOLUTIONS[vgg], start=1):
        for number in range(1, count + 1):
            every += [f"conv{block}_{number}", f"relu{block}_{number}"]
        every.append(f"pool{block}")
    if unknown := [name for name in layers if name not in every]:
        raise UsageError(f"{vgg} has no layer {unknown[0]!r}", what_to_do=f"use some of: {', '.join(every)}")
    if not layers:
        raise UsageError("no layer is asked for", what_to_do=f"use some of: {', '.join(every)}")
    return every[: 1 + max(every.index(name) for name in layers)]


def from_torchvision(state: Mapping[str, Tensor], layers: Sequence[str], vgg: str = "vgg19") -> dict[str, Tensor]:
    """A torchvision file's `features.N.weight` and `.bias` under the names of `VGGFeatures(layers, vgg)`, with ImageNet's mean and std.

    What lies behind the last of `layers`, the classifier with it, is left out. Raises ModelError where the file lacks one of them.
    """
    renamed = {
        "mean": torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1),
        "std": torch.tensor(IMAGENET_STD).view(1, 3, 1, 1),
    }
    for number, name in enumerate(layer_names(layers, vgg)):
        for part in ("weight", "bias") if name.startswith("conv") else ():
            key = f"features.{number}.{part}"
            if key not in state:
                raise ModelError(f"this is no {vgg} of torchvision", f"it has no {key} for {name}")
            renamed[f"vgg_net.{name}.{part}"] = state[key]
    return renamed
