"""What a learned codebook and the prediction of its codes are trained with, unweighted, and how evenly the codes are used.

Esser, Rombach, Ommer 2021, arXiv:2012.09841; Zhou, Chan, Li, Loy 2022, arXiv:2206.11253. The codebook's own loss is part of its layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def code_cross_entropy(logits: Tensor, numbers: Tensor) -> Tensor:
    """How improbable the right codes seem, in nats a place. logits: N x T x K; numbers: of the right codes, N x T or N x h x w, T = h w."""
    return F.cross_entropy(logits.flatten(0, 1), numbers.flatten())


def code_feature_loss(features: Tensor, codes: Tensor) -> Tensor:
    """Mean squared distance of features from the right codes, N x C x h x w each; the codes are constants."""
    return F.mse_loss(features, codes.detach())


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, weight: Tensor, *, largest: float = 1.0) -> Tensor:
    """By how much to weigh the adversarial loss so that it pulls on `weight` as hard as the reconstruction does, at most `largest`.

    reconstruction, adversarial: numbers whose graphs stay; weight: a parameter of the last layer. A constant. taming-transformers and its
    heirs take 1e4 for `largest`, CodeFormer 1.
    """
    pulls = [torch.autograd.grad(loss, weight, retain_graph=True)[0] for loss in (reconstruction, adversarial)]
    first, second = (torch.linalg.vector_norm(pull.float()) for pull in pulls)
    ratio: Tensor = first / (second + 1e-4)
    return ratio.clamp(0, largest).detach()


def perplexity(numbers: Tensor, codes: int) -> Tensor:
    """How many of the codes are in use, 1 to `codes`: e to the entropy of their shares. numbers: whole numbers below `codes`, any shape."""
    share = torch.bincount(numbers.flatten(), minlength=codes) / numbers.numel()
    entropy: Tensor = -(share * (share + 1e-10).log()).sum()
    return entropy.exp()


def mean_distance(features: Tensor, codebook: Tensor) -> Tensor:
    """Mean squared distance from every feature to every code. features: N x C x h x w; codebook: K x C."""
    flat = features.transpose(0, 1).flatten(1)
    return flat.square().sum(0).mean() + codebook.square().sum(1).mean() - 2 * flat.mean(1) @ codebook.mean(0)
