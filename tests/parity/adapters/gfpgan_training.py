"""GFPGAN's training: one iteration of the published program, replayed by the recipe's own step.

A gradient here is not continuous: L1 has a sign, ReLU and max pooling choose. Where a number lies within rounding of such a choice, the
reference holds one side and we may hold the other; which one depends on the processor and on the order of additions (in float64 our
gradients are what they are in float32, those of the reference that differ are the rounded ones). So the step is replayed with several
roundings, and each gradient must be met, within the case's own tolerance, by one of them; all else must be met at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.data import Batch
from facewright.losses import pyramid_l1
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.blocks.modulated import ModulatedConv2d
from facewright.nets.gfpgan import GFPGAN, FacialComponentDiscriminator
from facewright.nets.stylegan2 import StyleGAN2Discriminator, channel_table
from facewright.nets.vgg import VGGFeatures
from facewright.train import Engine, RunSettings
from facewright.train.channels import in_order
from facewright.train.ema import Ema
from facewright.train.recipes.gfpgan import GfpganRecipe
from facewright.train.recipes.gfpgan.guidance import Guidance, identity_loss, perceptual_loss, together
from facewright.train.recipes.gfpgan.networks import Networks
from facewright.train.recipes.gfpgan.settings import PARTS, GfpganSettings
from parity.reading import Fixture

SYSTEMS = ("gfpgan",)
N = TypeVar("N", bound=nn.Module)
OURS = {"net_g": "generator", "net_d": "discriminator", **{f"net_d_{part}": part for part in PARTS}}
LOSSES = {
    "l_g_pix": "pixel",
    "l_g_percep": "perceptual",
    "l_g_style": "style",
    "l_g_gan": "adversarial",
    **{f"l_g_gan_{part}": part for part in PARTS},
    "l_g_comp_style_loss": "component_style",
    "l_identity": "identity",
}


def handles(fixture: Fixture) -> bool:
    return fixture.procedure in ("train_step", "ema")


def run(fixture: Fixture) -> None:
    if fixture.procedure == "ema":
        run_ema(fixture)
    else:
        run_step(fixture)


def slow(fixture: Fixture) -> bool:
    """Those that need several roundings."""
    return fixture.case in ("train_step_full_iter16", "train_step_simple_iter1")


def run_ema(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    old, new = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    with torch.no_grad():
        old.weight.copy_(inputs["old"])
        new.weight.copy_(inputs["new"])
        new.running_mean.fill_(1.0)  # type: ignore[union-attr]
    ema = Ema(old, **published_average(), buffers=False)
    ema.update(new, 0)
    fixture.check("weight", ema.network.get_parameter("weight"))
    fixture.check("running_mean", ema.network.get_buffer("running_mean"))
    fixture.check("decay", ema.decay)


def published_average() -> dict[str, Any]:
    return {"half_life": 10_000.0, "batch": 32, "rises": False}


def run_step(fixture: Fixture) -> None:
    far: dict[str, AssertionError] = {}
    for tried, (order, seed) in enumerate(ROUNDINGS):
        with order():
            results = replayed(fixture, seed)
        last, far = far, {}
        for name in last if tried else fixture.meta["outputs"]:
            try:
                fixture.check(name, results[name])
            except AssertionError as error:
                if not name.startswith("grad."):
                    raise
                far[name] = error
        if not far:
            return
    raise next(iter(far.values()))


def replayed(fixture: Fixture, seed: int) -> dict[str, Any]:
    """What the case recorded, from our step; seed: of a noise on the pictures that is no more than rounding, 0 is none."""
    options, inputs, state = fixture.call["opt"], fixture.inputs(), fixture.state()
    generator = torch.Generator().manual_seed(seed)
    for name in ("lq", "gt") if seed else ():
        inputs[name] += ROUNDING * torch.randn(inputs[name].shape, generator=generator)
    settings = settings_of(options)
    networks = networks_of(options, state)
    seen: list[Tensor] = []
    networks["generator"].register_forward_hook(lambda _, __, result: seen.extend([result[0].detach(), *result[1]]))
    boxes = torch.stack([inputs[f"loc_{part}"] for part in PARTS], dim=1) if "loc_mouth" in inputs else None
    batch = Batch(inputs["lq"], inputs["gt"], boxes)
    recipe = GfpganRecipe(
        settings,
        len(batch.clean),
        seed=0,
        networks=Networks(networks, settings),
        guidance=guidance_of(options, settings, state),
        pairs=lambda start: iter([batch]),
    )
    told: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        run_settings = RunSettings(batch=len(batch.clean), device="cpu", precision="fp32", clip_norm=1e9, tensorboard=False)
        engine = Telling(recipe, run_settings, Path(folder), told)
        engine.step = fixture.call["current_iter"] - 1  # published iterations count from 1
        recipe.step(next(recipe.batches(0)))
    return gathered(recipe, told, seen, batch)


@contextmanager
def published_order() -> Iterator[None]:
    """Modulate the weights for each sample, as the published program does, instead of the activations."""

    def forward(conv: ModulatedConv2d, x: Tensor, style: Tensor) -> Tensor:
        weight = conv.scale * conv.weight * conv.modulation(style)[:, None, :, None, None]  # N x out x in x k x k
        if conv.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + conv.eps)
        n, _, side, _ = x.shape
        if conv.sampling is None:
            y = F.conv2d(x.reshape(1, -1, side, side), weight.flatten(0, 1), padding=conv.padding, groups=n)
        else:
            y = F.conv_transpose2d(x.reshape(1, -1, side, side), weight.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        y = y.view(n, -1, *y.shape[2:])
        return y if conv.smooth is None else conv.smooth(y)

    ours = ModulatedConv2d.forward
    ModulatedConv2d.forward = forward  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        ModulatedConv2d.forward = ours  # type: ignore[method-assign]


ROUNDING = 1e-6
"""So far apart are two orders of the generator's additions, in a picture."""
ROUNDINGS = [(order, seed) for seed in range(6) for order in (nullcontext, published_order)]


