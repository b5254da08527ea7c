"""Of the GAN lineage's losses those that training here has: the adversarial games, path length regularisation, DiffAugment."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.losses import gan_loss, path_length_penalty, path_lengths
from facewright.losses.adversarial import Game
from facewright.train.diffaugment import Changes, cut_out, diff_augment, recoloured, translated
from parity.reading import Fixture

GAMES: dict[str, Game] = {
    "vanilla": "vanilla",
    "lsgan": "lsgan",
    "wgan": "wgan",
    "wgan-logistic-ns": "wgan_softplus",
    "hinge": "hinge",
}
SIDES = {"disc_real": (True, True), "disc_fake": (False, True), "gen": (True, False)}
UNCHANGED = torch.full((1, 3), 0.5)
"""Draws of DiffAugment's colours that leave a picture as it is."""


def handles(fixture: Fixture) -> bool:
    return fixture.built == "GANLoss" or fixture.case == "path_length" or fixture.case.startswith("diffaug_")


def run(fixture: Fixture) -> None:
    if fixture.built == "GANLoss":
        run_games(fixture)
    elif fixture.case == "path_length":
        run_path_length(fixture)
    else:
        inputs = fixture.inputs()
        inputs["input"].requires_grad_(True)
        output = augmented(fixture.case.removeprefix("diffaug_"), inputs)
        fixture.check("output", output)
        (gradient,) = torch.autograd.grad((output * inputs["cotangent"]).sum(), inputs["input"])
        fixture.check_gradient("input", gradient)


def run_games(fixture: Fixture) -> None:
    options = fixture.arguments
    for name, (real, discriminator) in SIDES.items():
        score = fixture.inputs()["logits"].requires_grad_(True)
        loss = gan_loss(
            score,
            GAMES[options["gan_type"]],
            target_is_real=real,
            is_discriminator=discriminator,
            real_label=options.get("real_label_val", 1.0),
            fake_label=options.get("fake_label_val", 0.0),
            loss_weight=options.get("loss_weight", 1.0),
        )
        fixture.check(name, loss)
        (gradient,) = torch.autograd.grad(loss, score)
        fixture.check_gradient(f"{name}:logits", gradient)


def run_path_length(fixture: Fixture) -> None:
    inputs, state = fixture.inputs(), {name: value.requires_grad_(True) for name, value in fixture.state().items()}
    mean = torch.tensor(0.0)
    for step in range(2):
        ws = inputs["z"][step, :2, None].expand(-1, 5, -1).clone().requires_grad_(True)
        maps = F.linear(ws, state["fc.weight"], state["fc.bias"]).tanh().mean(1).view(2, 2, 4, 4)
        pictures = F.conv2d(F.interpolate(maps, scale_factor=2), state["conv.weight"], state["conv.bias"], padding=1)
        penalty, mean = path_length_penalty(path_lengths(pictures, ws, inputs["noise"][step]), mean)
        fixture.check(f"pl_penalty_{step}", penalty)
        fixture.check(f"pl_mean_{step}", mean)
        wanted = [name.partition(":")[2] for name in fixture.meta["gradients"] if name.startswith(f"step{step}:")]
        gradients = torch.autograd.grad((2 * penalty).mean() * 4, [state[name] for name in wanted])
        for name, gradient in zip(wanted, gradients, strict=True):
            fixture.check_gradient(f"step{step}:{name}", gradient)


def augmented(kind: str, inputs: Mapping[str, Tensor]) -> Tensor:
    pictures = inputs["input"]
    pair = {name: torch.cat([inputs[f"{name}_h"], inputs[f"{name}_w"]], 1)[..., 0] for name in ("shift", "offset") if f"{name}_h" in inputs}
    if kind == "translation":
        return translated(pictures, pair["shift"])
    if kind == "cutout":
        return cut_out(pictures, pair["offset"])
    if kind == "policy":
        colour = torch.cat([inputs[f"u{number}"] for number in (1, 2, 3)], 1)[..., 0, 0]
        return diff_augment(pictures, Changes(colour, pair["shift"], pair["offset"]))
    draws = UNCHANGED.repeat(len(pictures), 1)
    draws[:, ("brightness", "saturation", "contrast").index(kind)] = inputs["u"].flatten()
    return recoloured(pictures, draws)
