"""The adversarial game of the first and the last stage: hinge losses, the generator's weighed by its own gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from facewright.losses import adaptive_weight, gan_loss
from facewright.train.engine import Engine

UNWEIGHED = {"adaptive": 0.0, "real_score": 0.0, "fake_score": 0.0}
"""Told in the log, not learned from."""


def generator_losses(
    engine: Engine,
    discriminator: nn.Module,
    fake: Tensor,
    pictorial: Mapping[str, Tensor],
    weights: Mapping[str, float],
    last_layer: Tensor,
    largest: float,
) -> dict[str, Tensor]:
    """The adversarial loss, so weighed that it pulls on `last_layer` as hard as the pictorial losses together do, at most `largest`."""
    reconstruction = torch.stack([weights[name] * loss.float() for name, loss in pictorial.items()]).sum()
    with engine.autocast():
        adversarial = gan_loss(discriminator(fake).float(), "hinge", target_is_real=True, is_discriminator=False)
    adaptive = adaptive_weight(reconstruction, adversarial, last_layer, largest=largest)
    return {"adaptive": adaptive, "adversarial": adaptive * adversarial}


def step_discriminator(engine: Engine, discriminator: nn.Module, real: Tensor, fake: Tensor) -> None:
    """One update; real, fake: N x 3 x s x s, constants. Not halved, as published."""
    discriminator.requires_grad_(True)
    losses: dict[str, Tensor] = {}
    for name, pictures, is_real in (("real", real, True), ("fake", fake, False)):
        with engine.autocast():
            score = discriminator(pictures).float()
        losses[name] = gan_loss(score, "hinge", target_is_real=is_real, is_discriminator=True)
        losses[f"{name}_score"] = score.detach().mean()
    engine.update("discriminator", losses, {"real": 1.0, "fake": 1.0} | UNWEIGHED)