class Telling(Engine):
    """Remembers each update's losses with their weights."""

    def __init__(self, recipe: GfpganRecipe, run: RunSettings, folder: Path, told: dict[str, dict[str, float]]) -> None:
        self.told = told
        super().__init__(recipe, run, folder)

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        self.told[name] = {term: float(value.detach()) * (weights[term] or 1.0) for term, value in losses.items()}
        super().update(name, losses, weights)


def gathered(recipe: GfpganRecipe, told: dict[str, dict[str, float]], seen: list[Tensor], batch: Batch) -> dict[str, Any]:
    """By the case's names."""
    generator, discriminator = told["generator"], told["discriminator"]
    results: dict[str, Any] = {"output": seen[0]}
    results |= {f"log.{theirs}": generator[ours] for theirs, ours in LOSSES.items() if ours in generator}
    pyramid_weight = recipe._weights()["pyramid"]
    levels = {rgb.shape[-1]: pyramid_weight * float(pyramid_l1([rgb.detach()], batch.clean)) for rgb in seen[1:]}
    assert abs(sum(levels.values()) - generator["pyramid"]) <= 1e-5 * generator["pyramid"]  # the recipe sums what is told apart
    results |= {f"log.l_p_{side}": value for side, value in levels.items()}
    results |= {f"log.{name}": discriminator[name] for name in ("real_score", "fake_score")} | {"log.l_d": discriminator["logistic"]}
    if "r1" in discriminator:
        results["log.l_d_r1"] = discriminator["r1"]
    results |= {f"log.l_d_{part}": told[part]["logistic"] for part in PARTS if part in told}
    for theirs, ours in OURS.items():
        for name, parameter in recipe.networks[ours].named_parameters() if ours in recipe.networks else ():
            results |= {f"after.{theirs}.{name}": parameter, f"grad.{theirs}.{name}": parameter.grad}
    results |= {f"ema.net_g.{name}": value for name, value in recipe.ema["generator"].network.named_parameters()}
    optimizers = [recipe.optimizers[name] for name in OURS.values() if name in recipe.optimizers]
    results["lr"] = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    results["betas"] = [optimizer.param_groups[0]["betas"] for optimizer in optimizers]
    assert all(len(optimizer.param_groups) == 1 for optimizer in optimizers)
    return results


