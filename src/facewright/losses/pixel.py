"""Losses on pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional as F

from facewright.errors import UsageError

Reduction = Literal["mean", "sum", "none"]


def l1(restored: Tensor, truth: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean") -> Tensor:
    """|restored - truth|, N x C x H x W each.

    weight: of the elements, N x C x H x W or N x 1 x H x W. With one, "mean" divides by the sum of the weights and not by the number of
    elements, as published. Raises UsageError for an unknown reduction or a weight of another shape.
    """
    return _reduced((restored - truth).abs(), weight, reduction)


def mse(restored: Tensor, truth: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean") -> Tensor:
    """(restored - truth)^2; the rest as in `l1`."""
    return _reduced((restored - truth).square(), weight, reduction)


def charbonnier(
    restored: Tensor, truth: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean", *, eps: float = 1e-12
) -> Tensor:
    """sqrt((restored - truth)^2 + eps), an L1 that is smooth at 0 (Lai et al. 2017); the rest as in `l1`."""
    return _reduced(((restored - truth).square() + eps).sqrt(), weight, reduction)


def _reduced(loss: Tensor, weight: Tensor | None, reduction: Reduction) -> Tensor:
    if reduction not in get_args(Reduction):
        raise UsageError(f"there is no reduction {reduction!r}", what_to_do=f"use one of: {', '.join(get_args(Reduction))}")
    if weight is not None:
        if weight.ndim != loss.ndim or weight.shape[1] not in (1, loss.shape[1]):
            raise UsageError(f"weights of the shape {tuple(weight.shape)} do not fit pictures of the shape {tuple(loss.shape)}")
        loss = loss * weight
        if reduction == "mean":
            return loss.sum() / weight.expand_as(loss).sum()
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def pyramid_l1(pyramid: Sequence[Tensor], truth: Tensor) -> Tensor:
    """GFPGAN's pyramid restoration guidance: sum of the L1 of each U-Net picture against the truth halved to its size.

    pyramid: pictures N x 3 x r x r, r = 8, 16, .. R in rising order; truth: N x 3 x R x R, same range.
    """
    loss = truth.new_zeros(())
    for picture in reversed(pyramid):
        truth = halved_to(truth, picture.shape[-1])
        loss = loss + F.l1_loss(picture, truth)
    return loss


def halved_to(truth: Tensor, size: int) -> Tensor:
    """N x C x R x R to N x C x size x size, R / size a power of two: bilinear halving, which is the mean of 2 x 2."""
    while truth.shape[-1] > size:
        truth = F.avg_pool2d(truth, 2)
    return truth


def grid_l1(restored: Tensor, truth: Tensor, period: int) -> Tensor:
    """What the error has of a pattern with the network's own grid, `period` pixels: 0 for an error that does not know the grid.

    A network that folds period x period pixels into channels can err differently at each of those places; the eye sees dots. The
    error at each place, averaged over 4 x 4 neighbours of its kind, should be the mean over all places.
    restored, truth: N x C x H x W, H and W multiples of 4 * period.
    """
    places = F.avg_pool2d(F.pixel_unshuffle(restored - truth, period), 4)
    places = places.reshape(len(places), -1, period**2, *places.shape[2:])
    loss: Tensor = (places - places.mean(2, keepdim=True)).abs().mean()
    return loss


def artifact_l1(restored: Tensor, truth: Tensor, window: int = 7) -> Tensor:
    """LDL's artifact loss: the error counts as much as it varies around its place.

    mean |M r|, r = truth - restored, M = var(r)^(1/5) times the variance of r in window x window (Liang, Zeng, Zhang, "Details or
    Artifacts", CVPR 2022, arXiv:2203.09195, section 3.2, without the refinement by a second, averaged network). Detail that is invented in
    the wrong place errs to both sides within a few pixels; detail that is missing errs smoothly. restored, truth: N x C x H x W.
    """
    error = (truth - restored).detach()
    around = F.pad(error, [window // 2] * 4, "reflect")
    variance = (F.avg_pool2d(around.square(), window, 1) - F.avg_pool2d(around, window, 1).square()).clamp(min=0)
    whole = error.flatten(1).var(1).pow(0.2)[:, None, None, None]
    return (whole * variance * (truth - restored).abs()).mean()
