"""RoIAlign: boxes of a picture, resampled to one size, differentiable with respect to the picture.

He et al., "Mask R-CNN", ICCV 2017, arXiv:1703.06870, in the legacy form that GFPGAN's component crops use: coordinates are pixel
indices (no half pixel is taken off), and every output cell averages as many bilinear samples as it covers pixels.

Averaging, interpolating and the rule for samples outside are all products of a row's and a column's part. So a box is A_y X A_x^T
with one small matrix an axis, and all boxes are two batched matrix products over the pieces of picture that they lie on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Window = tuple[int, int, int]
"""(index of the picture, top, left) of a piece of it."""


def roi_align(pictures: Tensor, boxes: Tensor, output_size: int) -> Tensor:
    """pictures: N x C x H x W; boxes: K x 5, each (index of the picture, x1, y1, x2, y2) in pixels. Returns K x C x out x out.

    A box is at least one pixel wide and high. Samples more than a pixel outside the picture count as 0, nearer ones as the nearest
    pixel. The result can be differentiated as often as one likes with respect to `pictures`, and not with respect to `boxes`. Call it
    outside of autocast: half precision would round the places.
    """
    count, (height, width) = len(boxes), pictures.shape[2:]
    if count == 0:
        return pictures.new_zeros(0, pictures.shape[1], output_size, output_size)
    box = boxes.detach().float().cpu()  # once: a window is a slice, and the matrices are small
    down, top, rows = _axis(box[:, 2], box[:, 4], height, output_size)
    along, left, columns = _axis(box[:, 1], box[:, 3], width, output_size)
    windows = torch.stack([box[:, 0].long(), top, left], 1).tolist()
    pieces: Tensor = _Cut.apply(pictures, [tuple(window) for window in windows], (rows, columns))  # type: ignore[no-untyped-call]
    down, along = (matrix[:, None].to(pieces.device, pieces.dtype, non_blocking=True) for matrix in (down, along))
    return down @ pieces @ along.transpose(2, 3)


def _axis(start: Tensor, end: Tensor, size: int, out: int) -> tuple[Tensor, Tensor, int]:
    """One axis of K boxes: the matrices K x out x r that average r pixels into `out`, the first pixel of each, and r."""
    extent = (end - start).clamp(min=1.0)
    cell = (extent / out)[:, None, None]
    samples = torch.ceil(extent / out)[:, None, None]  # a cell
    which = torch.arange(int(samples.max()))
    place = start[:, None, None] + torch.arange(out)[:, None] * cell + (which + 0.5) * cell / samples
    counts = (which < samples) & (place >= -1) & (place <= size)

    place = place.clamp(min=0)
    low = place.floor().long().clamp(max=size - 1)
    high = (low + 1).clamp(max=size - 1)
    part = torch.where(high > low, place - low, torch.zeros_like(place))

    first = low.flatten(1).amin(1)
    reach = int((high.flatten(1).amax(1) - first).max()) + 1
    first = first.clamp(max=size - reach)
    matrix = place.new_zeros(len(start), out, reach)
    share = counts / samples
    for pixel, weight in ((low, 1 - part), (high, part)):
        matrix.scatter_add_(2, pixel - first[:, None, None], weight * share)
    return matrix, first, reach


class _Cut(torch.autograd.Function):
    """K windows of h x w out of pictures: K x C x h x w. Slicing alone would make a whole empty picture for each window's gradient."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, windows: Sequence[Window], size: tuple[int, int]) -> Tensor:
        ctx.windows, ctx.shape = windows, pictures.shape
        h, w = size
        return torch.stack([pictures[index, :, top : top + h, left : left + w] for index, top, left in windows])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Add.apply(gradients[0], ctx.windows, ctx.shape), None, None  # type: ignore[no-untyped-call]


class _Add(torch.autograd.Function):
    """The transpose of `_Cut`: windows added into empty pictures of the given shape."""

    @staticmethod
    def forward(ctx: Any, pieces: Tensor, windows: Sequence[Window], shape: torch.Size) -> Tensor:
        h, w = ctx.size = pieces.shape[2:]
        ctx.windows = windows
        pictures = pieces.new_zeros(shape)
        for piece, (index, top, left) in zip(pieces, windows, strict=True):
            pictures[index, :, top : top + h, left : left + w] += piece
        return pictures

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Cut.apply(gradients[0], ctx.windows, ctx.size), None, None  # type: ignore[no-untyped-call]