def settings_of(options: dict[str, Any]) -> GfpganSettings:
    """The published options as ours."""
    train, generator, discriminator = options["train"], options["network_g"], options["network_d"]
    side, components, identity = generator["out_size"], "network_d_mouth" in options, "network_identity" in options
    assert train["gan_opt"]["gan_type"] == "wgan_softplus" and train["gan_component_opt"]["gan_type"] == "vanilla"
    assert train["net_d_iters"] == 1 and train["net_d_init_iters"] == 0 and not generator["fix_decoder"]
    average = published_average()
    return GfpganSettings(
        size=side,
        flavour="original",
        channels=in_order(channel_table(side, generator["channel_multiplier"], generator["narrow"])),
        style=generator["num_style_feat"],
        fold=1,
        discriminator_channels=in_order(channel_table(side, discriminator["channel_multiplier"], discriminator["narrow"])),
        crop=side,
        r1_weight=train["r1_reg_weight"],
        r1_every=train["net_d_reg_every"],
        r1_first=train["net_d_reg_every"] - 1,
        adversarial_from=0,
        rate=train["optim_g"]["lr"],
        rate_discriminator=train["optim_d"]["lr"],
        rate_component=train["optim_component"]["lr"],
        multiplicative_rate=1.0,
        betas=(0.0, 0.99),
        warm_up=0,
        milestones=tuple(train["scheduler"]["milestones"]),
        gamma=train["scheduler"]["gamma"],
        ema_half_life=average["half_life"],
        ema_pictures=average["batch"],
        ema_rises=average["rises"],
        weights={
            "pixel": train["pixel_opt"]["loss_weight"],
            "artifact": 0.0,
            "grid": 0.0,
            "pyramid": train["pyramid_loss_weight"],
            "perceptual": train["perceptual_opt"]["perceptual_weight"],
            "style": train["perceptual_opt"]["style_weight"],
            "identity": train["identity_weight"] if identity else 0.0,
            "adversarial": train["gan_opt"]["loss_weight"],
            "component": train["gan_component_opt"]["loss_weight"] if components else 0.0,
            "component_style": train["comp_style_weight"] if components else 0.0,
        },
        pyramid_until=train["remove_pyramid_loss"],
        pyramid_after=1e-12,
        perceptual="vgg19",
        perceptual_layers=train["perceptual_opt"]["layer_weights"],
        identity="arcface-resnet18",
    )


def networks_of(options: dict[str, Any], state: dict[str, Tensor]) -> dict[str, nn.Module]:
    generator = dict(options["network_g"])
    assert generator.pop("type") == "GFPGANv1" and generator.pop("decoder_load_path") is None
    discriminator = {name: value for name, value in options["network_d"].items() if name != "type"}
    networks: dict[str, nn.Module] = {"net_g": GFPGAN("original", **generator), "net_d": StyleGAN2Discriminator(**discriminator)}
    networks |= {f"net_d_{part}": FacialComponentDiscriminator() for part in PARTS if f"network_d_{part}" in options}
    return {OURS[name]: filled(network, state, f"{name}.") for name, network in networks.items()}


def guidance_of(options: dict[str, Any], settings: GfpganSettings, state: dict[str, Tensor]) -> Guidance:
    perceptual = options["train"]["perceptual_opt"]
    features = VGGFeatures(
        list(perceptual["layer_weights"]),
        perceptual["vgg_type"],
        use_input_norm=perceptual["use_input_norm"],
        range_norm=perceptual["range_norm"],
    )
    judges: list[Guidance] = [perceptual_loss(filled(features, state, "cri_perceptual.vgg.").eval(), settings)]
    if "network_identity" in options:
        identity = options["network_identity"]
        network = filled(ResNetArcFace(identity["layers"], identity["use_se"]), state, "network_identity.")
        judges.append(identity_loss(network.eval().requires_grad_(False)))
    return together(*judges)


def filled(network: N, state: dict[str, Tensor], prefix: str) -> N:
    """With the case's weights under `prefix`, strictly."""
    network.load_state_dict({name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)})
    return network
