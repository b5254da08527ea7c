"""The logistic GAN game of StyleGAN2 (Goodfellow et al. 2014, non-saturating) and its gradient penalty."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def generator_nonsaturating(fake_score: Tensor) -> Tensor:
    """mean softplus(-D(G)); fake_score: any shape, raw."""
    return F.softplus(-fake_score).mean()


def discriminator_logistic(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """mean softplus(-D(x)) + mean softplus(D(G))."""
    return F.softplus(-real_score).mean() + F.softplus(fake_score).mean()


def r1_penalty(real_score: Tensor, real: Tensor) -> Tensor:
    """E |grad_x D(x)|^2, summed over a picture, mean over the batch (Mescheder et al. 2018, eq. 9, without gamma/2).

    real: N x C x H x W with requires_grad, from which real_score was computed.
    """
    (gradient,) = torch.autograd.grad(real_score.sum(), real, create_graph=True)
    return gradient.float().pow(2).flatten(1).sum(1).mean()
