"""The losses of GFPGAN's training, the crops of facial components, and what the GAN lineage shares with them."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.losses import component_style_loss, discriminator_logistic, gan_loss, generator_nonsaturating, l1
from facewright.losses.adversarial import Game
from facewright.losses.pixel import halved_to
from facewright.nets.blocks.roi_align import roi_align
from parity.following import check_results
from parity.reading import Fixture

SYSTEMS = ("gfpgan",)
EYE, MOUTH = 80, 120
LOGISTIC = ("vanilla", "wgan_softplus")
"""With the labels 1 and 0 both are the logistic game that StyleGAN2's recipe plays."""
NOTHING = torch.tensor(-1e4)
"""A score whose softplus is 0: the other half of the discriminator's loss."""


def handles(fixture: Fixture) -> bool:
    return fixture.procedure in PROCEDURES


def run(fixture: Fixture) -> None:
    PROCEDURES[fixture.procedure or ""](fixture)


def run_pyramid(fixture: Fixture) -> None:
    truth = fixture.inputs()["gt"]
    for level in range(len(fixture.meta["outputs"])):
        fixture.check(f"level.{level}", halved_to(truth, 8 << level))


def run_gan(fixture: Fixture) -> None:
    inputs, call, options = fixture.inputs(), fixture.call, fixture.arguments
    kind: Game = options["gan_type"]
    score = inputs["pred"].requires_grad_(True)
    labels = {
        ours: options[theirs] for ours, theirs in (("real_label", "real_label_val"), ("fake_label", "fake_label_val")) if theirs in options
    }
    loss = gan_loss(
        score,
        kind,
        target_is_real=call["target_is_real"],
        is_discriminator=call["is_disc"],
        loss_weight=options["loss_weight"],
        **labels,
    )
    check_results(fixture, {"loss": loss}, inputs)
    if kind in LOGISTIC and not labels:
        check_results(fixture, {"loss": logistic(fixture, score)}, inputs)


def logistic(fixture: Fixture, score: Tensor) -> Tensor:
    if not fixture.call["is_disc"]:
        return float(fixture.arguments["loss_weight"]) * generator_nonsaturating(score)
    return discriminator_logistic(score, NOTHING) if fixture.call["target_is_real"] else discriminator_logistic(-NOTHING, score)


def run_l1(fixture: Fixture) -> None:
    inputs, options = fixture.inputs(), fixture.arguments
    loss = l1(inputs["x"].requires_grad_(True), inputs["gt"], inputs.get("weight"), options.get("reduction", "mean"))
    check_results(fixture, {"loss": options.get("loss_weight", 1.0) * loss}, inputs)


def run_roi_align(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    crops = roi_align(inputs["x"].requires_grad_(True), inputs["rois"], fixture.call["output_size"])
    check_results(fixture, {"out": crops}, inputs)


def run_roi_regions(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    for pictures, ending in (("output", ""), ("gt", "_gt")):
        for part, size in (("left_eye", EYE), ("right_eye", EYE), ("mouth", MOUTH)):
            boxes = torch.cat([torch.arange(len(inputs[pictures]))[:, None], inputs[f"loc_{part}"]], 1)
            fixture.check(f"{part}s{ending}", roi_align(inputs[pictures], boxes, size))


def run_component_style(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    ours, theirs = ([inputs[f"{kind}{number}"].requires_grad_(True) for number in (0, 1)] for kind in ("feat", "gt"))
    check_results(fixture, {"loss": fixture.call["comp_style_weight"] * component_style_loss(ours, theirs)}, inputs)


PROCEDURES = {
    "pyramid": run_pyramid,
    "gan": run_gan,
    "l1": run_l1,
    "roi_align": run_roi_align,
    "roi_regions": run_roi_regions,
    "comp_style": run_component_style,
}
