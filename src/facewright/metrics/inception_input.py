"""Pictures as Inception-v3 is shown them for FID: every program has its own way to 299 pixels, and the way moves the number."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import UsageError
from facewright.metrics.colour import checked, unit

Resize = Literal["pytorch-fid", "torch-fidelity", "clean-fid"]
SIZE = 299


def inception_input(pictures: Tensor, resize: Resize = "pytorch-fid") -> Tensor:
    """pictures: N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8. Returns N x 3 x 299 x 299, float32, in [-1, 1] (nearly).

    resize: "pytorch-fid" bilinear without antialiasing (also BasicSR's, so GFPGAN's, VQFR's and CodeFormer's); "torch-fidelity"
    TensorFlow 1's bilinear of whole levels; "clean-fid" antialiased bicubic of whole levels, as Pillow's on floating pictures.
    Raises UsageError for another word, InputError as all metrics.
    """
    if resize not in get_args(Resize):
        raise UsageError(f"there is no way to resize {resize!r}", what_to_do=f"use one of: {', '.join(get_args(Resize))}")
    pictures = unit(checked(pictures))
    if resize == "pytorch-fid":
        return 2 * F.interpolate(pictures.float(), size=(SIZE, SIZE), mode="bilinear", align_corners=False) - 1
    levels = (pictures.double() * 255).round().clamp(0, 255)
    return (((bilinear_tf1(levels) if resize == "torch-fidelity" else bicubic_pillow(levels)) - 128) / 128).float()


def bilinear_tf1(pictures: Tensor, size: int = SIZE) -> Tensor:
    """TensorFlow 1's: the first pixel of the result is the first of the picture. ... x H x W to ... x size x size."""
    return _tf1_rows(pictures.shape[-2], size).to(pictures) @ pictures @ _tf1_rows(pictures.shape[-1], size).to(pictures).T


def bicubic_pillow(pictures: Tensor, size: int = SIZE) -> Tensor:
    """Pillow's antialiased bicubic for one floating channel, clipped to 0..255, not rounded. ... x H x W to ... x size x size."""
    rows, columns = (_pillow_rows(length, size).to(pictures) for length in pictures.shape[-2:])
    return (rows @ pictures @ columns.T).clamp(0, 255)


@lru_cache(maxsize=16)
def _tf1_rows(length: int, size: int) -> Tensor:
    """size x length: what each old pixel gives to each new one."""
    # in single precision, where TensorFlow computes the places
    place = torch.arange(size, dtype=torch.float32) * torch.tensor(length / size, dtype=torch.float32)
    first = place.floor().long().clamp(max=length - 1)
    part = (place - first).double()
    rows = torch.zeros(size, length, dtype=torch.float64)
    each = torch.arange(size)
    rows[each, first] += 1 - part
    rows[each, (first + 1).clamp(max=length - 1)] += part
    return rows


@lru_cache(maxsize=16)
def _pillow_rows(length: int, size: int) -> Tensor:
    """The kernel, a = -0.5, is stretched where the picture shrinks; what lies beyond the edges is left out, the rest sums to 1."""
    scale = length / size
    stretch = max(scale, 1.0)
    rows = torch.zeros(size, length, dtype=torch.float64)
    for row in range(size):
        centre = (row + 0.5) * scale
        low, high = max(0, int(centre - 2 * stretch + 0.5)), min(length, int(centre + 2 * stretch + 0.5))
        weights = torch.tensor([_keys((place - centre + 0.5) / stretch) for place in range(low, high)], dtype=torch.float64)
        rows[row, low:high] = weights / weights.sum()
    return rows


def _keys(x: float) -> float:
    x = math.fabs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0
