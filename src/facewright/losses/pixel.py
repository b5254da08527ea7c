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
