"""What keeps the two players of the adversarial game in hand: penalties on gradients, unweighted; their gradient is a second derivative."""

from __future__ import annotations

import torch
from torch import Tensor


def r1_penalty(real_score: Tensor, real: Tensor) -> Tensor:
    """E |grad_x D(x)|^2, summed over a picture, mean over the batch (Mescheder et al. 2018, eq. 9, without gamma/2).

    real: N x C x H x W with requires_grad, from which real_score was computed.
    """
    (gradient,) = torch.autograd.grad(real_score.sum(), real, create_graph=True)
    return gradient.float().pow(2).flatten(1).sum(1).mean()


def path_lengths(pictures: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
    """|J_w^T y| of every picture: how much it changes with its latents, N values (Karras et al. 2020, section 3.2).

    pictures: N x C x H x W, computed from latents: N x L x S, with requires_grad; noise: N(0, 1) of the pictures' shape. The norm is
    over S, its square averaged over the L layers.
    """
    y = noise / (pictures.shape[2] * pictures.shape[3]) ** 0.5
    (gradient,) = torch.autograd.grad((pictures * y).sum(), latents, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()


def path_length_penalty(lengths: Tensor, mean: Tensor, decay: float = 0.01) -> tuple[Tensor, Tensor]:
    """((length - a)^2 of every picture, a without its graph), where a is the running mean that follows the lengths (eq. 4).

    lengths: N values of `path_lengths`; mean: the running mean so far, a scalar, 0 at first. As published the penalty is against the
    mean that has these lengths in it already, and is differentiated through it.
    """
    a = mean + decay * (lengths.mean() - mean)
    return (lengths - a).square(), a.detach()
