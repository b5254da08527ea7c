"""JPEG as arithmetic on tensors: differentiable, on any device (Real-ESRGAN's DiffJPEG, after Shin and Song 2017).

Near `steps.jpeg`, not equal to it: the coder's tables are rounded integers, and its chroma comes back interpolated.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BEST_QUALITY = 99.5
"""The published formula divides by (200 - 2 q) / 100 times the table: at 100 the whole picture is NaN. We stop here instead, where the
table is a hundredth, finer than 8 bits can tell."""


def diffjpeg(pictures: Tensor, quality: Tensor | float, *, differentiable: bool = True) -> Tensor:
    """pictures: N x 3 x H x W RGB in [0, 1]; quality: one number, or N of them. Returns the same shape in [0, 1].

    differentiable: rounding is round(x) + (x - round(x))^3, whose derivative is not zero; else torch.round. Sides that are no multiple of
    16 are continued with black, as published. Quirk kept: both tables are transposed against the order of the coefficients.
    """
    count, _, height, width = pictures.shape
    quality = torch.as_tensor(quality, dtype=pictures.dtype, device=pictures.device).expand(count).clamp(1, BEST_QUALITY)
    factor = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1, 1) / 100

    ycc = _to_ycc(F.pad(pictures * 255, (0, -width % 16, 0, -height % 16)))
    luma = _coded(ycc[:, :1], _luminance(pictures) * factor, differentiable)
    chroma = _coded(F.avg_pool2d(ycc[:, 1:], 2), _chrominance(pictures) * factor, differentiable)
    chroma = chroma.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    rgb = _to_rgb(torch.cat([luma, chroma], dim=1)).clamp(0, 255) / 255
    return rgb[..., :height, :width]


def _coded(planes: Tensor, table: Tensor, differentiable: bool) -> Tensor:
    """N x C x H x W, sides multiples of 8, in 0..255: into cosines, divided by the table (N x 1 x 1 x 8 x 8), rounded, and back."""
    n, c, h, w = planes.shape
    dct = _cosines(planes)
    blocks = planes.reshape(n, c, h // 8, 8, w // 8, 8).transpose(3, 4).reshape(n, c, -1, 8, 8) - 128
    frequencies = _rounded(dct @ blocks @ dct.T / table, differentiable) * table
    blocks = dct.T @ frequencies @ dct + 128
    return blocks.reshape(n, c, h // 8, w // 8, 8, 8).transpose(3, 4).reshape(n, c, h, w)


def _rounded(x: Tensor, differentiable: bool) -> Tensor:
    near = torch.round(x)
    return near + (x - near) ** 3 if differentiable else near


def _to_ycc(rgb: Tensor) -> Tensor:
    matrix = rgb.new_tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return torch.einsum("yc,nchw->nyhw", matrix, rgb) + rgb.new_tensor([0.0, 128.0, 128.0]).view(3, 1, 1)


def _to_rgb(ycc: Tensor) -> Tensor:
    matrix = ycc.new_tensor([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
    return torch.einsum("cy,nyhw->nchw", matrix, ycc - ycc.new_tensor([0.0, 128.0, 128.0]).view(3, 1, 1))


def _cosines(like: Tensor) -> Tensor:
    """8 x 8: row u holds the cosine of frequency u, orthonormal, which is the standard's 1/4 alpha(u) alpha(v) taken in two halves."""
    return torch.as_tensor(_orthonormal(), dtype=like.dtype, device=like.device)


@functools.cache
def _orthonormal() -> np.ndarray:
    u, x = np.mgrid[:8, :8]
    return np.asarray(np.cos((2 * x + 1) * u * np.pi / 16) * np.where(u == 0, np.sqrt(1 / 8), 0.5))


def _luminance(like: Tensor) -> Tensor:
    """The standard's table K.1, transposed (see `diffjpeg`)."""
    rows = (
        (16, 11, 10, 16, 24, 40, 51, 61),
        (12, 12, 14, 19, 26, 58, 60, 55),
        (14, 13, 16, 24, 40, 57, 69, 56),
        (14, 17, 22, 29, 51, 87, 80, 62),
        (18, 22, 37, 56, 68, 109, 103, 77),
        (24, 35, 55, 64, 81, 104, 113, 92),
        (49, 64, 78, 87, 103, 121, 120, 101),
        (72, 92, 95, 98, 112, 100, 103, 99),
    )
    return like.new_tensor(rows).T


def _chrominance(like: Tensor) -> Tensor:
    table = like.new_full((8, 8), 99)
    table[:4, :4] = like.new_tensor(((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99)))
    return table.T
