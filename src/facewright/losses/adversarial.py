"""The losses of the adversarial game, by the names under which they were published; scores are raw (no sigmoid).

vanilla: Goodfellow et al. 2014, binary cross-entropy, non-saturating; lsgan: Mao et al. 2017; wgan: Arjovsky et al. 2017;
wgan_softplus: the logistic loss of StyleGAN2, the same as vanilla with labels 1 and 0; hinge: Lim and Ye 2017.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import UsageError

Game = Literal["vanilla", "lsgan", "wgan", "wgan_softplus", "hinge"]


def gan_loss(
    score: Tensor,
    kind: Game,
    *,
    target_is_real: bool,
    is_discriminator: bool,
    real_label: float = 1.0,
    fake_label: float = 0.0,
    loss_weight: float = 1.0,
) -> Tensor:
    """One side of the game over the scores of one batch: the mean over all scores, of any shape.

    target_is_real: what the scored pictures should be taken for; a generator says True. The labels serve "vanilla" and "lsgan".
    loss_weight multiplies the generator's loss only, as published. Raises UsageError for an unknown kind.
    """
    if kind == "vanilla":
        label = torch.full_like(score, real_label if target_is_real else fake_label)
        loss = F.binary_cross_entropy_with_logits(score, label)
    elif kind == "lsgan":
        loss = (score - (real_label if target_is_real else fake_label)).square().mean()
    elif kind == "wgan":
        loss = -score.mean() if target_is_real else score.mean()
    elif kind == "wgan_softplus":
        loss = F.softplus(-score if target_is_real else score).mean()
    elif kind == "hinge":
        # a generator has no margin to keep, and no fakes to tell
        loss = F.relu(1 - score if target_is_real else 1 + score).mean() if is_discriminator else -score.mean()
    else:
        raise UsageError(f"there is no adversarial loss {kind!r}", what_to_do=f"use one of: {', '.join(get_args(Game))}")
    return loss if is_discriminator else loss_weight * loss


def generator_nonsaturating(fake_score: Tensor) -> Tensor:
    """mean softplus(-D(G)); fake_score: any shape, raw."""
    return F.softplus(-fake_score).mean()


def discriminator_logistic(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """mean softplus(-D(x)) + mean softplus(D(G))."""
    return F.softplus(-real_score).mean() + F.softplus(fake_score).mean()


def relativistic_logistic(score: Tensor, other: Tensor) -> Tensor:
    """mean softplus(-(score - other)): that these score above those, pair by pair; any shape, raw.

    The discriminator's loss with the real pictures first, the generator's with the fakes first (Jolicoeur-Martineau, "The relativistic
    discriminator", ICLR 2019, arXiv:1807.00734, section 4.1, RpGAN with the logistic loss).
    """
    return F.softplus(other - score).mean()
