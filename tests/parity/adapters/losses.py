"""The losses of GFPGAN's training that ours has: the logistic GAN game and the pyramid of targets."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.losses import discriminator_logistic, generator_nonsaturating
from facewright.losses.pixel import halved_to
from parity.following import check_results
from parity.reading import Fixture

SYSTEMS = ("gfpgan",)
# with the labels 1 and 0, binary cross-entropy on raw scores is the softplus
LOGISTIC = ("vanilla", "wgan_softplus")
NOTHING = torch.tensor(-1e4)
"""A score whose softplus is 0: the other half of the discriminator's loss."""


def handles(fixture: Fixture) -> bool:
    if fixture.procedure == "gan":
        return fixture.arguments["gan_type"] in LOGISTIC and "real_label_val" not in fixture.arguments
    return fixture.procedure == "pyramid"


def run(fixture: Fixture) -> None:
    if fixture.procedure == "pyramid":
        truth = fixture.inputs()["gt"]
        for level in range(len(fixture.meta["outputs"])):
            fixture.check(f"level.{level}", halved_to(truth, 8 << level))
        return
    inputs = fixture.inputs()
    check_results(fixture, {"loss": loss(fixture, inputs["pred"].requires_grad_(True))}, inputs)


def loss(fixture: Fixture, score: Tensor) -> Tensor:
    if not fixture.call["is_disc"]:
        return fixture.arguments["loss_weight"] * generator_nonsaturating(score)
    return discriminator_logistic(score, NOTHING) if fixture.call["target_is_real"] else discriminator_logistic(-NOTHING, score)
