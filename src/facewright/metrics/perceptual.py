"""LPIPS and DISTS: the distance of two pictures in the eyes of a network that is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.colour import checked_pair
from facewright.metrics.conventions import Convention
from facewright.metrics.conventions import convention as named

SMALLEST = 32
"""Pixels of the shorter side, so that something is left in the last maps of every trunk."""


class PairJudge(Protocol):
    """Two batches N x 3 x H x W in, N numbers out, in any shape: nets.lpips.LPIPS, nets.dists.DISTS."""

    def __call__(self, first: Tensor, second: Tensor, /) -> Tensor: ...


def lpips(restored: Tensor, truth: Tensor, network: PairJudge, *, convention: str | Convention = "gfpgan", batch: int = 8) -> Tensor:
    """`lpips[vgg, gfpgan]` and others: the distance that LPIPS' `network` sees; which trunk it has is the caller's to say.

    restored, truth: N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8. convention: in which order and range the network is shown them.
    batch: pictures at a time. Returns N values, float64, at least 0. Raises InputError for different shapes, NaN, too small pictures.
    """
    rule = named(convention).lpips

    def shown(pictures: Tensor) -> Tensor:
        pictures = pictures.flip(1) if rule.order == "bgr" else pictures
        return 2 * pictures - 1 if rule.signed else pictures

    return _judged(restored, truth, network, batch, shown)


def dists(restored: Tensor, truth: Tensor, network: PairJudge, *, batch: int = 8) -> Tensor:
    """`dists[vgg]`: the distance that DISTS' `network` sees, without resizing. Arguments, result and errors as `lpips`."""
    return _judged(restored, truth, network, batch, lambda pictures: pictures)


def _judged(restored: Tensor, truth: Tensor, network: PairJudge, batch: int, shown: Callable[[Tensor], Tensor]) -> Tensor:
    a, b = checked_pair(restored, truth)
    values = []
    if min(a.shape[-2:]) < SMALLEST:
        size = " x ".join(str(side) for side in reversed(a.shape[-2:]))
        raise InputError("these pictures are too small for the network that judges them", f"they are {size}, it needs {SMALLEST}")
    with torch.inference_mode():
        values = [network(shown(a[part].float()), shown(b[part].float())).flatten().double() for part in _parts(len(a), batch)]
    return torch.cat(values)


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
