"""LPIPS as a training loss, the way BasicSR's descendants call it. The network is handed in; it is frozen by the caller."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Judge = Callable[[Tensor, Tensor], Tensor]
"""Two batches N x 3 x H x W to N distances of any shape, as `facewright.nets.lpips.LPIPS`."""


def lpips_loss(judge: Judge, restored: Tensor, truth: Tensor, *, range_norm: bool = True, use_input_norm: bool = True) -> Tensor:
    """The mean distance of the batch. restored, truth: N x 3 x H x W in [-1, 1], of which the truth is a constant.

    range_norm: bring both to [0, 1] first; use_input_norm: then take ImageNet's mean off and divide by its deviation. Published quirk, both
    are on: the network scales its input once more and expects [-1, 1], so that it sees shifted colours of more than twice the contrast.
    """
    pictures = [truth.detach(), restored]
    if range_norm:
        pictures = [(picture + 1) / 2 for picture in pictures]
    if use_input_norm:
        mean, deviation = (truth.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        pictures = [(picture - mean) / deviation for picture in pictures]
    return judge(*pictures).mean()
