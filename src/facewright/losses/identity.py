"""Identity-preserving loss of GFPGAN (Wang et al. 2021, eq. 8): the distance of two face embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


class ArcFaceIdentityLoss:
    """Mean L1 of the raw embeddings, not normalised, as published.

    embed: pictures N x 3 x S x S in [-1, 1] to N x D embeddings, of a frozen network: `facewright.nets.arcface.ResNetArcFace.embed`.
    """

    def __init__(self, embed: Callable[[Tensor], Tensor]) -> None:
        self.embed = embed

    def __call__(self, restored: Tensor, truth: Tensor) -> Tensor:
        """restored, truth: N x 3 x S x S in [-1, 1]; the truth is a constant. Returns a scalar."""
        with torch.no_grad():
            wanted = self.embed(truth.detach())
        return F.l1_loss(self.embed(restored).float(), wanted.float())
