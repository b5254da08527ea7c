"""Any degradation over a batch of tensors: seeded, the numbers of each picture drawn or given.

On a processor every picture goes through `Degradation.apply`, so that a batch is its pictures to the bit. On another device, and with the
differentiable JPEG, a first-order degradation is done in tensors: before the noise the same within `fused.TOLERANCE`, a quarter of a level;
in the result a level here and there, and some levels where the coder rounded the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.degrade import colours, steps
from facewright.degrade.colours import Jitter
from facewright.degrade.diffjpeg import diffjpeg
from facewright.degrade.fused import operators
from facewright.degrade.kernels import gaussian_kernel
from facewright.degrade.pipeline import Degradation, Draws, FirstOrder
from facewright.errors import UsageError

Jpeg = Literal["cv2", "diff"]


def degrade(
    clean: Tensor,
    degradation: Degradation,
    random: np.random.Generator | Sequence[Any],
    *,
    jpeg: Jpeg = "cv2",
    threads: int = 1,
) -> tuple[Tensor, Tensor]:
    """(damaged, truth), each N x 3 x H x W RGB in [0, 1] (a second-order degradation's damaged pictures are smaller).

    clean: N x 3 x H x W float32 in [0, 1], on any device. random: a generator, from which the pictures draw one after the other, or N
    draws. jpeg: "cv2", the coder itself, on the processor; "diff", arithmetic on the device, through which derivatives flow (the last
    rounding to 256 levels lets them pass). threads: pictures at once, on a processor.
    Raises UsageError for "diff" with a degradation that is not first-order, or another number of draws than of pictures.
    """
    if isinstance(random, np.random.Generator):
        random = [degradation.draw(random) for _ in range(len(clean))]
    if len(random) != len(clean):
        raise UsageError(f"{len(random)} draws cannot damage {len(clean)} pictures", what_to_do="give one for each picture")
    if jpeg == "diff" and not isinstance(degradation, FirstOrder):
        raise UsageError("only a first-order degradation has a differentiable JPEG", what_to_do="use jpeg='cv2'")
    if isinstance(degradation, FirstOrder) and (jpeg == "diff" or clean.device.type != "cpu"):
        damaged = [_in_tensors(picture, draws, jpeg) for picture, draws in zip(clean, random, strict=True)]
        truth = [
            _grey(picture) if draws.grey and degradation.grey_target else picture for picture, draws in zip(clean, random, strict=True)
        ]
        return torch.stack(damaged), torch.stack(truth)

    pictures = clean.detach().float().cpu().numpy().transpose(0, 2, 3, 1)
    room = np.empty(pictures.shape, np.float32) if isinstance(degradation, FirstOrder) else None

    def one(index: int) -> tuple[steps.Image, steps.Image | None]:
        picture, draws = pictures[index], random[index]
        written = {} if room is None else {"out": room[index]}
        truth = degradation.truth(picture, draws)
        return degradation.apply(picture, draws, **written), None if truth is picture else truth

    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            pairs = list(pool.map(one, range(len(clean))))
    else:
        pairs = [one(index) for index in range(len(clean))]
    result = _planes(np.stack([each for each, _ in pairs]) if room is None else room, clean.device)
    if all(other is None for _, other in pairs):
        return result, clean
    truths = np.stack([picture if other is None else other for picture, (_, other) in zip(pictures, pairs, strict=True)])
    return result, _planes(truths, clean.device)


def _planes(pictures: steps.Image, device: torch.device) -> Tensor:
    """N x H x W x 3 to N x 3 x H x W, channels last in memory."""
    return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2)


def _in_tensors(clean: Tensor, draws: Draws, jpeg: Jpeg) -> Tensor:
    """`FirstOrder.apply` on one picture, 3 x H x W."""
    height, width = clean.shape[1:]
    x = _blurred_and_shrunk(clean, draws)
    if draws.haze is not None:
        x = draws.haze * x + (1 - draws.haze)
    noise = torch.from_numpy(draws.noise(x.shape[2], x.shape[1])).to(x.device).permute(2, 0, 1)
    x = (x + noise * (draws.noise_sigma / 255)).clamp(0, 1)
    if draws.quality is not None:
        x = diffjpeg(x[None], draws.quality)[0] if jpeg == "diff" else _coded(x, draws.quality)
    x = F.interpolate(x[None], (height, width), mode="bilinear", align_corners=False)[0]
    if draws.shift is not None:
        x = (x + x.new_tensor(draws.shift).view(3, 1, 1)).clamp(0, 1)
    if draws.grey:
        x = _grey(x)
    if draws.jitter is not None:
        x = _jittered(x, draws.jitter)
    levels = (x * 255).clamp(0, 255)
    return (levels + (levels.round() - levels).detach()) / 255


def _blurred_and_shrunk(clean: Tensor, draws: Draws) -> Tensor:
    height, width = clean.shape[1:]
    small = draws.small(width, height)
    kernel = gaussian_kernel(draws.kernel_size, draws.sigma_x, draws.sigma_y, draws.theta)
    if draws.kernel_size >= 2 * min(height, width):
        weight = torch.from_numpy(kernel).to(clean).expand(3, 1, -1, -1)
        # torch's reflection reaches once over the picture, OpenCV's as often as it must
        side = draws.kernel_size // 2
        rows, columns = (_reflected(n, side).to(clean.device) for n in (height, width))
        blurred = F.conv2d(clean[:, rows][:, :, columns][None], weight, groups=3)
        return F.interpolate(blurred, (small[1], small[0]), mode="bilinear", align_corners=False)[0]
    down, across = (torch.from_numpy(np.ascontiguousarray(m)).to(clean) for m in operators(kernel, height, width, *small))
    by_term = torch.einsum("yrh,chw->rcyw", down, clean)
    return torch.einsum("rcyw,xrw->cyx", by_term, across)


def _reflected(n: int, margin: int) -> Tensor:
    """Border reflect-101 as places: -margin .. n + margin - 1 folded into 0 .. n - 1."""
    period = max(1, 2 * n - 2)
    place = torch.arange(-margin, n + margin) % period
    return torch.minimum(place, period - place) if n > 1 else torch.zeros_like(place)


def _coded(x: Tensor, quality: int) -> Tensor:
    image = x.detach().permute(1, 2, 0).cpu().numpy()
    return torch.from_numpy(steps.jpeg(np.ascontiguousarray(image), quality)).to(x.device).permute(2, 0, 1)


def _grey(x: Tensor) -> Tensor:
    return _luma(x, (0.299, 0.587, 0.114)).expand(3, -1, -1)


def _luma(x: Tensor, weights: tuple[float, float, float]) -> Tensor:
    return (x * x.new_tensor(weights).view(3, 1, 1)).sum(dim=0, keepdim=True)


def _jittered(x: Tensor, adjustments: Jitter) -> Tensor:
    """`colours.jitter` on 3 x H x W."""
    for name, factor in adjustments:
        if name == "brightness":
            x = (x * factor).clamp(0, 1)
        elif name == "hue":
            x = _hue(x, factor)
        else:
            luma = _luma(x, colours.LUMA)
            x = (x * factor + (luma.mean() if name == "contrast" else luma) * (1 - factor)).clamp(0, 1)
    return x


def _hue(x: Tensor, turn: float) -> Tensor:
    value, least = x.amax(dim=0), x.amin(dim=0)
    span = value - least
    red, green, blue = x
    safe = torch.where(span > 0, span, torch.ones_like(span))
    sixths = torch.where(
        value == red, (green - blue) / safe, torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    )
    sixths = (sixths + 6 * turn) % 6
    # each channel falls from `value` by `span` over the two sixths in which it is not the largest
    away = (x.new_tensor([5.0, 3.0, 1.0]).view(3, 1, 1) + sixths) % 6
    return (value - span * torch.minimum(away, 4 - away).clamp(0, 1)).clamp(0, 1)
