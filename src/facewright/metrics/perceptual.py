"""LPIPS and DISTS: the distance of two pictures in the eyes of a network that is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.colour import checked_pair, unit
from facewright.metrics.conventions import Convention
from facewright.metrics.conventions import convention as named

SMALLEST = 32
"""Pixels of the shorter side, so that something is left in the last maps of every trunk."""


class PairJudge(Protocol):
    """nets.lpips.LPIPS, nets.dists.DISTS: features of N x 3 x H x W, and the distance of two of those, N numbers in any shape."""

    def features(self, pictures: Tensor, /) -> list[Tensor]: ...

    def distance(self, first: list[Tensor], second: list[Tensor], /) -> Tensor: ...


def lpips(restored: Tensor, truth: Tensor, network: PairJudge, *, convention: str | Convention = "gfpgan", batch: int = 8) -> Tensor:
    """`lpips[vgg, gfpgan]` and others: the distance that LPIPS' `network` sees; which trunk it has is the caller's to say.

    restored, truth: N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8. convention: in which order and range the network is shown them.
    batch: pictures at a time. Returns N values, float64, at least 0. Raises InputError for different shapes, NaN, and sides below 32.
    Under `torch.autocast("cpu", torch.bfloat16)` it is about three times faster where the processor has it, and up to 0.8 % off.
    """
    return lpips_each([restored], truth, network, convention=convention, batch=batch)[0]


def lpips_each(
    restored: Sequence[Tensor], truth: Tensor, network: PairJudge, *, convention: str | Convention = "gfpgan", batch: int = 8
) -> list[Tensor]:
    """`lpips` of several restorations of the same truth, which the network sees only once: nearly half the time."""
    rule = named(convention).lpips

    def shown(pictures: Tensor) -> Tensor:
        pictures = pictures.flip(1) if rule.order == "bgr" else pictures
        return 2 * pictures - 1 if rule.signed else pictures

    return _judged(restored, truth, network, batch, shown)


def dists(restored: Tensor, truth: Tensor, network: PairJudge, *, batch: int = 8) -> Tensor:
    """`dists[vgg]`: the distance that DISTS' `network` sees, without resizing. Arguments, result and errors as `lpips`."""
    return dists_each([restored], truth, network, batch=batch)[0]


def dists_each(restored: Sequence[Tensor], truth: Tensor, network: PairJudge, *, batch: int = 8) -> list[Tensor]:
    """`dists` of several restorations of the same truth, which the network sees only once."""
    return _judged(restored, truth, network, batch, lambda pictures: pictures)


def _judged(restored: Sequence[Tensor], truth: Tensor, network: PairJudge, batch: int, shown: Callable[[Tensor], Tensor]) -> list[Tensor]:
    pairs = [checked_pair(each, truth) for each in restored]
    if min(truth.shape[-2:]) < SMALLEST:
        size = " x ".join(str(side) for side in reversed(truth.shape[-2:]))
        raise InputError("these pictures are too small for the network that judges them", f"they are {size}, it needs {SMALLEST}")

    def features(pictures: Tensor) -> list[Tensor]:
        # channels last: a processor convolves pictures so up to twice as fast
        return network.features(shown(unit(pictures).float()).contiguous(memory_format=torch.channels_last))

    values: list[list[Tensor]] = [[] for _ in pairs]
    with torch.inference_mode():
        for start in range(0, len(truth), batch):
            part = slice(start, start + batch)
            wanted = features(pairs[0][1][part])
            for found, (pictures, _) in zip(values, pairs, strict=True):
                found.append(network.distance(features(pictures[part]), wanted).flatten().double())
    return [torch.cat(each) for each in values]
