"""Losses on pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


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
