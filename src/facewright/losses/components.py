"""Facial component loss of GFPGAN (Wang et al. 2021, eq. 7): the style part, in the feature space of a component's discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.losses.perceptual import gram

MAP_WEIGHTS = (0.5, 1.0)
"""Of the finer and the coarser feature map."""


def component_style_loss(restored: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Mean L1 of the Gram matrices of two feature maps of one component, the first at half weight; a scalar.

    restored, truth: the maps that `facewright.nets.gfpgan.FacialComponentDiscriminator` returns for the two crops, N x C x h x w each,
    finer first; the truth is a constant.
    """
    terms = [
        weight * F.l1_loss(gram(ours), gram(theirs.detach())) for weight, ours, theirs in zip(MAP_WEIGHTS, restored, truth, strict=True)
    ]
    return torch.stack(terms).sum()
