"""Perceptual and style loss over the feature maps of a classifier (Johnson et al. 2016, arXiv:1603.08155; Gatys et al. 2016).

The network is handed in; it is frozen by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import UsageError

Criterion = Literal["l1", "l2", "fro"]
Features = Callable[[Tensor], Mapping[str, Tensor]]
"""Pictures N x 3 x H x W to {layer: N x C x h x w}, as `facewright.nets.vgg.VGGFeatures`."""


class PerceptualLoss:
    """Perceptual: distance of the maps of each layer. Style: distance of their Gram matrices. Both summed with `layer_weights`.

    criterion: "l1" and "l2" are means of the absolute and squared difference, "fro" the Frobenius norm of all of it. The terms are
    returned with their weights in; one with a weight of 0 is not computed. Raises UsageError for an unknown criterion.
    """

    def __init__(
        self,
        features: Features,
        layer_weights: Mapping[str, float],
        criterion: Criterion = "l1",
        perceptual_weight: float = 1.0,
        style_weight: float = 0.0,
    ) -> None:
        if criterion not in get_args(Criterion):
            raise UsageError(f"there is no criterion {criterion!r}", what_to_do=f"use one of: {', '.join(get_args(Criterion))}")
        self.features, self.layer_weights, self.criterion = features, dict(layer_weights), criterion
        self.perceptual_weight, self.style_weight = perceptual_weight, style_weight

    def __call__(self, restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """restored, truth: N x 3 x H x W in the range of the features. Returns {"perceptual": .., "style": ..}, scalars.

        The truth is a constant.
        """
        with torch.no_grad():
            wanted = self.features(truth.detach())
        found = self.features(restored)
        losses: dict[str, Tensor] = {}
        if self.perceptual_weight > 0:
            losses["perceptual"] = self.perceptual_weight * self._sum(found, wanted)
        if self.style_weight > 0:
            grams = ({layer: gram(maps[layer]) for layer in self.layer_weights} for maps in (found, wanted))
            losses["style"] = self.style_weight * self._sum(*grams)
        return losses

    def _sum(self, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
        terms = [weight * self._distance(found[layer], wanted[layer]) for layer, weight in self.layer_weights.items()]
        return torch.stack(terms).sum()

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = a.float(), b.float()
        if self.criterion == "fro":
            norm: Tensor = torch.linalg.vector_norm(a - b)
            return norm
        return F.l1_loss(a, b) if self.criterion == "l1" else F.mse_loss(a, b)


def gram(features: Tensor) -> Tensor:
    """F F^T / (C h w), the correlations of the channels: N x C x h x w to N x C x C, in float32."""
    _, c, h, w = features.shape
    # a sum over h * w places: half precision would lose it, also under autocast
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / (c * h * w)
