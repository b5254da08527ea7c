"""Whether two networks are the same: by the pictures that they make of a probe, or else by their tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from facewright.weights import Model

# Largest difference as a share of the largest value, at least 1: the range of a picture is -1 to 1.
ALLOWED = {"same": 0.0, "converted": 1e-3, "fp16": 5e-2}
ENLARGERS = ("realesrgan", "realesrgan.compact")


def can_run(model: Model) -> bool:
    """Whether this network makes pictures that can be compared."""
    return model.architecture in ("gfpgan", "stylegan2", "restoreformer", *ENLARGERS)


@torch.no_grad()
def difference(first: Model, second: Model) -> float:
    """The largest one, of pictures (relative where they go beyond -1 .. 1), or of tensors where the network makes none."""
    if can_run(first):
        return apart(picture(first), picture(second))
    ours, theirs = first.net.state_dict(), second.net.state_dict()
    if ours.keys() != theirs.keys():
        return float("inf")
    return max((apart(value, theirs[name]) for name, value in ours.items()), default=0.0)


def apart(first: Tensor, second: Tensor) -> float:
    first, second = first.double(), second.double()
    return float((first - second).abs().max() / max(1.0, float(first.abs().max())))


def picture(model: Model) -> Tensor:
    """What the network makes of the probe, with the noise of seed 0."""
    net, arguments = model.net, model.arguments
    if model.architecture == "stylegan2":
        style = torch.randn(1, arguments["num_style_feat"], generator=torch.Generator().manual_seed(1))
        made: Tensor = net([style], noise=model.noise("seeded"))[0]
    elif model.architecture == "gfpgan":
        made = net(crop(arguments["out_size"]), return_rgb=False, noise=model.noise("seeded"))[0]
    elif model.architecture == "restoreformer":
        made = net(crop(arguments["resolution"]))
    else:
        made = net((crop(32, arguments["num_in_ch"]) + 1) / 2)
    return made


def crop(side: int, colours: int = 3) -> Tensor:
    """1 x colours x side x side in [-1, 1]: something large and something fine, the same at each call."""
    generator = torch.Generator().manual_seed(0)
    large = F.interpolate(torch.rand(1, colours, 4, 4, generator=generator) * 2 - 1, size=(side, side), mode="bilinear")
    return (large + 0.1 * torch.randn(1, colours, side, side, generator=generator)).clamp(-1, 1)
